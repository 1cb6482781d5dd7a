"""The link to the server: dial, converse, and when it breaks dial again, with patience.

One thread. Whoever has something to send calls `wake`.
"""

from __future__ import annotations

import os
import threading
from typing import Any, Callable, Dict, List, Mapping, Optional

import agent
from agent.contract.canonical import instant
from agent.contract.record import NamedTuple
from agent.contract.wire import Hello
from agent.host.wakener import Wakener
from agent.link.carrier import Carrier, Door, Lost, Servers
from agent.link.session import Parted, Session
from agent.link.websocket import GOING_AWAY, Binary, Closed, Event, Text, Violation
from agent.log import ERROR, INFO, NOTICE, WARNING, log
from agent.state.node import Node
from agent.state.status import StatusFile
from agent.streams.desk import Desk

PATH = "/agent"
STREAMED_AHEAD = 256 * 1024
"""Bytes of sessions that wait for the socket: whatever is more urgent is behind no more than these."""
LASTING = 10.0
"""Seconds after which a connection was no failure: the next pause is a short one again."""
FIRST_REFUSAL = 4400
"""Close codes from here on mean that the server will not have this node as it is."""


def _drawn(low: float, high: float) -> float:
    """Anything between the two. Not of `random`, which brings more than it is needed for."""
    return low + (high - low) * int.from_bytes(os.urandom(4), "big") / 2**32


class Pace(NamedTuple):
    """How patient the link is, in seconds.

    After a loss the n-th pause is drawn from 0 to `first * 2**n`, at most `last`; after a refusal from half of
    `refused` to all of it. `ping` seconds of silence are answered with a ping, `dead` more end the connection.
    """

    first: float = 1.0
    last: float = 60.0
    refused: float = 300.0
    ping: float = 20.0
    dead: float = 20.0
    handshake: float = 15.0

    @classmethod
    def from_environ(cls, environ: Mapping[str, str]) -> "Pace":
        """OPSCTL_RECONNECT_MAX (seconds) shortens every pause: for tests and demonstrations."""
        try:
            seconds = max(0.01, float(environ["OPSCTL_RECONNECT_MAX"]))
        except (KeyError, ValueError):
            return cls()
        return cls(first=min(cls().first, seconds), last=seconds, refused=seconds)


class _Watch:
    """Whether the peer is still there."""

    def __init__(self, pace: Pace, now: float) -> None:
        self._pace = pace
        self._began = self._last_heard = now
        self._pinged = False

    def heard(self, now: float) -> None:
        self._last_heard, self._pinged = now, False

    def ping_due(self, now: float, is_open: bool) -> bool:
        """Whether to ping now. Raises Lost for a peer that has been silent for too long."""
        silent = now - self._last_heard
        if silent >= self._pace.ping + self._pace.dead or (not is_open and now - self._began >= self._pace.handshake):
            raise Lost("the server fell silent")
        if silent < self._pace.ping or self._pinged:
            return False
        self._pinged = True
        return True

    def patience(self, now: float, is_open: bool) -> float:
        """Seconds until `ping_due` has something to decide."""
        limit = self._pace.ping + self._pace.dead if self._pinged else self._pace.ping
        left = self._last_heard + limit - now
        return max(0.0, left if is_open else min(left, self._began + self._pace.handshake - now)) + 0.001


