"""The branches that opsctl writes itself, and the marks on what it commits to them."""

from __future__ import annotations

import re

from reconciler.core.problem import Refused

REPORT_BRANCH = "compliance"
PROPOSAL_PREFIX = "opsctl/"
_TRAILER = re.compile(r"^Opsctl-Instance: (.+)$", re.MULTILINE)
_PROPOSAL_NAME = re.compile(r"[0-9A-Za-z][0-9A-Za-z_-]{0,127}")


def is_written_here(branch: str) -> bool:
    """Whether a branch is opsctl's own to write, and so never read as config."""
    return branch == REPORT_BRANCH or branch.startswith(PROPOSAL_PREFIX)


def stamped(message: str, instance: str) -> str:
    """A report's commit message, marked so that CI keeps still and with a trailer naming who wrote it."""
    subject, _, body = message.strip().partition("\n")
    paragraphs = [f"{subject} [skip ci]", body.strip(), f"Opsctl-Instance: {instance}"]
    return "\n\n".join(paragraph for paragraph in paragraphs if paragraph) + "\n"


def require_own(message: str, instance: str, branch: str) -> None:
    """`Refused` when a commit message's trailer names another instance; a person's commit has none."""
    named = _TRAILER.findall(message)
    if named and named[-1].strip() != instance:
        raise Refused(
            f"the branch {branch!r} was last written by the instance {named[-1].strip()!r}, this one is {instance!r}",
            rule="one instance writes a fleet's reports",
            remedy="stop one of the two; if the other is gone for good, commit to the branch by hand once",
        )


def require_proposal_name(branch: str) -> None:
    """`Refused` unless a branch is one that proposals may be pushed to."""
    if not _PROPOSAL_NAME.fullmatch(branch.removeprefix(PROPOSAL_PREFIX)) or not branch.startswith(PROPOSAL_PREFIX):
        raise Refused(f"{branch!r} is no branch for a proposal", remedy=f"name it {PROPOSAL_PREFIX}EFFECT-ID")
