"""Packages and where they come from."""

from __future__ import annotations

from typing import Dict, List, Optional

from agent.contract.codec import Wire, described
from agent.contract.inputs import fields
from agent.contract.record import dataclass


@dataclass(frozen=True)
class PackageInputs(Wire):
    """Packages of the platform's own package system."""

    name: List[str] = described("Package names.", one_or_many=True)
    version: Optional[str] = described("Exact version; for a single name only.", None)
    state: str = described("`present` (default), `latest` or `absent`.", "present", pattern="^(present|latest|absent)$")


@dataclass(frozen=True)
class RepositoryInputs(Wire):
    """A source of packages, with its key."""

    name: str = described("Name of the source and of its file.", pattern=fields.PLAIN)
    type: str = described("Whose source it is: `apt`, `dnf` or `zypper`.", pattern="^(apt|dnf|zypper)$")
    uris: List[str] = described("Where the packages are. Required unless absent.", [], one_or_many=True)
    suites: List[str] = described("apt: suites, as bookworm; or a directory, as ./.", [], one_or_many=True)
    components: List[str] = described("apt: components, as main.", [], one_or_many=True)
    architectures: List[str] = described("apt: architectures; the node's own where empty.", [], one_or_many=True)
    key: Optional[str] = described("The public key that signs it, as armoured text.", None)
    source: Optional[str] = described("Or a file of the config repository that is this key.", None)
    key_url: str = described("Or where the key is fetched from, over https or http.", "")
    key_sha256: str = described("SHA-256 of the key at `keyUrl`, as 64 hexadecimal digits.", "")
    key_path: str = described("Or a file on the node that is this key.", "")
    trusted: bool = described("Take packages that nobody signed.", False)
    options: Dict[str, str] = described("Other fields, as the package system names them.", {})
    state: str = fields.state()
