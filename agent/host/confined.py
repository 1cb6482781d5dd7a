"""Runs one script as nobody in particular, within bounds, and says what it returned. A program of its own.

    python3 -I FILE        FILE is this text and one line more, which calls `main` with what is asked

Standard output is the value returned, as JSON, and nothing else; what the script prints goes to standard error. Started
by root, the script has a user id of its own that nothing else has, no way to other privileges, and directories for
temporary files that nobody else sees and that are gone with it; started by anybody else it stays that user. It imports
nothing of ours.
"""

from __future__ import annotations

import base64
import contextlib
import ctypes
import importlib
import io
import json
import os
import resource
import secrets
import shutil
import signal
import sys
import tempfile
import traceback
import types
import zipfile
from typing import Any, Dict, List, Optional, Tuple

RETURNED = 100 * 1024
"""Bytes of JSON that a script may return, as in SSM."""
ITEMS = 100
"""Items of a list that is returned; those after them are left out, as in SSM."""
MEMORY, FILE, FILES, PROCESSES, TEMPORARY = 512 << 20, 64 << 20, 256, 64, 256 << 20
"""Bytes of memory of a process, of a file; open files; processes; bytes of temporary files together."""
NOT_HERE = 127
USERS = (61184, 65519)
"""User ids that systemd gives to services for their time alone, and nobody else should have."""
_TEMPORARY = ("/tmp", "/var/tmp", "/dev/shm")
"""Where others keep temporary files: hidden from the script."""
_NEW_MOUNTS, _REC, _PRIVATE, _BIND, _NOSUID, _NODEV = 0x20000, 0x4000, 1 << 18, 4096, 2, 4
_NO_NEW_PRIVILEGES = 38
_LIBC = ctypes.CDLL(None, use_errno=True)


def main(asked: Dict[str, Any]) -> int:
    """`kind` is python or powershell; `script`, or `attachment` (base64) with its `name`; `payload` is JSON text."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)  # the script is asked to end; this one says how it did
    program = _powershell() if asked["kind"] == "powershell" else ""
    if asked["kind"] == "powershell" and not program:
        return _complain("PowerShell is not on this node: there is no `pwsh` in its PATH", NOT_HERE)
    user = _unused_user() if os.geteuid() == 0 else None
    directory = tempfile.mkdtemp(prefix="opsctl-script-")
    try:
        with tempfile.TemporaryFile() as result:
            pid = os.fork()
            if pid == 0:
                _child(asked, program, user, directory, result.fileno())
            _, status = os.waitpid(pid, 0)
            _end_all(pid, user)
            result.seek(0)
            said = result.read(8 * RETURNED)
    finally:
        shutil.rmtree(directory, ignore_errors=True)
    if os.WIFSIGNALED(status):
        return _complain(_killed(os.WTERMSIG(status), asked["seconds"]))
    if os.WEXITSTATUS(status):
        return 1
    return _tell(_of_powershell(said) if program else said)


def _tell(said: bytes) -> int:
    if len(said) > RETURNED:
        return _complain("what it returned is too long: more than %d bytes of JSON" % RETURNED)
    sys.stdout.buffer.write(said)
    sys.stdout.flush()
    return 0


def _complain(text: str, rc: int = 1) -> int:
    sys.stderr.write(text + "\n")
    return rc


def _killed(number: int, seconds: int) -> str:
    why = " (its limit of %d s of computing time)" % seconds if number == signal.SIGXCPU else ""
    return "the script was ended by signal %d%s" % (number, why)


def _end_all(group: int, user: Optional[int]) -> None:
    """Nothing of the script goes on after it."""
    with contextlib.suppress(OSError):
        os.killpg(group, signal.SIGKILL)
    for pid in _processes_of(user) if user is not None else ():
        with contextlib.suppress(OSError):
            os.kill(pid, signal.SIGKILL)


def _processes_of(user: int) -> List[int]:
    found = []
    for name in os.listdir("/proc"):
        with contextlib.suppress(OSError):
            if name.isdigit() and os.stat("/proc/" + name).st_uid == user:
                found.append(int(name))
    return found


def _unused_user() -> int:
    """A user id that no account and no process has."""
    import pwd

    while True:
        user = USERS[0] + secrets.randbelow(USERS[1] - USERS[0] + 1)
        try:
            pwd.getpwuid(user)
        except KeyError:
            if not _processes_of(user):
                return user


# In the script's own process


def _child(asked: Dict[str, Any], program: str, user: Optional[int], directory: str, result: int) -> None:
    """Never returns."""
    rc = 1
    try:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        os.setpgid(0, 0)
        os.umask(0o077)
        place = _confined(user, directory, asked["seconds"])
        os.chdir(place)
        os.environ.update(HOME=place, TMPDIR=place)
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        os.dup2(2, 1)
        if program:
            os.dup2(result, 1)
            _become_powershell(program, asked)
        sys.stdout = sys.stderr
        os.write(result, _called(asked, place))
        rc = 0
    except SystemExit as end:
        rc = _exit_code(end, result)
    except BaseException as error:
        _show(error)
    finally:
        with contextlib.suppress(Exception):
            sys.stderr.flush()
        os._exit(rc)


def _confined(user: Optional[int], directory: str, seconds: int) -> str:
    """Leave all privileges; the directory that is the script's own."""
    place = directory
    if user is not None:
        if _hide_temporary():
            place = "/tmp"
        else:
            os.chown(directory, user, user)
    bounds = [
        (resource.RLIMIT_CPU, seconds),
        (resource.RLIMIT_DATA, MEMORY),
        (resource.RLIMIT_FSIZE, FILE),
        (resource.RLIMIT_NOFILE, FILES),
        (resource.RLIMIT_CORE, 0),
    ]
    if user is not None:
        bounds.append((resource.RLIMIT_NPROC, PROCESSES))
    for limit, most in bounds:
        hard = resource.getrlimit(limit)[1]
        least = most if hard == resource.RLIM_INFINITY else min(most, hard)
        resource.setrlimit(limit, (least, least + 1 if limit == resource.RLIMIT_CPU and least < hard else least))
    _LIBC.prctl(_NO_NEW_PRIVILEGES, 1, 0, 0, 0)
    if user is not None:
        os.setgroups([])
        os.setresgid(user, user, user)
        os.setresuid(user, user, user)
    return place


