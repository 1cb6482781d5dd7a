"""A client's end of one channel of a session: it survives the connection, the gateway and the server being restarted.

What was said is kept until the node has it; after a break both sides say how much they have and go on from there.
"""

from __future__ import annotations

import json
import secrets
import threading
import time
from typing import TYPE_CHECKING, Any

from websockets.exceptions import ConnectionClosed

from agent.contract import frames
from agent.contract.codec import from_wire, to_wire
from agent.contract.flow import Incoming, Outgoing
from agent.contract.session import Ended, Left, Opened, Opening, Resized, Signalled, Taken
from reconciler.core.problem import Problem, Refused, Unavailable

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from websockets.sync.client import ClientConnection

    from agent.contract.codec import Wire
    from reconciler.api.client import Client

OVER = 4403
PATIENCE = 120.0
"""Seconds for which a lost connection is tried again: as long as the node keeps the session."""
LONGEST_PAUSE = 2.0


class ClientChannel:
    """`heard` takes what the node says (nothing at its end), on a thread of its own; while it blocks, the node waits.

    `run` lasts until the end; `send` and the others may be called from any thread meanwhile.
    """

    def __init__(
        self,
        client: Client,
        ticket: Mapping[str, Any],
        heard: Callable[[bytes], object],
        *,
        number: int = 0,
        size: tuple[int, int] = (24, 80),
        term: str = "xterm",
        on_lost: Callable[[str], object] = lambda _why: None,
    ) -> None:
        self._client, self._ticket, self._heard, self._on_lost = client, dict(ticket), heard, on_lost
        self._number, self._size, self._term = number, size, term
        self._out, self._into = Outgoing(), Incoming()
        self._changed = threading.Condition(threading.RLock())
        self._socket: ClientConnection | None = None
        self._known = self._closing = False
        self.opened = threading.Event()
        self.ended: Ended | None = None

    def run(self) -> Ended:
        """Converse until the channel is over. Raises `Refused` where it never begins, `Unavailable` after too long."""
        until = time.monotonic() + PATIENCE
        pause = 0.05
        while self.ended is None:
            try:
                if self._once():
                    until, pause = time.monotonic() + PATIENCE, 0.05
            except Unavailable as problem:
                if time.monotonic() > until:
                    self._finish(Ended(0, None, str(problem)))
                    raise
                self._on_lost(str(problem))
            if self.ended is None:
                time.sleep(pause * (1 + secrets.randbelow(100) / 100) / 2)
                pause = min(LONGEST_PAUSE, pause * 2)
        if not self._known:
            raise Refused(self.ended.reason or "the session did not begin", "session")
        return self.ended

    def send(self, data: bytes) -> None:
        """Say this to the node, once there is room for it; nothing after the end."""
        rest = memoryview(data)
        while rest:
            with self._changed:
                self._changed.wait_for(lambda: self._out.room or self.ended is not None)
                if self.ended is not None:
                    return
                room = self._out.room
                self._out.add(bytes(rest[:room]))
                rest = rest[room:]
                self._flush()

    def finish(self) -> None:
        """Say that nothing follows."""
        with self._changed:
            self._out.finish()
            self._flush()

    def resize(self, rows: int, columns: int) -> None:
        """The terminal has another size."""
        self._size = (rows, columns)
        self._say(Resized(0, rows, columns))

    def signal(self, name: str) -> None:
        """A signal to what runs in the foreground."""
        self._say(Signalled(0, name))

    def leave(self) -> None:
        """End the channel, for good."""
        self._closing = True
        self._say(Left(0, True))

    def _once(self) -> bool:
        """One connection; whether the node was reached."""
        reached = False
        with self._client.session_socket() as socket:
            rows, columns = self._size
            opening = Opening(0, self._number, self._into.resume(), self._known, rows, columns, self._term)
            asked = {**to_wire(opening), "type": "ticket", "signed": self._ticket}
            try:
                socket.send(json.dumps(asked))
                for message in socket:
                    reached = True
                    self._take(socket, message)
                    if self.ended is not None:
                        return True
            except ConnectionClosed:
                pass
            finally:
                with self._changed:
                    self._socket = None
            if socket.close_code == OVER:
                self._finish(Ended(0, None, socket.close_reason or "it is over"))
            elif self.ended is None:
                self._on_lost(socket.close_reason or "the connection broke")
        return reached

    def _take(self, socket: ClientConnection, message: str | bytes) -> None:
        if isinstance(message, bytes):
            data = self._into.chunk(frames.unpack(message))
            if data:
                self._heard(data)
            if self._into.ended:
                self._heard(b"")
            offset = self._into.passed(len(data))
            if offset is not None:
                socket.send(frames.control(Taken(0, offset)))
            return
        name, value = frames.read_control(message)
        if name == "opened":
            with self._changed:
                self._out.resume(from_wire(Opened, value).received)
                self._socket, self._known = socket, True
                self.opened.set()
                self._flush()
                if self._closing:
                    self.leave()
        elif name == "taken":
            with self._changed:
                self._out.taken(from_wire(Taken, value).offset)
                self._changed.notify_all()
        elif name == "ended":
            self._finish(from_wire(Ended, value))

    def _flush(self) -> None:
        while self._socket is not None:
            frame = self._out.next_frame(0)
            if frame is None:
                return
            self._say_now(frame)

    def _say(self, message: Wire) -> None:
        with self._changed:
            if self._socket is not None:
                self._say_now(frames.control(message))

    def _say_now(self, frame: str | bytes) -> None:
        assert self._socket is not None
        try:
            self._socket.send(frame)
        except ConnectionClosed:
            self._socket = None

    def _finish(self, ended: Ended) -> None:
        with self._changed:
            self.ended = ended
            self._changed.notify_all()
        self.opened.set()


def in_background(channel: ClientChannel, then: Callable[[Ended], object]) -> threading.Thread:
    """Run a channel in a thread of its own."""

    def run() -> None:
        try:
            ended = channel.run()
        except Problem as problem:
            ended = Ended(0, None, str(problem))
        then(ended)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    return thread
