"""ops:unit. A unit file of systemd or a drop-in for one, under /etc/systemd/system, and systemd's having read it.

Whether systemd has is asked at each look, so that a crash between the two, or somebody else's edit, is made good.
Starting and enabling is the affair of ops:service; its `restartOn` may name this step.
"""

from __future__ import annotations

import contextlib
import posixpath
from typing import List

from agent.contract.claims import Claim, claims_of, unit_name
from agent.contract.inputs.files import FileInputs
from agent.contract.inputs.services import UnitInputs
from agent.contract.paths import unit_file
from agent.contract.record import dataclass
from agent.host.port import Host
from agent.steps import file
from agent.steps.derived import FILE, directory
from agent.steps.step import Applied, Change, Given, State
from agent.steps.systemd import runs, stale, systemctl


@dataclass(frozen=True)
class Observed:
    """The file, and whether systemd goes by an older one."""

    file: file.Observed
    stale: bool = False


class UnitStep:
    """A unit file or drop-in that is there and read, or is not there."""

    def observe(self, host: Host, desired: UnitInputs, given: Given) -> Observed:
        seen = FILE.observe(host, _as_file(desired), given)
        return Observed(seen, runs(host) and stale(host, unit_name(desired.name)))

    def changes(self, desired: UnitInputs, observed: Observed, given: Given) -> List[Change]:
        changes = FILE.changes(_as_file(desired), observed.file, given)
        if changes or not observed.stale:
            return changes
        (claim,) = claims_of("ops:unit", desired)
        return [Change(claim, "not read by systemd", "read by systemd")]

    def apply(self, host: Host, desired: UnitInputs, changes: List[Change], given: Given) -> Applied:
        changed = [change for change in changes if change.detail is not None]
        if changed:
            wanted = _as_file(desired)
            if desired.drop_in is not None and desired.state == "present":
                directory(host, posixpath.dirname(wanted.path))
            FILE.apply(host, wanted, changed, given)
        reload(host)
        return Applied()

    def state(self, observed: Observed, claim: Claim) -> State:
        return FILE.state(observed.file, claim)

    def current(self, host: Host, claim: Claim, left: State) -> State:
        return FILE.current(host, claim, left)

    def restore(self, host: Host, claim: Claim, prior: State, left: State) -> None:
        """Takes a directory of drop-ins away with the last of them."""
        FILE.restore(host, claim, prior, left)
        holder = posixpath.dirname(claim.name)
        if prior is None and holder.endswith(".d"):
            with contextlib.suppress(OSError):
                host.rmdir(holder)
        reload(host)


def reload(host: Host) -> None:
    """Lets systemd read its files again, where it runs."""
    if runs(host):
        systemctl(host, "daemon-reload")


def _as_file(desired: UnitInputs) -> FileInputs:
    path = unit_file(unit_name(desired.name), desired.drop_in)
    if desired.state == "absent":
        return FileInputs(path, state="absent")
    return FileInputs(
        path,
        content=desired.content,
        source=desired.source,
        template=desired.template,
        mode="0644",
        owner="root",
        group="root",
    )
