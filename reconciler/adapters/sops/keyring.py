"""The private keys at hand, and the data keys of files that they open."""

from __future__ import annotations

import shlex
import subprocess
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Self

from reconciler.adapters.private_files import read_private
from reconciler.adapters.sops import age, shamir
from reconciler.adapters.sops.pgp import Gpg
from reconciler.core.problem import Refused, Unavailable

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from reconciler.adapters.sops.age import AskPassphrase, Identity
    from reconciler.adapters.sops.metadata import Group, Metadata, Recipient

KEY_BYTES = 32


def nobody(source: str) -> None:
    """The passphrase where there is nobody to ask."""
    del source


class Keyring:
    """Private keys. They stay in memory as long as this does; nothing shows them."""

    def __init__(self, identities: Iterable[Identity] = (), gpg: Gpg | None = None) -> None:
        self.identities = tuple(identities)
        self.gpg = gpg

    @classmethod
    def of_files(cls, files: Iterable[Path], ask: AskPassphrase = nobody, gpg: Gpg | None = None) -> Self:
        """The keys in files, each of age's or an SSH key. Raises `Refused`, `Invalid`, `Unavailable`."""
        found = []
        for file in files:
            found += age.read_identities(read_private(file), str(file), ask)
        return cls(found, gpg)

    @classmethod
    def from_environment(cls, environ: Mapping[str, str], ask: AskPassphrase = nobody) -> Self:
        """The keys that `sops` would find: `SOPS_AGE_KEY`, `SOPS_AGE_KEY_FILE`, `SOPS_AGE_KEY_CMD`,
        `SOPS_AGE_SSH_PRIVATE_KEY_FILE`, those in the places where they usually lie, and gpg's."""
        found: list[Identity] = []
        if text := environ.get("SOPS_AGE_KEY"):
            found += age.read_identities(text.encode(), "SOPS_AGE_KEY", ask)
        if command := environ.get("SOPS_AGE_KEY_CMD"):
            found += age.read_identities(_output(command), "SOPS_AGE_KEY_CMD", ask)
        named = [Path(environ[name]) for name in _FILE_VARIABLES if environ.get(name)]
        found += cls.of_files(named, ask).identities
        for path in _usual_places(environ):
            if path not in named and path.is_file():
                with suppress(Refused):  # locked, or readable by others: whoever needs it names it
                    found += cls.of_files([path]).identities
        return cls(found, Gpg(environ))

    def __repr__(self) -> str:
        return f"Keyring({len(self.identities)} of age{', gpg' if self.gpg else ''})"

    def recover(self, metadata: Metadata, path: str) -> bytes:
        """The data key of a file. Raises `Refused`, naming the recipients that would do."""
        shares = [share for group in metadata.groups if (share := self._share(group)) is not None]
        if len(shares) < metadata.needed:
            raise self._refusal(metadata, path, len(shares))
        try:
            key = shares[0] if len(metadata.groups) == 1 else shamir.combine(shares[: metadata.needed])
        except ValueError as error:
            raise Refused(f"{path} does not open: {error}", "", "restore the file from an earlier commit") from None
        if len(key) != KEY_BYTES:
            raise Refused(f"{path} does not open: its data key has {len(key)} bytes, not {KEY_BYTES}")
        return key

    def encrypt(self, share: bytes, recipient: Recipient) -> str:
        """A share of a data key, for one recipient. Raises `Refused` where that is not possible."""
        if recipient.kind == "age":
            return age.encrypt(share, recipient.name)
        if self.gpg is None:
            raise Refused(f"PGP is not set up here, and {recipient.name} is a PGP key")
        return self.gpg.encrypt(share, recipient.name)

    def holds(self, recipient: Recipient) -> bool:
        """Whether the private half of an age recipient is here."""
        return any(age.same_recipient(identity.recipient, recipient.name) for identity in self.identities)

    def _share(self, group: Group) -> bytes | None:
        for recipient in sorted(group.recipients, key=self._order):
            share = self._opened(recipient)
            if share is not None:
                return share
        return None

    def _order(self, recipient: Recipient) -> int:
        """Own keys first, and gpg, which takes long, last."""
        return 2 if recipient.kind == "pgp" else 0 if self.holds(recipient) else 1

    def _opened(self, recipient: Recipient) -> bytes | None:
        if recipient.kind == "age":
            return age.decrypt(recipient.armoured, self.identities)
        return self.gpg.decrypt(recipient.armoured) if self.gpg is not None else None

    def _refusal(self, metadata: Metadata, path: str, opened: int) -> Refused:
        names = ", ".join(_named(recipient) for recipient in metadata.recipients)
        foreign = sorted({name for group in metadata.groups for name in group.foreign})
        what = f"none of the keys here opens {path}"
        if len(metadata.groups) > 1:
            what = f"the keys here open {opened} of the {metadata.needed} key groups that {path} needs"
        reasons = [why for each in metadata.recipients if each.kind == "age" for why in _obstacles(each)]
        reasons += [f"{name} is a key service, which is not asked here" for name in foreign]
        remedy = f"it opens with {names}" if names else "it names no key of age or PGP"
        return Refused(
            "; ".join([what, *reasons]),
            "",
            f"{remedy}; name a key in SOPS_AGE_KEY_FILE, or ask one of them to add yours",
        )


_SECONDS = 120
_FILE_VARIABLES = ("SOPS_AGE_KEY_FILE", "SOPS_AGE_SSH_PRIVATE_KEY_FILE")


def _output(command: str) -> bytes:
    """What a command prints that hands out a key. Raises `Unavailable`; nothing of the output is in that."""
    try:
        done = subprocess.run(shlex.split(command), capture_output=True, timeout=_SECONDS, check=False)
    except (OSError, ValueError, subprocess.TimeoutExpired) as error:
        raise Unavailable("SOPS_AGE_KEY_CMD", type(error).__name__) from None
    if done.returncode != 0:
        raise Unavailable("SOPS_AGE_KEY_CMD", f"it ended with {done.returncode}")
    return done.stdout


def _usual_places(environ: Mapping[str, str]) -> Iterator[Path]:
    home = environ.get("HOME")
    if config := environ.get("XDG_CONFIG_HOME") or (f"{home}/.config" if home else ""):
        yield Path(config) / "sops" / "age" / "keys.txt"
    if home:
        yield Path(home) / ".ssh" / "id_ed25519"
        yield Path(home) / ".ssh" / "id_rsa"


def _named(recipient: Recipient) -> str:
    return str(recipient) if len(str(recipient)) <= 80 else f"{str(recipient)[:60]}..."


def _obstacles(recipient: Recipient) -> Iterator[str]:
    return age.obstacles(recipient.armoured, recipient.name)
