"""All sessions of this node, in a thread of their own. The link's thread hands in what the server says, and takes away
what there is to say, one frame of each channel in turn; neither ever waits for the other's work.
"""

from __future__ import annotations

import select
import threading
from collections import deque
from typing import Callable, Deque, Dict, List, Optional, Tuple, Union

from agent.clock import Clock
from agent.contract import frames
from agent.contract.codec import Malformed, Wire
from agent.contract.session import PORT, SHELL, Ended, Left, Opening, Resized, Signalled, Taken, Ticket
from agent.contract.wire import Signed
from agent.host.wakener import Wakener
from agent.log import NOTICE, log
from agent.state.identity import Identity
from agent.streams.channel import Channel
from agent.streams.endpoint import Endpoint, NotOpened
from agent.streams.tickets import TicketRefused, checked, limit

SESSIONS, CHANNELS = 256, 128
"""Sessions on one node, and channels of one session."""
GRACE = 120
"""Seconds that a session waits for a client that is gone, where its ticket does not say."""
REMEMBERED = 4096
_LOOK_SECONDS = 1.0


class _Session:
    """One ticket, and what it opened."""

    def __init__(self, ticket: Ticket, now: float) -> None:
        self.ticket, self.began, self.last_input = ticket, now, now
        self.channels: Dict[int, Channel] = {}
        self.over: Dict[int, Ended] = {}
        self.empty_since = now

    def why_over(self, now: float) -> str:
        """Why it has to end, empty where it has not to."""
        if now - self.began >= limit(self.ticket, "duration"):
            return "it lasted as long as it may"
        idle = limit(self.ticket, "idle")
        if idle and self.ticket.sort == SHELL and now - self.last_input >= idle:
            return "nothing was typed for %d s" % idle
        return ""

    def abandoned(self, now: float) -> bool:
        """Whether nobody was there for too long."""
        grace = limit(self.ticket, "grace") or GRACE
        gone = [channel.left_at if channel.stream is None else now for channel in self.channels.values()]
        return now - max(gone or [self.empty_since]) >= grace


