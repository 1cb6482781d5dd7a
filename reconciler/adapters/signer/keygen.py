"""A key that OpenSSH holds: in the agent, on a token behind it, or in a file that a passphrase protects."""

from __future__ import annotations

import base64
import subprocess
import tempfile
from pathlib import Path

from agent.contract import sshsig
from agent.contract.wire import Signed
from reconciler.core.problem import Refused, Unavailable


class KeygenSigner:
    """A `Signer` through `ssh-keygen -Y sign`, which asks the agent first and then, on the terminal, the person.

    `key` is a private key's file, or None where only the agent has it.
    """

    def __init__(self, public: str, key: Path | None = None) -> None:
        self._public = " ".join(public.split()[:2])
        self._key = key

    @property
    def public(self) -> str:
        return self._public

    def sign(self, payload: bytes, namespace: str) -> Signed:
        """Raises `Refused` when the key is not given, `Unavailable` without OpenSSH."""
        if self._key is not None:
            blob = _signed(self._key, payload, namespace)
        else:
            with tempfile.NamedTemporaryFile("w", prefix="opsctl-", suffix=".pub") as file:
                file.write(self._public + "\n")
                file.flush()
                blob = _signed(Path(file.name), payload, namespace)
        if sshsig.public_text(sshsig.parts(blob).public) != self._public:
            raise Refused("ssh-keygen signed with another key than was asked for", "sign")
        return Signed(base64.b64encode(payload).decode(), base64.b64encode(blob).decode())


def agent_keys() -> list[str]:
    """Public texts of the ed25519 keys that the SSH agent holds; none where no agent answers."""
    try:
        done = subprocess.run(["ssh-add", "-L"], capture_output=True, text=True, check=False, timeout=10)
    except (OSError, subprocess.TimeoutExpired):
        return []
    return [line for line in done.stdout.splitlines() if line.startswith("ssh-ed25519 ")]


def _signed(key: Path, payload: bytes, namespace: str) -> bytes:
    command = ["ssh-keygen", "-Y", "sign", "-f", str(key), "-n", namespace]
    try:
        done = subprocess.run(command, input=payload, capture_output=True, check=False)
    except OSError as error:
        raise Unavailable("ssh-keygen", error.strerror or str(error)) from error
    if done.returncode != 0:
        said = done.stderr.decode(errors="replace").strip().splitlines()
        remedy = "add the key to your agent (ssh-add), or name a private key"
        raise Refused(f"ssh-keygen did not sign with {key}: {said[-1] if said else 'no reason given'}", "sign", remedy)
    return _dearmoured(done.stdout.decode("ascii", errors="replace"))


def _dearmoured(text: str) -> bytes:
    try:
        return sshsig.dearmoured(text)
    except sshsig.BadSignature as error:
        raise Unavailable("ssh-keygen", "what it wrote is not a signature") from error
