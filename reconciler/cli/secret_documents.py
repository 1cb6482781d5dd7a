"""The documents of `opsctl secret`. No value of a secret is in any of them."""

from __future__ import annotations

from typing import Any, Literal

from typing_extensions import TypedDict

from reconciler.cli.findings import FindingView


class SecretInitDocument(TypedDict):
    """`opsctl secret init`. `keyFile` is empty where no new key was made; `named` says whether the rules name it."""

    format: Literal["opsctl.secret-init/v1"]
    recipient: str
    keyFile: str
    rules: str
    rulesMade: bool
    named: bool
    mergeDriver: bool


class SecretFileView(TypedDict):
    """A file after something was done to it. `problem` says why nothing was, and is empty otherwise."""

    path: str
    changed: bool
    recipients: list[str]
    problem: str


class SecretFilesDocument(TypedDict):
    """`opsctl secret rotate`, `updatekeys`, `add-recipient` and `rm-recipient`."""

    format: Literal["opsctl.secret-files/v1"]
    files: list[SecretFileView]


class VerifiedFileView(TypedDict):
    """A file that is encrypted, or should be. `unopened`: no key at hand opens it, or none was to be used."""

    path: str
    verdict: Literal["verified", "unopened", "failed"]
    recipients: list[str]
    findings: list[FindingView]


class SecretVerifyDocument(TypedDict):
    """`opsctl secret verify`."""

    format: Literal["opsctl.secret-verify/v1"]
    valid: bool
    files: list[VerifiedFileView]


SECRET_DOCUMENTS: dict[str, Any] = {
    "secret-init": SecretInitDocument,
    "secret-files": SecretFilesDocument,
    "secret-verify": SecretVerifyDocument,
}
"""Every document by the name in its `format`."""
