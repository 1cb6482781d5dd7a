"""What opsctl made or changed on this node, so that prune takes away that and nothing else.

Per claim: who asked for it, what was there before (a file's content too, where it was small), and what was left there.
An entry is on disk before the change it is about, completed after it, and dropped where there is nothing to take back.
It also remembers which restarts are owed (`agent.restarts`). The file is written only when something changed.
"""

from __future__ import annotations

import json
import os
from typing import Any, Collection, Dict, List, Optional, Tuple

from agent import durable
from agent.contract.claims import Claim
from agent.contract.record import NamedTuple
from agent.contract.wire import ClaimReport
from agent.host.port import Host
from agent.rounds.outcome import PRUNE
from agent.steps.registry import RESTORABLE
from agent.steps.step import InvalidPlatform, LeftAlone, State, StepFailed, why

PRIOR_BYTES_AT_MOST = 4 * 1024 * 1024
"""Kept former content of all files together; beyond it, what changes is no longer restorable."""


class Entry(NamedTuple):
    """One claim. `left` means nothing until `done`."""

    claim: Claim
    uid: str
    action: str
    prior: State
    left: State = None
    done: bool = False


class Ledger:
    """The entries of one node, oldest first."""

    def __init__(self, path: str, *, read_only: bool = False) -> None:
        """A file that cannot be read is put aside under `.damaged`: without it nothing is taken away, ever."""
        self._path, self._read_only = path, read_only
        self._entries: Dict[str, Entry] = {}
        self._owed: Dict[Tuple[str, str], List[str]] = {}
        self._changed = False
        self._prior_bytes = 0
        data = durable.read(path)
        if data is None:
            return
        try:
            kept = json.loads(data)
            self._entries = {str(entry.claim): entry for entry in map(_entry, kept["entries"])}
            self._owed = {(uid, step): list(changed) for uid, step, changed in kept["owed"]}
            self._prior_bytes = sum(map(_kept_bytes, self._entries.values()))
        except (ValueError, TypeError, KeyError):
            os.replace(path, path + ".damaged")

    def intend(self, uid: str, action: str, claim: Claim, prior: State) -> None:
        """The claim is about to change. What was there before its first change is what is kept."""
        known = self._entries.get(str(claim))
        if known is None:
            entry = Entry(claim, uid, action, self._affordable(prior))
            self._prior_bytes += _kept_bytes(entry)
            self._put(entry)
        else:
            self._put(known._replace(uid=uid, action=action, done=False))

    def complete(self, claim: Claim, left: State) -> None:
        """The claim was seen after its change."""
        known = self._entries.get(str(claim))
        if known is None:
            return
        if _bare(left) == _bare(known.prior):
            self.forget(claim)
        else:
            self._put(known._replace(left=_bare(left), done=True))

    def incomplete(self, claim: Claim) -> bool:
        """Whether the claim's last change was not seen to its end."""
        known = self._entries.get(str(claim))
        return known is not None and not known.done

    def adopt(self, uid: str, claim: Claim) -> None:
        """The claim is this association's now, whoever had it before."""
        known = self._entries.get(str(claim))
        if known is not None and known.uid != uid:
            self._put(known._replace(uid=uid))

    def forget(self, claim: Claim) -> None:
        entry = self._entries.pop(str(claim), None)
        if entry is not None:
            self._prior_bytes -= _kept_bytes(entry)
            self._changed = True

    def release(self, uid: str, keep_claims: Collection[str]) -> None:
        """What the association made stays for good; saved."""
        for entry in self.entries(uid):
            if str(entry.claim) not in keep_claims:
                self.forget(entry.claim)
        self.save()

    def entries(self, uid: str) -> List[Entry]:
        """The association's entries, newest first: what is inside goes before what holds it."""
        return [entry for entry in reversed(list(self._entries.values())) if entry.uid == uid]

    # Restarts

    def owe(self, uid: str, step: str, changed: str) -> bool:
        """A step is to be restarted, for another changes; whether that is news."""
        names = self._owed.setdefault((uid, step), [])
        if changed in names:
            return False
        names.append(changed)
        self._changed = True
        return True

    def owed(self, uid: str, step: str) -> List[str]:
        """The steps that changed and for which this one was not restarted yet."""
        return list(self._owed.get((uid, step), ()))

    def settle(self, uid: str, step: str, changed: Optional[str] = None) -> None:
        """Nothing is owed any more to a step, or nothing on account of one that did not change after all."""
        names = self._owed.get((uid, step), [])
        left = [name for name in names if changed is not None and name != changed]
        if left:
            self._owed[uid, step] = left
        else:
            self._owed.pop((uid, step), None)
        self._changed = self._changed or left != names

    def settle_all_but(self, uid: str, steps: Collection[str]) -> None:
        """Only these steps of an association are still there to be restarted."""
        for owner, step in list(self._owed):
            if owner == uid and step not in steps:
                self.settle(uid, step)

    # The file

    def save(self) -> None:
        """Durable on return; does nothing where nothing changed, or where it is only read."""
        if self._changed and not self._read_only:
            kept = {
                "entries": [_row(entry) for entry in self._entries.values()],
                "owed": [[uid, step, names] for (uid, step), names in self._owed.items()],
            }
            durable.replace(self._path, json.dumps(kept, separators=(",", ":")).encode())
            self._changed = False

    def _put(self, entry: Entry) -> None:
        if self._entries.get(str(entry.claim)) != entry:
            self._entries[str(entry.claim)] = entry
            self._changed = True

    def _affordable(self, prior: State) -> State:
        more = len((prior or {}).get("bytes", ""))
        return prior if self._prior_bytes + more <= PRIOR_BYTES_AT_MOST else _bare(prior)


