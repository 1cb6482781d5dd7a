"""Who may use a node, and as whom."""

from __future__ import annotations

from typing import List, Optional

from agent.contract.codec import Wire, described
from agent.contract.inputs import fields
from agent.contract.record import dataclass


@dataclass(frozen=True)
class UserInputs(Wire):
    """A local user account."""

    name: str = described("Login name.")
    uid: Optional[int] = described("Numeric id; the system's choice where absent.", None)
    group: Optional[str] = described("Primary group; must exist.", None)
    groups: List[str] = described("Supplementary groups the user must be in; others are left alone.", [])
    home: Optional[str] = described("Home directory.", None)
    shell: Optional[str] = described("Login shell.", None)
    comment: Optional[str] = described("GECOS text.", None)
    system: bool = described("A system account (decides the range of ids when it is created).", False)
    state: str = fields.state()


@dataclass(frozen=True)
class GroupInputs(Wire):
    """A local group."""

    name: str = described("Group name.")
    gid: Optional[int] = described("Numeric id; the system's choice where absent.", None)
    system: bool = described("A system group (decides the range of ids when it is created).", False)
    state: str = fields.state()


@dataclass(frozen=True)
class AuthorizedKeyInputs(Wire):
    """One key in a user's authorized_keys; others are left alone."""

    user: str = described("Login name; the file is in this user's home directory.")
    key: str = described("The public key, as its .pub file has it.")
    options: Optional[str] = described("Options before the key, as sshd reads them: restrict,from=...", None)
    state: str = fields.state()


@dataclass(frozen=True)
class SudoersInputs(Wire):
    """A file of /etc/sudoers.d, accepted by visudo before it lands."""

    name: str = described("Name of the file; sudo passes over names with a dot.", pattern=fields.PLAIN)
    rules: List[str] = described("Lines of the file; required unless absent.", [])
    state: str = fields.state()
