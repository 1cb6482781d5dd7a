"""Checks of the machine: its Python, its libcrypto, its clock, the service that runs the agent."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from typing import Dict, List, Optional

import agent
from agent.doctor.finding import Finding, fail, ok, warn
from agent.install import SERVICE, SYSTEM, Layout, managed, of_user

OLDEST_PYTHON = (3, 8)
BUILT = 1_767_225_600
"""A time that has passed: no clock that is right says an earlier one."""
_SYSTEMCTL_SECONDS = 5.0
_SHOWN = "LoadState,ActiveState,SubState,UnitFileState,Result,NRestarts,ConditionResult"


def python() -> Finding:
    """The interpreter, and the OpenSSL in it."""
    import ssl

    version = "%d.%d.%d" % sys.version_info[:3]
    if sys.version_info < OLDEST_PYTHON:
        return fail("python", "Python %s is too old" % version, "run the agent with Python 3.8 or newer")
    return ok("python", "agent %s, Python %s, %s" % (agent.__version__, version, ssl.OPENSSL_VERSION))


def libcrypto() -> Finding:
    """A signature made and verified, a key to seal to derived."""
    from agent import crypto

    remedy = (
        "the agent signs with the OpenSSL (1.1.1 or newer) that this Python's ssl uses: install the distribution's own"
        " python3, and let OpenSSL have Ed25519 and X25519 (not in FIPS mode alone)"
    )
    try:
        secret = crypto.new_key()
        made = crypto.sign(secret, b"doctor")
        if not crypto.verify(crypto.public_of(secret), b"doctor", made):
            return fail("libcrypto", "an Ed25519 signature that was just made does not verify", remedy)
        crypto.sealing_public_of(secret)
    except crypto.CryptoUnavailable as error:
        return fail("libcrypto", str(error), remedy)
    return ok("libcrypto", "Ed25519 and X25519 work")


def clock(now: Optional[float] = None) -> Finding:
    """The wall clock by itself; `network` compares it with the server's."""
    at = time.time() if now is None else now
    said = time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(at))
    if at < BUILT:
        return fail(
            "clock",
            "it says %s, which has long passed: no certificate is valid by it" % said,
            "set it, and keep it set: `timedatectl set-ntp true`, or chrony",
        )
    return ok("clock", said)


def service(running: Optional[int]) -> List[Finding]:
    """systemd's word on the agent; `running` is the process that holds the state directory."""
    layout = _layout()
    if not managed(layout):
        if running is not None:
            return [ok("service", "the agent runs as process %d; this machine has no systemd" % running)]
        return [
            warn("service", "the agent does not run, and this machine has no systemd", "run `agent.pyz serve` by it")
        ]
    told = _systemctl(layout)
    if told is None:
        return [warn("service", "systemd does not answer", "look at `systemctl status %s`" % SERVICE)]
    return [_service(told, running)]


def _service(told: Dict[str, str], running: Optional[int]) -> Finding:
    logs = "look at `journalctl -u %s -n 50`" % SERVICE
    if told.get("LoadState") != "loaded":
        says = "there is no %s%s" % (SERVICE, "; process %d runs without it" % running if running else "")
        return warn("service", says, "run `python3 agent.pyz install`")
    state = "%s (%s)" % (told.get("ActiveState"), told.get("SubState"))
    if told.get("ActiveState") == "active":
        if told.get("UnitFileState") not in ("enabled", "enabled-runtime", "static"):
            return warn(
                "service", "it is %s, and does not start at boot" % state, "run `systemctl enable %s`" % SERVICE
            )
        return ok("service", "%s is %s, restarted %s times" % (SERVICE, state, told.get("NRestarts", "0")))
    if told.get("ConditionResult") == "no":
        return warn("service", "it waits for this node to be enrolled", "enroll, then `systemctl start %s`" % SERVICE)
    if running is not None:
        return warn("service", "it is %s, while process %d runs the agent by hand" % (state, running), logs)
    restarts = told.get("NRestarts", "0")
    says = "it is %s: %s, restarted %s times" % (state, told.get("Result") or "stopped", restarts)
    return fail("service", says, "%s, then `systemctl restart %s`" % (logs, SERVICE))


def _systemctl(layout: Layout) -> Optional[Dict[str, str]]:
    try:
        done = subprocess.run(
            [*layout.systemctl, "show", "--property=" + _SHOWN, SERVICE],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            timeout=_SYSTEMCTL_SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    lines = done.stdout.decode("utf-8", "replace").splitlines()
    return dict(line.split("=", 1) for line in lines if "=" in line)


def program() -> List[Finding]:
    """The installed program, where there is one."""
    layout = _layout()
    if not os.path.lexists(layout.unit) and not os.path.lexists(layout.home):
        return []
    current = os.path.join(layout.home, "current")
    try:
        version = os.path.basename(os.readlink(current))
        os.stat(os.path.join(current, "__main__.py"))
    except OSError as error:
        says = "%s is not there: %s" % (current, error.strerror)
        return [fail("program", says, "run `python3 agent.pyz install` again")]
    if version != agent.__version__:
        says = "version %s is installed, this is %s" % (version, agent.__version__)
        return [warn("program", says, "run `python3 agent.pyz install` from the version that should run")]
    return [ok("program", "version %s is installed" % version)]


def _layout() -> Layout:
    """Root's installation, or this user's own."""
    return SYSTEM if os.geteuid() == 0 else of_user()
