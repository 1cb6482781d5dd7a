"""Checks of the state directory: who may read it, whether it can be written, whether what it holds fits together."""

from __future__ import annotations

import errno
import hashlib
import os
import ssl
import stat
import tempfile
import time
from typing import Any, Dict, List, Optional

from agent.contract.codec import Malformed
from agent.crypto import CryptoUnavailable
from agent.doctor.finding import Finding, fail, ok, warn
from agent.state import identity, status
from agent.state.identity import Identity
from agent.state.recordlog import scan

ROOM, ENOUGH_ROOM = 1024 * 1024, 64 * 1024 * 1024
INODES, ENOUGH_INODES = 16, 1000
EXPIRES_SOON = 14 * 86400
"""Seconds of a CA's life that are worth a warning."""
_JOURNAL_AT_MOST = 256 * 1024 * 1024
_CLEAR = "free some: `df -h %s` and `du -xh --max-depth=2 / | sort -h | tail` say where it went"


def directory(state: str) -> List[Finding]:
    """Whether it is there, whose it is, and who else may look."""
    try:
        found = os.stat(state)
    except FileNotFoundError:
        return [ok("state", "%s is not there yet; enrolment makes it" % state)]
    except OSError as error:
        return [fail("state", "%s: %s" % (state, error.strerror), "run this as the user that runs the agent (root)")]
    if not stat.S_ISDIR(found.st_mode):
        return [fail("state", "%s is not a directory" % state, "move it away, or use another --state")]
    if os.geteuid() not in (0, found.st_uid):
        says = "%s belongs to user %d; this is user %d" % (state, found.st_uid, os.geteuid())
        return [fail("state", says, "run this as that user, or as root")]
    if found.st_mode & 0o077:
        says = "%s is open to others (mode %04o)" % (state, stat.S_IMODE(found.st_mode))
        return [warn("state", says, "chmod 700 %s" % state)]
    return [ok("state", "%s, for user %d alone" % (state, found.st_uid))]


