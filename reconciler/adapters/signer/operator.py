"""A person's SSH key: from its file where that is plain, through OpenSSH where it has a passphrase or an agent."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agent.contract.sshsig import BadSignature, public_of_text
from reconciler.adapters.signer.key import read_key
from reconciler.adapters.signer.keygen import KeygenSigner
from reconciler.core.problem import Refused, Unavailable

if TYPE_CHECKING:
    from pathlib import Path

    from reconciler.core.ports import Signer


def operator_signer(path: Path) -> Signer:
    """The signer for a key file. A public one is looked for in the SSH agent; a private one may have a passphrase.

    Raises `Refused` or `Unavailable` for a file that holds no usable ed25519 key.
    """
    if path.suffix == ".pub":
        return KeygenSigner(_public(path))
    try:
        return read_key(path)
    except Unavailable:
        public = path.with_name(path.name + ".pub")
        if not public.exists():
            raise
        return KeygenSigner(_public(public), path)


def _public(path: Path) -> str:
    try:
        text = path.read_text("ascii").strip()
        public_of_text(text)
    except OSError as error:
        raise Unavailable(f"reading {path}", error.strerror or str(error)) from error
    except (BadSignature, ValueError) as error:
        raise Refused(f"{path}: {error}", "keys are ed25519", "ssh-keygen -t ed25519") from error
    return text
