"""aws:downloadContent. Files from elsewhere, brought once per generation or instant, as a script runs once.

Unlike a script it is begun again where its end was not seen: nothing is lost by that.
"""

from __future__ import annotations

from typing import Any, List

from agent.contract.claims import Claim
from agent.contract.codec import from_wire
from agent.contract.inputs.content import SECRETS, SOURCES, DownloadContentInputs
from agent.contract.record import dataclass
from agent.host.port import Host
from agent.steps import downloads
from agent.steps.retrieval import retrieve
from agent.steps.step import Applied, Change, Given, StepFailed

_NOT_TOLD = frozenset((*SECRETS, "username", "content"))


@dataclass(frozen=True)
class Observed:
    """Whether it was brought."""

    done: bool


class DownloadContentStep:
    """One download."""

    def observe(self, host: Host, desired: DownloadContentInputs, given: Given) -> Observed:
        del host, desired
        if given.recalled is None or len(given.recalled) == 2:
            return Observed(False)
        _, rc, status = given.recalled
        if status != "Success":
            raise StepFailed("its run ended with exit %d" % rc, rc=rc, status=status)
        return Observed(True)

    def changes(self, desired: DownloadContentInputs, observed: Observed, given: Given) -> List[Change]:
        if observed.done:
            return []
        told = ["+ %s: %s" % (name, value) for name, value in sorted(_told(desired.source_info).items())]
        after = "content of %s in %s" % (desired.source_type, desired.destination_path or "the run's own directory")
        return [Change(Claim("script", given.step), "not downloaded", after, "\n".join(told))]

    def apply(self, host: Host, desired: DownloadContentInputs, changes: List[Change], given: Given) -> Applied:
        del changes
        source = from_wire(SOURCES[desired.source_type], desired.source_info, "sourceInfo")
        place = downloads.destination(given.downloads, desired.destination_path)
        return Applied("Content downloaded to %s\n" % retrieve(host, desired.source_type, source, place, given.stopped))


def _told(source: Any) -> Any:
    """What people are shown of a place: a URL without its query, which may be a secret."""
    return {name: str(value).split("?", 1)[0] for name, value in source.items() if name not in _NOT_TOLD}
