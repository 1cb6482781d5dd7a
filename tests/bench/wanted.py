"""What one server should be, in the words of every tool that is measured on it."""

from __future__ import annotations

import marshal
import random
import shutil
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from agent.clock import SystemClock
from agent.contract import sshsig, wire
from agent.contract.canonical import canonical, digest, instant
from agent.contract.codec import to_wire
from agent.state import identity
from agent.state.assignments import Assignments
from agent.state.contact import Contact
from tests.agent.pki import ControllerKey

PACKAGES = ("base-files", "bash", "coreutils", "dpkg", "grep", "gzip", "libc6", "sed", "tar", "util-linux")
"""Installed on every Debian."""
_FLEET, _NODE = "bench", "mi-0123456789abcdef0"


@dataclass(frozen=True, slots=True)
class Wanted:
    """Everything lies beneath `place`. A line is wanted in a file that has others too."""

    place: Path
    directories: tuple[Path, ...]
    files: dict[Path, str]
    links: dict[Path, str]
    lines: dict[Path, str]
    packages: tuple[str, ...]

    def begin(self) -> None:
        """An empty place, but for the files that lines are wanted in."""
        shutil.rmtree(self.place, ignore_errors=True)
        self.place.mkdir(parents=True)
        for path in self.lines:
            path.write_text("".join(f"# what others wrote, line {at}\n" for at in range(40)))

    def complete(self) -> bool:
        """Whether all of it is so."""
        return (
            all(path.is_dir() for path in self.directories)
            and all(path.read_text() == text for path, text in self.files.items())
            and all(str(path.readlink()) == target for path, target in self.links.items())
            and all(line in path.read_text().splitlines() for path, line in self.lines.items())
        )


def wanted(
    place: Path, *, files: int = 200, directories: int = 20, links: int = 20, lines: int = 5, packages: bool = True
) -> Wanted:
    """The server of the published figures, or a part of it."""
    draw = random.Random(files)
    made = tuple(place / f"dir-{at:02}" for at in range(directories))
    return Wanted(
        place,
        made,
        {
            made[at % directories] / f"file-{at:03}.conf": "".join(
                f"setting-{row:02} = {draw.getrandbits(60):015x} {draw.getrandbits(60):015x}\n" for row in range(22)
            )[:1023]
            + "\n"
            for at in range(files)
        },
        {made[at % directories] / f"link-{at:02}": f"file-{at:03}.conf" for at in range(links)},
        {place / f"shared-{at}.conf": f"ours-{at} = yes" for at in range(lines)},
        PACKAGES if packages else (),
    )


def steps(want: Wanted) -> list[wire.BodyStep]:
    """The same as steps of a document."""
    rows: list[tuple[str, dict[str, Any]]] = []
    rows += [("ops:directory", {"path": str(path), "mode": "0755"}) for path in want.directories]
    rows += [("ops:file", {"path": str(path), "content": text, "mode": "0644"}) for path, text in want.files.items()]
    rows += [("ops:link", {"path": str(path), "target": target}) for path, target in want.links.items()]
    rows += [("ops:line", {"path": str(path), "line": line}) for path, line in want.lines.items()]
    if want.packages:
        rows.append(("ops:package", {"name": list(want.packages)}))
    return [wire.BodyStep(f"step-{at:03}", action, 1, inputs) for at, (action, inputs) in enumerate(rows)]


def enrolled(state: Path, want: Wanted) -> None:
    """A state directory of a node that holds this, as if a server had just sent it."""
    shutil.rmtree(state, ignore_errors=True)
    controller = ControllerKey()
    found = identity.Identity(_FLEET, _NODE, "bench", controller.text, "sha256:00", ["https://bench.invalid:8443"], 1)
    identity.keys_made(str(state))
    identity.save(str(state), found, "")
    held = Assignments(str(state), found)

    def put(value: wire.Body | wire.NodeContext) -> str:
        data = canonical(to_wire(value))
        incoming = held.objects.receive(digest(data), len(data))
        incoming.write(data)
        incoming.finish()
        return digest(data)

    body = put(wire.Body("Association/bench", "bench", steps(want)))
    given = wire.AssignmentSet(
        protocol=wire.PROTOCOL,
        fleet_id=_FLEET,
        node_id=_NODE,
        incarnation=1,
        serial=1,
        issued_at=instant(int(time.time() * 1000)),
        expires_in=wire.VALID_FOR,
        context_digest=put(wire.NodeContext("bench")),
        assignments={"Association/bench": wire.Assignment(1, body, "none", [wire.Interval()])},
    )
    payload = canonical(to_wire(given))
    held.commit(controller.sign(sshsig.ASSIGNMENTS, payload), held.check(payload))
    Contact(str(state), SystemClock(), identity.boot_id()).heard()


def write_wanted(path: Path, want: Wanted) -> None:
    """The same for the bare loop, with the digest of each file."""
    value = {
        "directories": [str(each) for each in want.directories],
        "files": {str(each): digest(text.encode()) for each, text in want.files.items()},
        "links": {str(each): target for each, target in want.links.items()},
        "lines": {str(each): line for each, line in want.lines.items()},
        "packages": list(want.packages),
    }
    path.write_bytes(marshal.dumps(value, 2))