def _hide_temporary() -> bool:
    """Give this process directories for temporary files of its own, bounded in size; whether that is possible."""
    if not sys.platform.startswith("linux") or _LIBC.unshare(_NEW_MOUNTS):
        return False
    if _LIBC.mount(b"none", b"/", None, _REC | _PRIVATE, None):
        return False
    first = _TEMPORARY[0].encode()
    if _LIBC.mount(b"tmpfs", first, b"tmpfs", _NOSUID | _NODEV, b"mode=1777,size=%d" % TEMPORARY):
        return False
    for other in _TEMPORARY[1:]:
        if os.path.isdir(other):
            _LIBC.mount(first, other.encode(), None, _BIND, None)
    return True


def _called(asked: Dict[str, Any], place: str) -> bytes:
    """What the function returns, as JSON."""
    handler = _handler(asked, place)
    events = json.loads(asked["payload"])
    value = handler(events, asked["context"])
    if isinstance(value, list):
        value = value[:ITEMS]
    try:
        return json.dumps(value, allow_nan=False).encode()
    except (TypeError, ValueError) as error:
        raise _Unfit("what `%s` returned is not JSON: %s" % (asked["handler"], error)) from None


class _Unfit(Exception):
    """The script is not as it has to be; the text is a sentence."""


def _handler(asked: Dict[str, Any], place: str) -> Any:
    sys.path.insert(0, place)
    sys.dont_write_bytecode = True
    name, module = asked["handler"], None
    if asked.get("attachment") is not None:
        _unpack(asked["name"], base64.b64decode(asked["attachment"]), place)
    if asked.get("script") is not None:
        path = os.path.join(place, "script.py")
        _write(path, asked["script"].encode("utf-8", "surrogateescape"))
        module = types.ModuleType("script")
        module.__file__ = path
        sys.modules["script"] = module
        exec(compile(asked["script"], path, "exec"), module.__dict__)
    else:
        inside, _, name = name.rpartition(".")
        module = importlib.import_module(inside or os.path.splitext(asked["name"])[0])
    found = getattr(module, name, None)
    if not callable(found):
        raise _Unfit("there is no function `%s` in the script" % name)
    return found


def _unpack(name: str, data: bytes, place: str) -> None:
    if zipfile.is_zipfile(io.BytesIO(data)):
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            archive.extractall(place)
    else:
        _write(os.path.join(place, os.path.basename(name)), data)


def _write(path: str, data: bytes) -> None:
    with open(path, "wb") as file:
        file.write(data)


def _show(error: BaseException) -> None:
    """As Python shows it, without this program's own frames."""
    if isinstance(error, _Unfit):
        sys.stderr.write("%s\n" % error)
        return
    frames = error.__traceback__
    while frames is not None and frames.tb_frame.f_code.co_filename == __file__:
        frames = frames.tb_next
    traceback.print_exception(type(error), error, frames, file=sys.stderr)


def _exit_code(end: SystemExit, result: int) -> int:
    """A script that ends itself has returned nothing."""
    if end.code in (None, 0):
        os.write(result, b"null")
        return 0
    sys.stderr.write("the script ended itself with %s\n" % end.code)
    return 1


# PowerShell


def _powershell() -> str:
    return shutil.which("pwsh") or ""


def _become_powershell(program: str, asked: Dict[str, Any]) -> None:
    script = asked.get("script")
    if script is None:
        _unpack(asked["name"], base64.b64decode(asked["attachment"]), ".")
        path = asked["name"] if asked["name"].endswith(".ps1") else asked["handler"]
    else:
        path = "script.ps1"
        _write(path, script.encode("utf-8", "surrogateescape"))
    os.environ.update(
        InputPayload=asked["payload"], POWERSHELL_TELEMETRY_OPTOUT="1", DOTNET_gcHeapHardLimit="0x18000000"
    )
    os.execv(program, [program, "-NoLogo", "-NoProfile", "-NonInteractive", "-File", path])


def _of_powershell(said: bytes) -> bytes:
    """The JSON that its output ends with; `null` for output that has none. What comes before it was printed."""
    text = said.decode("utf-8", "replace").strip()
    lines = text.splitlines()
    for first in range(len(lines)):
        found, value = _json("\n".join(lines[first:]))
        if found:
            sys.stderr.write("".join(line + "\n" for line in lines[:first]))
            return json.dumps(value).encode()
    sys.stderr.write(text + "\n" if text else "")
    return b"null"


def _json(text: str) -> Tuple[bool, Any]:
    try:
        return True, json.loads(text)
    except ValueError:
        return False, None