def disk(state: str) -> List[Finding]:
    """Room, inodes, and whether a file can be made, written, synced and removed."""
    there = state
    while not os.path.isdir(there) and there != os.path.dirname(there):
        there = os.path.dirname(there)
    room = os.statvfs(there)
    free = room.f_bavail * room.f_frsize
    said = "%s has %d MiB free" % (there, free // (1024 * 1024))
    if room.f_files:
        said += " and %d inodes" % room.f_favail
    if free < ROOM or (room.f_files and room.f_favail < INODES):
        return [fail("disk", said, _CLEAR % there)]
    refused = _refused(there)
    if refused is not None:
        return [_why_refused(refused, there)]
    if free < ENOUGH_ROOM or (room.f_files and room.f_favail < ENOUGH_INODES):
        return [warn("disk", said, _CLEAR % there)]
    return [ok("disk", said + "; it can be written")]


def _refused(there: str) -> Optional[OSError]:
    try:
        file, path = tempfile.mkstemp(prefix="doctor-", dir=there)
        try:
            os.write(file, b"doctor" * 512)
            os.fsync(file)
        finally:
            os.close(file)
            os.unlink(path)
    except OSError as error:
        return error
    return None


def _why_refused(error: OSError, there: str) -> Finding:
    if error.errno == errno.EROFS:
        remedy = "`dmesg | tail` says whether the disk failed; else `mount -o remount,rw` its mount point"
        return fail("disk", "%s is on a file system that is read-only" % there, remedy)
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return fail("disk", "%s takes no more bytes: %s" % (there, error.strerror), _CLEAR % there)
    remedy = "run this as root; if it is root, look for an immutable flag (`lsattr -d %s`) or a security module" % there
    return fail("disk", "nothing can be written to %s: %s" % (there, error.strerror), remedy)


def identity_of(state: str) -> Optional[Identity]:
    """The identity, where there is one that can be read."""
    try:
        return identity.load(state)
    except (identity.NotEnrolled, identity.StateDamaged, OSError):
        return None


def enrolled(state: str) -> List[Finding]:
    """identity.json, keys.json and ca.pem: there, private, and of one enrolment."""
    again = "stop the agent, move %s away, and enroll again with a new token" % state
    try:
        found = identity.load(state)
    except identity.NotEnrolled:
        left = [name for name in ("keys.json", "ca.pem", "held") if os.path.exists(os.path.join(state, name))]
        if "held" in left:
            return [fail("identity", "identity.json is gone, while other state is there", again)]
        remedy = "make a token (`opsctl token create`) and run `agent.pyz enroll --token-file FILE`"
        return [warn("identity", "this node is not enrolled", remedy)]
    except identity.StateDamaged as error:
        return [fail("identity", str(error), again)]
    except OSError as error:
        return [fail("identity", _unreadable(error), "run this as the user that runs the agent (root)")]
    says = "%s (%s) of fleet %s" % (found.node_name, found.node_id, found.fleet_id)
    return [ok("identity", says), _keys(state, again), _ca(state, found, again)]


def _keys(state: str, again: str) -> Finding:
    path = identity.keys_path(state)
    try:
        keys = identity.load_keys(state)
        mode = stat.S_IMODE(os.stat(path).st_mode)
        public = keys.sign_key()
        keys.seal_key()
    except identity.NotEnrolled:
        return fail("keys", "%s is gone: this node cannot prove who it is" % path, again)
    except (identity.StateDamaged, Malformed) as error:
        return fail("keys", str(error), again)
    except ValueError:
        return fail("keys", "%s holds no keys of 32 bytes" % path, again)
    except CryptoUnavailable:
        return fail("keys", "they cannot be used without Ed25519", "see libcrypto")
    except OSError as error:
        return fail("keys", _unreadable(error), "run this as the user that runs the agent (root)")
    if mode & 0o077:
        remedy = "chmod 600 %s; if others had an account here, enroll again" % path
        return fail("keys", "%s can be read by others (mode %04o)" % (path, mode), remedy)
    return ok("keys", "%s, for this user alone" % " ".join(public.split()[:2]))


def _ca(state: str, found: Identity, again: str) -> Finding:
    path = identity.ca_path(state)
    try:
        pem = identity.load_ca(state)
        digest = "sha256:" + hashlib.sha256(ssl.PEM_cert_to_DER_cert(pem)).hexdigest()
    except identity.NotEnrolled:
        return fail("ca", "%s is gone: no server can be trusted without it" % path, again)
    except ValueError:
        return fail("ca", "%s is not a certificate" % path, again)
    except OSError as error:
        return fail("ca", _unreadable(error), "run this as the user that runs the agent (root)")
    if digest != found.ca_digest:
        return fail("ca", "%s is not the CA that this node pinned when it enrolled" % path, again)
    return validity("ca", pem)


def validity(check: str, pem: str, now: Optional[float] = None) -> Finding:
    """Whether a CA certificate is valid by this node's clock."""
    at = time.time() if now is None else now
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    try:
        context.load_verify_locations(cadata=pem)
        (shown,) = context.get_ca_certs()
    except (ssl.SSLError, ValueError):
        return fail(check, "the pinned certificate cannot be read as a CA", "enroll again with a new token")
    begins, ends = (ssl.cert_time_to_seconds(str(shown[name])) for name in ("notBefore", "notAfter"))
    if at < begins:
        remedy = "the clock is behind: set it (`timedatectl set-ntp true`)"
        return fail(check, "by this node's clock the CA is not valid before %s" % shown["notBefore"], remedy)
    if at > ends:
        remedy = "is the clock right? If it is, the fleet has a new CA: enroll again with a new token"
        return fail(check, "by this node's clock the CA has expired on %s" % shown["notAfter"], remedy)
    if ends - at < EXPIRES_SOON:
        return warn(check, "the pinned CA expires on %s" % shown["notAfter"], "plan the fleet's change of CA")
    return ok(check, "the pinned CA is valid until %s" % shown["notAfter"])


def journal(state: str) -> List[Finding]:
    """Whether what the agent must not forget is there and whole. Read without its lock: a torn end may be a write."""
    if identity_of(state) is None:
        return []
    path = os.path.join(state, "journal")
    last = max((int(each.get("seq") or 0) for each in _shown(state).values()), default=0)
    try:
        with open(path, "rb") as file:
            data = file.read(_JOURNAL_AT_MOST)
    except FileNotFoundError:
        if not last and not os.path.exists(os.path.join(state, "held", "set.json")):
            return [ok("journal", "not begun yet")]
        says = "%s is lost: the agent has forgotten which scripts it ran, and its %d reports" % (path, last)
        remedy = (
            "stop the agent, move %s away and enroll again with a new token: the server takes reports that are numbered"
            " from 1 again for old ones" % state
        )
        return [fail("journal", says, remedy)]
    except OSError as error:
        return [fail("journal", _unreadable(error), "run this as the user that runs the agent (root)")]
    found = scan(data)
    if found.damaged or (data and not found.end):
        says = "%d bytes in the middle of it are damaged; the rest is read" % (found.damaged or len(data))
        remedy = "look for a failing disk (`dmesg`, `smartctl -a`); the file as it was is kept beside it as *.damaged"
        return [warn("journal", says, remedy)]
    return [ok("journal", "%d entries, %d KiB" % (len(found.records), len(data) // 1024))]


def link(state: str) -> List[Finding]:
    """What the running agent said last of its connection."""
    if identity_of(state) is None:
        return []
    told = status.read(state, "link.json")
    if not told:
        return [
            warn("link", "no agent has ever tried to connect from here", "start it: `systemctl start opsctl-agent`")
        ]
    says = "%s %s since %s" % (told.get("state"), told.get("server", ""), told.get("since"))
    if told.get("state") == "connected":
        return [ok("link", says)]
    if told.get("state") == "refused":
        remedy = "the server's log says more; is this node still in the fleet (`opsctl node list`)?"
        return [fail("link", "%s: %s" % (says, told.get("why")), remedy)]
    return [warn("link", "%s: %s" % (says, told.get("why")), "see what failed below")]


def _shown(state: str) -> Dict[str, Dict[str, Any]]:
    return {uid: told for uid, told in status.read(state, "results.json").items() if isinstance(told, dict)}


def _unreadable(error: OSError) -> str:
    return "%s: %s" % (error.filename, error.strerror)