def prune(
    host: Host, ledger: Ledger, uid: str, keep_claims: Collection[str], *, apply: bool = True
) -> List[ClaimReport]:
    """Takes away what an association made and no longer claims; the ledger is saved.

    `keep_claims` are the claims of everything the node still holds. What somebody changed since, or what was there
    before and was not kept, is left, named once in the reports, and forgotten. Without `apply` only tells.
    """
    gone = [entry for entry in ledger.entries(uid) if str(entry.claim) not in keep_claims]
    reports = [_take_back(host, ledger, entry, apply) for entry in gone]
    ledger.save()
    return reports


def _take_back(host: Host, ledger: Ledger, entry: Entry, apply: bool) -> ClaimReport:
    step, claim = RESTORABLE[entry.action], entry.claim
    after = "absent" if entry.prior is None else "as it was before opsctl"
    try:
        now = _bare(step.current(host, claim, entry.left))
        if now == _bare(entry.prior):
            outcome, reason = "Unchanged", None
        elif not entry.done or now != entry.left:
            raise LeftAlone("it was changed since opsctl left it")
        elif not apply:
            return _report(claim, "Drifted", "left by opsctl", after)
        else:
            step.restore(host, claim, entry.prior, entry.left)
            outcome, reason = "Changed", None
    except (LeftAlone, InvalidPlatform) as error:
        outcome, reason = "Skipped", "left in place: %s" % error
    except StepFailed as error:
        return _report(claim, "Failed", reason=error.reason)
    except OSError as error:
        return _report(claim, "Failed", reason=why(error))
    if apply:
        ledger.forget(claim)
    return _report(claim, outcome, "left by opsctl" if outcome == "Changed" else None, after, reason)


def _report(
    claim: Claim, outcome: str, before: Optional[str] = None, after: Optional[str] = None, reason: Optional[str] = None
) -> ClaimReport:
    return ClaimReport(str(claim), PRUNE, outcome, before, after if outcome in ("Changed", "Drifted") else None, reason)


def _kept_bytes(entry: Entry) -> int:
    return len((entry.prior or {}).get("bytes", ""))


def _bare(state: State) -> State:
    """A state without kept content, as it is compared."""
    return None if state is None else {name: value for name, value in state.items() if name != "bytes"}


def _row(entry: Entry) -> Dict[str, Any]:
    return dict(entry._asdict(), claim=list(entry.claim))


def _entry(row: Dict[str, Any]) -> Entry:
    return Entry(**dict(row, claim=Claim(*row["claim"])))
