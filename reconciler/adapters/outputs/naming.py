"""What may be kept, and under which names: the same for every adapter."""

from __future__ import annotations

import re

from agent.contract.job import STREAMS
from reconciler.core.problem import Refused

_JOB = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\Z")
_STEP = re.compile(r"[A-Za-z0-9_.:-]{1,240}\Z")


def checked(job_id: str, step: str, stream: str) -> tuple[str, str]:
    """The key of one run of bytes within its job. `Refused` for what names none."""
    if not (_JOB.match(job_id) and _STEP.match(step) and stream in STREAMS):
        raise Refused(f"{job_id:.40}, {step:.140}, {stream:.20} name no output of a job's step", "output")
    return step, stream


def began(job_id: str) -> int:
    """The instant in a job's id, in Unix milliseconds."""
    return int(job_id[:8] + job_id[9:13], 16)


def fresh(kept: int, offset: int, data: bytes, limit: int) -> tuple[bytes, bool]:
    """What of `data` follows the bytes that are kept, and whether no more are taken after it."""
    new = data[kept - offset :] if offset <= kept else b""
    room = limit - kept
    return new[:room], len(new) >= room
