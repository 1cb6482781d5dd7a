"""Builds `agent.pyz`, and puts it with the example repository and the schemas into the wheel.

    python hatch_build.py OUT     writes the agent of this checkout to OUT

The archive holds the agent and the pure-Python parts of Jinja2 and MarkupSafe, as they are installed for the Python
that builds. The same inputs make the same bytes.
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
import io
import shutil
import stat
import sys
import tempfile
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

    from hatchling.builders.hooks.plugin.interface import BuildHookInterface
else:
    try:
        from hatchling.builders.hooks.plugin.interface import BuildHookInterface
    except ImportError:  # outside a build only `build_agent` is of interest

        class BuildHookInterface:
            def __class_getitem__(cls, _: object) -> type:
                return cls


ROOT = Path(__file__).resolve().parent
VENDORED = ("jinja2", "markupsafe")
DATA = "reconciler/_data"
SHARED = ("example-config-repo", "schemas")
"""Directories of the checkout that the wheel carries under `reconciler/_data/`."""

_SHEBANG = b"#!/usr/bin/env python3\n"
_EPOCH = (1980, 1, 1, 0, 0, 0)
_MAIN = '''\
"""Starts the agent from its archive, or from the directory that the archive was unpacked to."""
import os
import sys

if sys.version_info < (3, 8):
    sys.exit("the opsctl agent needs Python 3.8 or newer; this is " + sys.version.split()[0])
# Ahead of site packages: a template renders with the Jinja2 that the server has, or not at all.
sys.path.insert(1, os.path.join(os.path.dirname(os.path.abspath(__file__)), "_vendor"))

from agent import lean

lean.spare("inspect")  # dataclasses asks it about classes without a docstring; with what it brings it takes a megabyte
from agent.contract import record

record.put_off()

from agent.__main__ import main

sys.exit(main())
'''


def build_agent(out: Path, root: Path = ROOT) -> None:
    """Write the agent of the checkout at `root` to `out`, executable."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        for name, data in sorted(_contents(root)):
            entry = zipfile.ZipInfo(name, _EPOCH)
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.external_attr = (stat.S_IFREG | 0o644) << 16
            archive.writestr(entry, data)
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_bytes(_SHEBANG + packed.getvalue())
    out.chmod(0o755)


def _contents(root: Path) -> Iterator[tuple[str, bytes]]:
    yield "__main__.py", _MAIN.encode()
    yield "LICENSE", (root / "LICENSE").read_bytes()
    yield from _sources(root / "agent", "agent")
    for name in VENDORED:
        found = importlib.util.find_spec(name)
        if found is None or not found.submodule_search_locations:
            raise SystemExit(f"{name} is not installed for {sys.executable}: it is part of the agent")
        yield from _sources(Path(found.submodule_search_locations[0]), f"_vendor/{name}")
        yield f"_vendor/{name}/LICENSE.txt", _license(name)


def _sources(package: Path, name: str) -> Iterator[tuple[str, bytes]]:
    """The Python sources of a package: no compiled parts, which would be those of this machine."""
    for path in package.rglob("*.py"):
        yield f"{name}/{path.relative_to(package).as_posix()}", path.read_bytes()


def _license(name: str) -> bytes:
    for path in importlib.metadata.files(name) or ():
        if path.name.startswith("LICENSE"):
            return path.read_binary()
    raise SystemExit(f"{name} is installed without its license, which has to go with it")


class CustomBuildHook(BuildHookInterface[Any]):
    """What hatchling calls around the building of a wheel."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """An editable install reads everything from the checkout instead."""
        if version == "editable":
            return
        self._made = Path(tempfile.mkdtemp(prefix="opsctl-build-"))
        build_agent(self._made / "agent.pyz", Path(self.root))
        included = build_data["force_include"]
        included[str(self._made / "agent.pyz")] = f"{DATA}/agent.pyz"
        for name in SHARED:
            included[str(Path(self.root) / name)] = f"{DATA}/{name}"

    def finalize(self, version: str, build_data: dict[str, Any], artifact_path: str) -> None:
        del version, build_data, artifact_path
        shutil.rmtree(getattr(self, "_made", ""), ignore_errors=True)


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: python hatch_build.py OUT")
    build_agent(Path(sys.argv[1]))
