"""ops:hosts. One name in /etc/hosts with its address and its other names; lines of other names stay as they are.

A line is this step's where the name is its first one and the address is of the same family, so that a name may have
both an IPv4 and an IPv6 address.
"""

from __future__ import annotations

import dataclasses
from typing import List

from agent.contract.claims import claims_of
from agent.contract.inputs.network import HostsInputs
from agent.host.port import Host
from agent.steps import part
from agent.steps.part import Observed, PartStep, Span, Wanted
from agent.steps.step import Applied, Change, Given

_PATH = "/etc/hosts"


class HostsStep(PartStep):
    """A line of /etc/hosts that is there once, or not at all."""

    def observe(self, host: Host, desired: HostsInputs, given: Given) -> Observed:
        del given
        return part.observe(host, _wanted(desired))

    def changes(self, desired: HostsInputs, observed: Observed, given: Given) -> List[Change]:
        del given
        (claim,) = claims_of("ops:hosts", desired)
        wanted = _wanted(desired)
        if wanted.lines and observed.part and _words(observed.part[0]) == _words(wanted.lines[0]):
            wanted = dataclasses.replace(wanted, lines=observed.part)  # blanks and a remark are its owner's affair
        return part.changes(wanted, observed, claim)

    def apply(self, host: Host, desired: HostsInputs, changes: List[Change], given: Given) -> Applied:
        del given
        part.apply(host, _wanted(desired), changes)
        return Applied()


def _wanted(desired: HostsInputs) -> Wanted:
    line = " ".join([desired.address, desired.name, *desired.aliases])

    def find(lines: List[str]) -> List[Span]:
        return [(at, at + 1) for at, other in enumerate(lines) if _means(_words(other), desired)]

    return Wanted(_PATH, [line] if desired.state == "present" else None, find, create=True)


def _words(line: str) -> List[str]:
    return line.partition("#")[0].split()


def _means(words: List[str], desired: HostsInputs) -> bool:
    return len(words) > 1 and words[1] == desired.name and (":" in words[0]) == (":" in desired.address)
