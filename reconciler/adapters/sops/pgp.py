"""Keys of PGP, through the gpg program of whoever runs this: its agent, its keyring."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

from reconciler.core.problem import Refused, Unavailable

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_SECONDS = 120  # a person may be typing a passphrase


class Gpg:
    """The program, with the environment it runs in."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._program = environ.get("SOPS_GPG_EXEC", "gpg")
        wanted = ("HOME", "PATH", "GNUPGHOME", "GPG_TTY", "TERM", "DISPLAY", "LANG", "XDG_RUNTIME_DIR")
        self._environ = {name: environ[name] for name in wanted if name in environ}

    def decrypt(self, armoured: str) -> bytes | None:
        """What is in a message; None where no key here opens it."""
        done = self._run(["--decrypt"], armoured.encode())
        return done.stdout if done is not None and done.returncode == 0 else None

    def encrypt(self, share: bytes, fingerprint: str) -> str:
        """A message for one key. Raises `Refused` where the keyring does not hold it."""
        done = self._run(
            ["--armor", "--trust-model", "always", "--no-encrypt-to", "--recipient", fingerprint, "--encrypt"], share
        )
        if done is None:
            raise Unavailable("gpg", "it is not installed, and a recipient is a PGP key")
        if done.returncode != 0:
            last = done.stderr.decode(errors="replace").strip().splitlines()[-1:]
            raise Refused(f"gpg does not encrypt to {fingerprint}: {''.join(last)}", "", "import its public key")
        return done.stdout.decode()

    def _run(self, arguments: Sequence[str], data: bytes) -> subprocess.CompletedProcess[bytes] | None:
        command = [self._program, "--quiet", "--batch", "--yes", *arguments]
        try:
            return subprocess.run(
                command, input=data, capture_output=True, env=self._environ, timeout=_SECONDS, check=False
            )
        except FileNotFoundError:
            return None
        except subprocess.TimeoutExpired:
            raise Unavailable("gpg", f"it did not answer within {_SECONDS} s") from None
        except OSError as error:
            raise Unavailable("gpg", error.strerror or str(error)) from error
