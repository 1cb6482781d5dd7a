"""ops:firewall. One table of nftables, of which nothing but this step is the owner.

The table is a file that `nft -c` has accepted before it lands. It is loaded in one transaction, so that no packet meets
half of it, and loaded again at boot by a unit of its own, after nftables.service, which flushes what it finds. Other
tables are left alone.
"""

from __future__ import annotations

import dataclasses
import posixpath
from typing import List, Optional, Tuple

from agent.contract.claims import Claim, claims_of
from agent.contract.inputs.files import FileInputs, LinkInputs
from agent.contract.inputs.network import FirewallInputs
from agent.contract.paths import UNITS, firewall_files
from agent.contract.record import dataclass
from agent.host.port import Host
from agent.steps import link, nftables, ruleset
from agent.steps.derived import FILE, Files, apply_files, directory, file_changes, observe_files, root_file
from agent.steps.diff import content_diff
from agent.steps.file import wanted_content
from agent.steps.link import LinkStep
from agent.steps.step import Applied, Change, Given, LeftAlone, State, StepFailed

_LINK = LinkStep()
_MODE = "0644"
_WANTS = UNITS + "/sysinit.target.wants/"
_UNIT = """[Unit]
Description=Table %s of nftables, held by opsctl
DefaultDependencies=no
Wants=network-pre.target
Before=network-pre.target shutdown.target
After=nftables.service
Conflicts=shutdown.target

[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=/usr/sbin/nft -f %s

[Install]
WantedBy=sysinit.target
"""


@dataclass(frozen=True)
class Observed:
    """The files; the link that has the unit started at boot; how nft lists the table, None where there is none.

    `boots` says whether there is a place for units, `live` whether the table is looked at: in a sandbox it is not.
    """

    files: Files
    link: link.Observed
    boots: bool
    live: bool
    listing: Optional[str]


class FirewallStep:
    """A table that is loaded as declared, now and at boot, or is not there."""

    def observe(self, host: Host, desired: FirewallInputs, given: Given) -> Observed:
        files = observe_files(host, [root_file(path) for path in _paths(desired)[:2]], given)
        starts = _LINK.observe(host, _link(desired), given) if host.lstat(UNITS) else link.Observed(None)
        listing = None if host.sandbox else nftables.listing(host, _table(desired))
        return Observed(files, starts, host.lstat(UNITS) is not None, not host.sandbox, listing)

    def changes(self, desired: FirewallInputs, observed: Observed, given: Given) -> List[Change]:
        rules, body, noted = _rules(desired, observed, given)
        found = file_changes([rules], observed.files, given)
        if observed.boots:
            found += file_changes([_unit(desired)], observed.files, given)
            found += _LINK.changes(_link(desired), observed.link, given)
        table = _table_change(desired, observed, body, noted, bool(found) and found[0].claim.name == rules.path)
        return found + ([table] if table and observed.live else [])

    def apply(self, host: Host, desired: FirewallInputs, changes: List[Change], given: Given) -> Applied:
        rules, _, starts = _paths(desired)
        checked = dataclasses.replace(root_file(rules), state=desired.state, validate="nft -c -f %s")
        loading = any(change.claim.kind == "table" for change in changes)
        if desired.state == "absent" and loading:
            nftables.delete(host, _table(desired))
        apply_files(host, [checked], changes, given)
        if desired.state == "present" and loading:
            nftables.load(host, rules, _table(desired), int(_MODE, 8))
        apply_files(host, [_unit(desired)], changes, given)
        to_link = [change for change in changes if change.claim.name == starts]
        if to_link and desired.state == "present":
            directory(host, posixpath.dirname(starts))
        _LINK.apply(host, _link(desired), to_link, given)
        return Applied()

    def state(self, observed: Observed, claim: Claim) -> State:
        if claim.kind == "table":
            return None if observed.listing is None else {"digest": ruleset.digest(observed.listing)}
        if claim.name in observed.files:
            return FILE.state(observed.files[claim.name], claim)
        return _LINK.state(observed.link, claim)

    def current(self, host: Host, claim: Claim, left: State) -> State:
        if claim.kind == "table":
            listing = None if host.sandbox else nftables.listing(host, _split(claim))
            return None if listing is None else {"digest": ruleset.digest(listing)}
        return (_LINK if claim.name.startswith(_WANTS) else FILE).current(host, claim, left)

    def restore(self, host: Host, claim: Claim, prior: State, left: State) -> None:
        if claim.kind != "table":
            (_LINK if claim.name.startswith(_WANTS) else FILE).restore(host, claim, prior, left)
        elif prior is not None:
            raise LeftAlone("a table of that name was there before; its former rules were not kept")
        else:
            nftables.delete(host, _split(claim))


def _rules(desired: FirewallInputs, observed: Observed, given: Given) -> Tuple[FileInputs, str, Optional[str]]:
    """(the file of the table, with the mark that it has; its body; the digest that the mark gives)."""
    path = _paths(desired)[0]
    if desired.state == "absent":
        return FileInputs(path, state="absent"), "", None
    asked = FileInputs(path, content=desired.content, source=desired.source, template=desired.template)
    body = (wanted_content(asked, given) or b"").decode("utf-8")
    if ruleset.leaves_its_table(body):
        raise StepFailed("the braces of the rules do not close: they would reach beyond the table")
    content, noted = ruleset.text(desired.family, desired.name, body), None
    snapshot = observed.files[path].snapshot
    if snapshot is not None and snapshot.data is not None:
        there = snapshot.data.decode("utf-8", "replace")
        before, noted = ruleset.split(there)
        content, noted = (there, noted) if before == content else (content, None)
    return root_file(path, content), body, noted


def _table_change(
    desired: FirewallInputs, observed: Observed, body: str, noted: Optional[str], rewritten: bool
) -> Optional[Change]:
    claim, listing = claims_of("ops:firewall", desired)[-1], observed.listing
    if desired.state == "absent":
        return Change(claim, "loaded", "absent") if listing is not None else None
    if listing is None:
        return Change(claim, "absent", "loaded")
    if rewritten or noted is None:
        return Change(claim, "loaded before its file changed", "loaded")
    if ruleset.digest(listing) == noted:
        return None
    declared = ruleset.text(desired.family, desired.name, body).split("\n", 3)[-1]
    diff = content_diff(str(claim), ruleset.comparable(listing), ruleset.comparable(declared))
    return Change(claim, "changed since it was loaded", "loaded", diff)


def _table(desired: FirewallInputs) -> Tuple[str, str]:
    return desired.family, desired.name


def _split(claim: Claim) -> Tuple[str, str]:
    family, _, name = claim.name.partition("/")
    return family, name


def _paths(desired: FirewallInputs) -> Tuple[str, str, str]:
    return firewall_files(desired.family, desired.name)


def _unit(desired: FirewallInputs) -> FileInputs:
    rules, unit, _ = _paths(desired)
    return root_file(unit, _UNIT % (" ".join(_table(desired)), rules), present=desired.state == "present")


def _link(desired: FirewallInputs) -> LinkInputs:
    _, unit, starts = _paths(desired)
    return LinkInputs(starts, target=unit, state=desired.state)
