"""A conversation over a stream of bytes, as ASGI has it over a WebSocket; and how a machine joins in it.

What comes before the hello is settled here: the `join`, and an enrolment where the machine is no node yet. From then on
a `Connection` cannot tell the two ways apart. Reading and writing block, each on a thread of its own.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from agent.contract import frames, sshsig, stdio, wire
from agent.contract.closing import MALFORMED, TRY_LATER
from agent.contract.codec import Malformed, from_wire
from reconciler.adapters.gateway.hangup import Hangup
from reconciler.core.problem import Problem, Refused

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import TypeVar, TypeVarTuple

    from reconciler.core.node_ports import Guest, Stream

    _Result = TypeVar("_Result")
    _Arguments = TypeVarTuple("_Arguments")

READ_SIZE = 64 * 1024
_GONE = (TRY_LATER, "the connection was lost")
_DISCONNECT = {"type": "websocket.disconnect"}

log = logging.getLogger(__name__)


class StreamSocket:
    """`receive` and `send` as a WebSocket's app has them. `farewell` is the peer's last word: a close code, a reason.

    `node_id` is who the machine has to be.
    """

    def __init__(self, stream: Stream, peer: str, guest: Guest, ca_pem: str) -> None:
        self.peer = peer
        self.farewell = _GONE
        self.ended_well = False
        self.node_id = ""
        self._stream, self._guest, self._ca_pem = stream, guest, ca_pem
        self._joining = True
        self._framer = stdio.Framer()
        self._frames: deque[stdio.Frame] = deque()
        self._reading = ThreadPoolExecutor(1, "stream-read")
        self._writing = ThreadPoolExecutor(1, "stream-write")

    async def begin(self) -> None:
        """Tell the machine who it should be. Raises `Hangup`."""
        try:
            join = await self._on(self._reading, self._guest.join)
        except Problem as problem:
            raise Hangup(TRY_LATER, str(problem)) from problem
        self.node_id = join.node_id
        await self._say(stdio.TEXT, stdio.control(replace(join, ca_pem=self._ca_pem)).encode())

    async def receive(self) -> dict[str, Any]:
        """The next message, or that there will be none."""
        while True:
            frame = await self._on(self._reading, self._next)
            if frame is None:
                return _DISCONNECT
            if frame.kind == stdio.BINARY:
                return {"type": "websocket.receive", "bytes": frame.data}
            if frame.kind == stdio.TEXT:
                text = _text(frame)
                if text is None or not await self._settled(text):
                    return {"type": "websocket.receive", "text": text}
            elif frame.kind == stdio.PING:
                await self._say(stdio.PONG)
            elif frame.kind == stdio.CLOSE:
                self._bade_farewell(frame.data)
                return _DISCONNECT

    async def send(self, message: dict[str, Any]) -> None:
        """One message; after a close nothing more is read either. Raises OSError where the peer is gone."""
        if message["type"] == "websocket.close":
            code, reason = message.get("code", 1000), message.get("reason", "")
            await self._write(stdio.pack_close(code, reason))
            self._stream.close()
        elif message.get("bytes") is not None:
            await self._say(stdio.BINARY, message["bytes"])
        else:
            await self._say(stdio.TEXT, message["text"].encode())

    def close(self) -> None:
        """End both threads, and the stream unless the peer ended it: then it may still have something to tidy up."""
        if not self.ended_well:
            self._stream.close()
        for threads in (self._reading, self._writing):
            threads.shutdown(wait=False, cancel_futures=True)

    # -- joining -------------------------------------------------------------------------------------------------

    async def _settled(self, text: str) -> bool:
        """Whether a frame was an enrolment, which has been answered by now. Only the first may be one."""
        if not self._joining:
            return False
        self._joining = False
        try:
            name, value = frames.read_control(text)
            if name != "enroll":
                return False
            request = from_wire(wire.Enrolment, value, name)
            sshsig.public_of_text(request.sign_key)
            answer: wire.Enrolled | wire.Refusal = await self._on(self._reading, self._guest.enrol, request, self.peer)
        except (Malformed, sshsig.BadSignature) as error:
            raise Hangup(MALFORMED, f"not an enrolment: {error}") from error
        except Refused as problem:
            answer = wire.Refusal("refused", problem.what + (f"; {problem.remedy}" if problem.remedy else ""))
        except Problem as problem:
            raise Hangup(TRY_LATER, str(problem)) from problem
        if isinstance(answer, wire.Enrolled):
            self.node_id = answer.node_id
            log.info("node %s (%s) enrolled over SSH at %s", answer.node_id, answer.node_name, self.peer)
        await self._say(stdio.TEXT, stdio.control(answer).encode())
        return True

    # -- bytes ---------------------------------------------------------------------------------------------------

    def _next(self) -> stdio.Frame | None:
        """The next frame, None at the end. Blocking."""
        try:
            while not self._frames:
                data = self._stream.read(READ_SIZE)
                if not data:
                    return None
                self._frames.extend(self._framer.feed(data))
        except Malformed as error:
            self.farewell = (MALFORMED, f"the agent broke the protocol: {error}")
            return None
        except OSError as error:
            self.farewell = (TRY_LATER, f"the connection was lost: {error or type(error).__name__}")
            return None
        return self._frames.popleft()

    def _bade_farewell(self, data: bytes) -> None:
        try:
            self.farewell = stdio.read_close(data)
        except Malformed as error:
            self.farewell = (MALFORMED, str(error))
        self.ended_well = self.farewell[0] in (1000, 1001)

    async def _say(self, kind: int, data: bytes = b"") -> None:
        await self._write(stdio.pack(kind, data))

    async def _write(self, data: bytes) -> None:
        try:
            await self._on(self._writing, self._stream.write, data)
        except OSError:
            self._stream.close()  # whoever reads is told too
            raise

    async def _on(
        self, threads: ThreadPoolExecutor, call: Callable[[*_Arguments], _Result], *arguments: *_Arguments
    ) -> _Result:
        return await asyncio.get_running_loop().run_in_executor(threads, call, *arguments)


def _text(frame: stdio.Frame) -> str | None:
    try:
        return stdio.text_of(frame)
    except Malformed:
        return None