class Desk:
    """`wake` is called when there is something for the link to send."""

    def __init__(self, identity: Identity, clock: Clock, wake: Callable[[], None]) -> None:
        self._identity, self._clock, self._wake = identity, clock, wake
        self._mutex = threading.RLock()
        self._wakener = Wakener()
        self._stopping = threading.Event()
        self._sessions: Dict[str, _Session] = {}
        self._known: Dict[str, None] = {}
        self._streams: Dict[int, Tuple[_Session, Channel]] = {}
        self._turns: Deque[int] = deque()
        self._says: Deque[str] = deque()

    # What the link's thread calls

    def take(self, signed: Signed, opening: Opening) -> None:
        """A ticket, with what is to be opened. Raises `TicketRefused`; the client is told in any case."""
        with self._mutex:
            try:
                ticket = checked(signed, self._identity)
                self._open(ticket, opening)
            except (TicketRefused, Malformed) as error:
                self._say(Ended(opening.stream, None, str(error)))
                if isinstance(error, TicketRefused):
                    raise
        self._wakener.wake()

    def chunk(self, frame: frames.StreamFrame) -> None:
        """Bytes from a client; of a channel that is over, they are late."""
        with self._mutex:
            session, channel = self._streams.get(frame.stream, (None, None))
            if session is None or channel is None:
                return
            try:
                if channel.chunk(frame):
                    session.last_input = self._clock.elapsed()
            except Malformed as error:
                self._end(session, channel, Ended(frame.stream, None, str(error)))
        self._wakener.wake()

    def control(self, message: Wire) -> None:
        """A plain frame of a client's."""
        with self._mutex:
            stream = getattr(message, "stream", 0)
            session, channel = self._streams.get(stream, (None, None))
            if session is None or channel is None:
                return
            if isinstance(message, Taken):
                try:
                    channel.taken(message.offset)
                except Malformed as error:
                    self._end(session, channel, Ended(stream, None, str(error)))
            elif isinstance(message, Left):
                self._leave(session, channel, message.for_good)
            elif channel.endpoint is not None and isinstance(message, Resized):
                channel.endpoint.resize(message.rows, message.columns)
            elif channel.endpoint is not None and isinstance(message, Signalled):
                channel.endpoint.signal(message.name)
        self._wakener.wake()

    def revoke(self, ticket_id: str) -> None:
        """End a session now, and open it no more."""
        with self._mutex:
            self._know(ticket_id)
            session = self._sessions.get(ticket_id)
            if session is not None:
                self._close(session, "it was ended by the server")
        self._wakener.wake()

    def parted(self) -> None:
        """The connection is gone: nobody is there for now."""
        now = self._clock.elapsed()
        with self._mutex:
            for session in self._sessions.values():
                for channel in session.channels.values():
                    channel.detach(now)
            self._streams.clear()
            self._turns.clear()
            self._says.clear()
        self._wakener.wake()

    def next_said(self) -> Optional[Union[str, bytes]]:
        """What to send next; None where there is nothing."""
        with self._mutex:
            if self._says:
                return self._says.popleft()
            for _ in range(len(self._turns)):
                stream = self._turns[0]
                self._turns.rotate(-1)
                found = self._streams.get(stream)
                frame = found[1].next_frame() if found is not None else None
                if frame is not None:
                    return frame
        return None

    def stop(self) -> None:
        """End every session, and `run`."""
        self._stopping.set()
        self._wakener.wake()

    def close(self) -> None:
        """After `run` has returned."""
        self._wakener.close()

    # The thread

    def run(self) -> None:
        """Move bytes until `stop`."""
        while not self._stopping.is_set():
            poll = select.poll()
            poll.register(self._wakener.file, select.POLLIN)
            with self._mutex:
                open_ = bool(self._sessions)
                for channel in self._channels():
                    events = channel.events()
                    if channel.endpoint is not None and events:
                        poll.register(channel.endpoint.file, events)
            poll.poll(_LOOK_SECONDS * 1000 if open_ else None)
            self._wakener.clear()
            with self._mutex:
                self._pump()
                self._expire()
                says = bool(self._says) or any(found[1].sendable for found in self._streams.values())
            if says:
                self._wake()
        with self._mutex:
            for session in list(self._sessions.values()):
                self._close(session, "the agent stops")

    def _channels(self) -> List[Channel]:
        return [channel for session in self._sessions.values() for channel in session.channels.values()]

    def _pump(self) -> None:
        for session in list(self._sessions.values()):
            for channel in list(session.channels.values()):
                channel.pump()
                if channel.settled() and channel.endpoint is not None:
                    self._end(session, channel, Ended(channel.stream or 0, channel.endpoint.code()))

    def _expire(self) -> None:
        now = self._clock.elapsed()
        for session in list(self._sessions.values()):
            why = session.why_over(now)
            if why or session.abandoned(now):
                self._close(session, why or "nobody came back to it")

    # How

    def _open(self, ticket: Ticket, opening: Opening) -> None:
        now = self._clock.elapsed()
        session = self._sessions.get(ticket.ticket_id)
        if session is None:
            if opening.again or ticket.ticket_id in self._known:
                raise TicketRefused("the session is over")
            if len(self._sessions) >= SESSIONS:
                raise TicketRefused("there are %d sessions on this node already" % SESSIONS)
            session = self._sessions[ticket.ticket_id] = _Session(ticket, now)
            self._know(ticket.ticket_id)
            log(NOTICE, "session %s of %s: %s", ticket.ticket_id, ticket.subject, ticket.sort)
        ended = session.over.get(opening.channel)
        if ended is not None:
            raise TicketRefused(ended.reason or "the channel is over")
        channel = session.channels.get(opening.channel)
        if channel is None:
            channel = self._begin(session, opening, now)
        elif channel.stream is not None:
            self._streams.pop(channel.stream, None)
            self._say(Ended(channel.stream, None, "it was taken up from elsewhere"))
        channel.attach(opening.stream, opening.received)
        self._streams[opening.stream] = (session, channel)
        self._turns = deque(self._streams)

    def _begin(self, session: _Session, opening: Opening, now: float) -> Channel:
        if opening.again:
            raise TicketRefused("the channel is over")
        if len(session.channels) >= CHANNELS:
            raise TicketRefused("the session has %d channels already" % CHANNELS)
        if session.ticket.sort == SHELL and opening.channel:
            raise TicketRefused("a shell has one channel")
        channel = Channel(opening.channel, self._say, _nobody, now)
        session.channels[opening.channel] = channel
        if session.ticket.sort == SHELL or opening.channel:
            opener = threading.Thread(target=self._connect, args=(session, channel, opening), daemon=True)
            opener.start()
        return channel

    def _connect(self, session: _Session, channel: Channel, opening: Opening) -> None:
        """To open an endpoint may take a while."""
        try:
            endpoint = _endpoint(session.ticket, opening)
        except Exception as error:
            with self._mutex:
                why = str(error) if isinstance(error, NotOpened) else "the agent failed: %r" % error
                self._end(session, channel, Ended(0, None, why))
        else:
            with self._mutex:
                if session.channels.get(channel.number) is channel:
                    channel.endpoint = endpoint
                else:
                    endpoint.close()
        self._wakener.wake()

    def _leave(self, session: _Session, channel: Channel, for_good: bool) -> None:
        if for_good and channel.number == 0:
            self._close(session, "its client ended it")
        elif for_good:
            self._end(session, channel, Ended(0, None, "its client ended it"))
        else:
            self._streams.pop(channel.stream or 0, None)
            channel.detach(self._clock.elapsed())

    def _close(self, session: _Session, why: str) -> None:
        for channel in list(session.channels.values()):
            self._end(session, channel, Ended(0, None, why))
        self._forget(session)

    def _end(self, session: _Session, channel: Channel, ended: Ended) -> None:
        """A channel is over. A shell's session goes with it, yet its end is told to whoever comes back for a while."""
        if session.channels.get(channel.number) is not channel:
            return
        del session.channels[channel.number]
        session.over[channel.number] = ended
        session.empty_since = self._clock.elapsed()
        if channel.stream is not None:
            self._streams.pop(channel.stream, None)
            self._say(Ended(channel.stream, ended.code, ended.reason))
        self._turns = deque(self._streams)
        if channel.endpoint is not None:
            threading.Thread(target=channel.endpoint.close, daemon=True).start()
        if session.ticket.sort == PORT and channel.number:
            session.over.pop(channel.number)

    def _forget(self, session: _Session) -> None:
        self._sessions.pop(session.ticket.ticket_id, None)
        log(NOTICE, "session %s is over", session.ticket.ticket_id)

    def _know(self, ticket_id: str) -> None:
        self._known[ticket_id] = None
        while len(self._known) > REMEMBERED:
            del self._known[next(iter(self._known))]

    def _say(self, message: Wire) -> None:
        self._says.append(frames.control(message))
        self._wake()


def _endpoint(ticket: Ticket, opening: Opening) -> Endpoint:
    if ticket.sort == SHELL:
        from agent.streams.terminal import Terminal  # most agents never need it

        return Terminal(ticket, opening)
    from agent.streams.connection import Connection

    return Connection(ticket)


def _nobody(data: bytes) -> None:
    """Nothing is recorded of a connection."""
