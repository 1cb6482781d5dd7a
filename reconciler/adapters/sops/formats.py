"""Which syntax a file has, by its name."""

from __future__ import annotations

from typing import TYPE_CHECKING

from reconciler.adapters.sops.dotenv_sheet import Dotenv
from reconciler.adapters.sops.ini_sheet import Ini
from reconciler.adapters.sops.json_sheet import Json
from reconciler.adapters.sops.sheet import MAX_BYTES, Sheet
from reconciler.adapters.sops.yaml_sheet import Yaml
from reconciler.core.manifest.text import Text
from reconciler.core.problem import Finding, Invalid, Place

if TYPE_CHECKING:
    from reconciler.adapters.sops.sheet import Syntax

_BY_SUFFIX: dict[str, Syntax] = {
    ".yaml": Yaml(),
    ".yml": Yaml(),
    ".json": Json(),
    ".env": Dotenv(),
    ".ini": Ini(),
}
BINARY = Json()


def syntax_of(path: str) -> Syntax:
    """The syntax that SOPS takes a file of this name to have; what it does not know is binary, kept as JSON."""
    name = path.rpartition("/")[2]
    return _BY_SUFFIX.get("." + name.rpartition(".")[2] if "." in name else "", BINARY)


def is_binary(path: str) -> bool:
    """Whether the plaintext of a file is taken as bytes without structure."""
    return syntax_of(path) is BINARY


def read(data: bytes, path: str) -> Sheet:
    """Find what is in a file, encrypted or not. Raises `Invalid`."""
    if len(data) > MAX_BYTES:
        finding = Finding(f"the file has {len(data)} bytes", Place(path), expected=f"at most {MAX_BYTES}")
        raise Invalid((finding,))
    return syntax_of(path).read(Text.decode(data, path))
