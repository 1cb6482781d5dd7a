"""Whether a commit is signed by a listed key.

Only SSH signatures count, and only git's status together with `%G?` tells: for a key that is not listed git still
prints "Good". Other signature formats are never handed to their programs, whose keyrings nobody here vouches for.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from reconciler.adapters.git.command import Git
    from reconciler.core.ports import SignatureVerdict

_SIGNATURE_HEADERS = (b"gpgsig ", b"gpgsig-sha256 ")
_SSH_SIGNATURE = b"-----BEGIN SSH SIGNATURE-----"
_NO_PROGRAM = "false"
_VERDICTS: dict[bytes, SignatureVerdict] = {b"G": "good", b"U": "unlisted", b"N": "unsigned"}


def verdict(git: Git, oid: str, text: bytes, allowed_signers: bytes) -> SignatureVerdict:
    """Judge commit `oid`, whose stored text is `text`, by the text of an OpenSSH allowed-signers file.

    A key's `valid-before` is judged by OpenSSH against the present instant, not the commit's.
    """
    headers = text.partition(b"\n\n")[0].split(b"\n")
    signatures = [line for line in headers if line.startswith(_SIGNATURE_HEADERS)]
    if not signatures:
        return "unsigned"
    if any(not line.endswith(_SSH_SIGNATURE) for line in signatures):
        return "unlisted"
    with tempfile.TemporaryDirectory(prefix="opsctl-signers-") as directory:
        signers = Path(directory, "allowed_signers")
        signers.write_bytes(allowed_signers)
        settings = {
            "gpg.format": "ssh",
            "gpg.ssh.allowedSignersFile": str(signers),
            "gpg.ssh.program": "ssh-keygen",
            "gpg.minTrustLevel": "undefined",
            "gpg.program": _NO_PROGRAM,
            "gpg.openpgp.program": _NO_PROGRAM,
            "gpg.x509.program": _NO_PROGRAM,
        }
        verified = git.attempt("verify-commit", oid, settings=settings).status == 0
        mark = git.run("show", "--no-patch", "--format=%G?", oid, settings=settings).strip()
    found = _VERDICTS.get(mark, "bad")
    return found if verified or found != "good" else "bad"