class Link:
    """Keeps one server connected, of the several that the identity names.

    `session` is the open conversation, if there is one; `moved` is notified whenever it may have got on. `over` says
    that there will be no other.
    """

    def __init__(
        self,
        node: Node,
        ca_pem: str,
        hello: Callable[[], Hello],
        on_assigned: Callable[[], None],
        status: StatusFile,
        pace: Optional[Pace] = None,
        draw: Callable[[float, float], float] = _drawn,
        door: Optional[Door] = None,
    ) -> None:
        """`door` stands in for the identity's servers. Sessions are opened where there is a `desk`."""
        self.desk: Optional[Desk] = None
        self._node, self._hello, self._on_assigned = node, hello, on_assigned
        self._door = door or Servers(node.identity.servers, PATH, ca_pem)
        self._status, self._draw = status, draw
        self._pace = pace or Pace.from_environ(os.environ)
        self._wakener = Wakener()
        self._stopping = threading.Event()
        self._pulse_due = threading.Event()
        self._lacking = threading.Event()
        self._checked_at: Optional[int] = None
        self._failures = 0
        self._open_since = 0.0
        self._since: Optional[str] = None
        self._connected = False
        self.session: Optional[Session] = None
        self.over = False
        self.moved = threading.Condition()

    def wake(self) -> None:
        """There are reports to send."""
        self._wakener.wake()

    def pulse(self, checked_at: Optional[int]) -> None:
        """Tell the server that everything was looked at since `checked_at` (Unix milliseconds)."""
        self._checked_at = checked_at
        self._pulse_due.set()
        self._wakener.wake()

    def lacking(self) -> None:
        """Bytes of the held set are lost on disk: fetch them again."""
        self._lacking.set()
        self._wakener.wake()

    def stop(self) -> None:
        """End `run` soon, with a close frame."""
        self._stopping.set()
        self._wakener.wake()

    def run(self) -> None:
        """Stay connected until `stop`, until a retired node has nothing more to say, or until the door is shut."""
        pause = 0.0
        for address in self._door.addresses():
            if not self._stopping.is_set() and not self.done():
                self._stopping.wait(pause)
            if self._stopping.is_set() or self.done():
                break
            pause = self._once(address)
        if self.done():
            self._show("retired", "", "the fleet has retired this node and knows that it is done")
        self.over = True
        with self.moved:
            self.moved.notify_all()

    def talking(self, still: Callable[[Session], bool]) -> bool:
        """Whether there is an open conversation of which `still` holds."""
        session = self.session
        return session is not None and still(session)

    def close(self) -> None:
        """After `run` has returned."""
        self._wakener.close()

    def _once(self, url: str) -> float:
        """One connection from dial to end; the pause before the next, in seconds."""
        if self._since is None:
            self._show("connecting", url, "")
        try:
            carrier = self._door.open(url, self._wakener, self._pace.handshake)
            parted = self._converse(carrier, url)
        except Lost as error:
            return self._lost(url, str(error))
        except Exception as error:  # a full disk, a defect: the link must outlive it
            log(ERROR, "the link failed: %r", error)
            return self._lost(url, "the agent failed: %r" % error)
        if parted is None:
            return 0.0
        return self._refused(url, str(parted)) if parted.refused else self._lost(url, str(parted))

    def _converse(self, carrier: Carrier, url: str) -> Optional[Parted]:
        """Talk until one side ends it; None when it was us. Raises Lost."""
        session = Session(self._node, carrier.fingerprint, self._hello, self._on_assigned, self.desk)
        try:
            self._pump(carrier, session, url)
            carrier.conversation.send_close(GOING_AWAY, "the agent stops")
            return None
        except Parted as error:
            carrier.conversation.send_close(error.code, str(error))
            return error
        except Violation as error:
            carrier.conversation.send_close(error.code, str(error))
            return Parted(error.code, "the server broke the WebSocket protocol: %s" % error)
        finally:
            if self.session is not None and self._node.clock.elapsed() - self._open_since >= LASTING:
                self._failures = 0
            self.session = None
            session.ended()
            carrier.close()

    def _pump(self, carrier: Carrier, session: Session, url: str) -> None:
        clock = self._node.clock
        watch = _Watch(self._pace, clock.elapsed())
        while not self._stopping.is_set() and not (session.open and self.done()):
            if watch.ping_due(clock.elapsed(), session.open):
                carrier.conversation.send_ping()
            patience = min(watch.patience(clock.elapsed(), session.open), session.patience())
            events = carrier.exchange(patience)
            if events:
                watch.heard(clock.elapsed())
            self._handle(events, session)
            if session.open:
                self._while_open(session, url, bool(events))
            _say_all(session, carrier)
            with self.moved:
                self.moved.notify_all()
        if session.open:
            self._while_open(session, url, heard=False)  # whoever stopped us may have had something to tell before
            _say_all(session, carrier)

    def _while_open(self, session: Session, url: str, heard: bool) -> None:
        if self.session is None:
            self.session, self._open_since = session, self._node.clock.elapsed()
            self._show("connected", url, "")
            log(NOTICE, "connected to %s", url)
        if heard:
            self._node.contact.heard()
        if self._pulse_due.is_set():
            self._pulse_due.clear()
            session.pulse(self._checked_at)
        if self._lacking.is_set():
            self._lacking.clear()
            session.complete()
        session.tick()

    def _handle(self, events: List[Event], session: Session) -> None:
        for event in events:
            if isinstance(event, Text):
                session.text(event.text)
            elif isinstance(event, Binary):
                session.binary(event.data)
            elif isinstance(event, Closed):
                said = "the server closed the connection (%d%s)" % (
                    event.code,
                    ": " + event.reason if event.reason else "",
                )
                raise Parted(event.code if event.code >= 3000 else GOING_AWAY, said, event.code >= FIRST_REFUSAL)

    def _lost(self, url: str, why: str) -> float:
        pause = self._draw(0, min(self._pace.last, self._pace.first * 2**self._failures))
        self._failures = min(self._failures + 1, 16)
        log(WARNING if self._failures == 1 else INFO, "not connected: %s; next try in %.1f s", why, pause)
        self._show("waiting", url, why)
        return pause

    def _refused(self, url: str, why: str) -> float:
        pause = self._draw(self._pace.refused / 2, self._pace.refused)
        log(WARNING, "refused: %s; next try in %.0f s", why, pause)
        self._show("refused", url, why)
        return pause

    def done(self) -> bool:
        """Whether a retired node has said its last."""
        desired = self._node.assignments.desired()
        return bool(desired and desired.retired and not desired.removing and not self._node.journal.pending_count())

    def _show(self, state: str, url: str, why: str) -> None:
        """`since` is when the node was connected, or stopped being so; tries in between leave it alone."""
        if self._since is None or (state == "connected") != self._connected:
            self._since, self._connected = instant(self._node.clock.now()), state == "connected"
        value: Dict[str, Any] = {"state": state, "server": url, "since": self._since, "version": agent.__version__}
        if why:
            value["why"] = why
        self._status.write(value)
        with self.moved:
            self.moved.notify_all()


def _say_all(session: Session, carrier: Carrier) -> None:
    while session.outgoing:
        said = session.outgoing.popleft()
        if isinstance(said, str):
            carrier.conversation.send_text(said)
        else:
            carrier.conversation.send_binary(said)
    while len(carrier.conversation.outgoing) < STREAMED_AHEAD:
        next_ = session.next_said()
        if next_ is None:
            break
        if isinstance(next_, str):
            carrier.conversation.send_text(next_)
        else:
            carrier.conversation.send_binary(next_)
