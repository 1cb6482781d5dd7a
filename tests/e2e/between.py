"""Someone between agents and server who holds the server's TLS key: frames can be seen, kept, changed and made up.

What they do not hold is the controller's key and the nodes' keys; DESIGN says that so they can drop and delay, not
invent.
"""

from __future__ import annotations

import contextlib
import ssl
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Self

from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect
from websockets.sync.server import Server, ServerConnection, serve

from agent.contract import frames
from agent.contract.wire import Signed

Frame = str | bytes


class Between:
    """A relay at an address of its own in front of the server at `url`, with the server's certificate.

    `downward` and `upward` see each frame and say what is sent in its place.
    """

    def __init__(self, url: str, state: Path) -> None:
        self._target, self._keys = url.replace("https:", "wss:") + "/agent", state / "keys"
        self.downward: Callable[[Frame], list[Frame]] = lambda frame: [frame]
        self.upward: Callable[[Frame], list[Frame]] = lambda frame: [frame]
        self.seen: list[str] = []
        self.agents: list[ServerConnection] = []
        self._server: Server | None = None

    def __enter__(self) -> Self:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self._keys / "server.pem")
        self._server = serve(self._relay, "127.0.0.1", 0, ssl=context, compression=None, max_size=None)
        self.url = f"https://127.0.0.1:{self._server.socket.getsockname()[1]}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        assert self._server is not None
        for agent in list(self.agents):
            agent.close()
        self._server.shutdown()

    def inject(self, frame: str) -> None:
        """Send a frame of our own to every agent."""
        for agent in list(self.agents):
            agent.send(frame)

    def last(self, name: str) -> str:
        """The newest control frame of this name that the server sent."""
        return next(text for text in reversed(self.seen) if frames.read_control(text)[0] == name)

    def signed(self, name: str) -> Signed:
        """What was signed in it."""
        return frames.signed_of(frames.read_control(self.last(name))[1])

    def _relay(self, agent: ServerConnection) -> None:
        context = ssl.create_default_context(cafile=str(self._keys / "ca.pem"))
        with connect(self._target, ssl=context, compression=None, proxy=None, max_size=None) as server:
            self.agents.append(agent)
            back = threading.Thread(target=self._pass, args=(agent, server, "upward"), daemon=True)
            back.start()
            self._pass(server, agent, "downward")
            self.agents.remove(agent)
            agent.close()
            back.join()

    def _pass(
        self,
        source: ServerConnection | ClientConnection,
        target: ServerConnection | ClientConnection,
        way: str,
    ) -> None:
        with contextlib.suppress(ConnectionClosed):
            for frame in source:
                if isinstance(frame, str) and way == "downward":
                    self.seen.append(frame)
                for changed in getattr(self, way)(frame):
                    target.send(changed)
        target.close()
