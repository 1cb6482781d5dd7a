"""What a check found, and how many of them are told."""

from __future__ import annotations

import shutil
import textwrap
from typing import Any, Dict, Iterable, List

from agent.contract.record import NamedTuple

OK, WARN, FAIL = "ok", "warn", "fail"


class Finding(NamedTuple):
    """`check` is what was looked at; `remedy` says what to do where it is not `ok`."""

    check: str
    level: str
    says: str
    remedy: str = ""


def ok(check: str, says: str) -> Finding:
    """All is well."""
    return Finding(check, OK, says)


def warn(check: str, says: str, remedy: str) -> Finding:
    """It works, and something is not as it should be."""
    return Finding(check, WARN, says, remedy)


def fail(check: str, says: str, remedy: str) -> Finding:
    """It cannot work like this."""
    return Finding(check, FAIL, says, remedy)


def healthy(findings: Iterable[Finding]) -> bool:
    """Whether nothing failed."""
    return all(finding.level != FAIL for finding in findings)


def as_json(findings: List[Finding]) -> Dict[str, Any]:
    """The findings for programs."""
    return {"healthy": healthy(findings), "checks": [finding._asdict() for finding in findings]}


def as_text(findings: List[Finding], columns: int = 0) -> str:
    """One line each where the terminal is wide enough, and the remedy below it."""
    columns = max(40, columns or shutil.get_terminal_size((100, 24)).columns)
    width = max((len(finding.check) for finding in findings), default=0)
    lines: List[str] = []
    for finding in findings:
        begins = "%-4s  %s  " % (finding.level, finding.check.ljust(width))
        lines += _wrapped(finding.says, begins, " " * len(begins), columns)
        if finding.remedy:
            lines += _wrapped(finding.remedy, " " * 6 + "-> ", " " * 9, columns)
    return "\n".join(lines)


def _wrapped(text: str, first: str, rest: str, columns: int) -> List[str]:
    return textwrap.wrap(
        text,
        columns,
        initial_indent=first,
        subsequent_indent=rest,
        break_long_words=False,
        break_on_hyphens=False,
    )
