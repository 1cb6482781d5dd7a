"""`opsctl serve`: one process with the loop, the gateway for agents and the API."""

from __future__ import annotations

import logging
import signal
import threading
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

log = logging.getLogger(__name__)
SOCKET = "opsctl.sock"
LEASE_SECONDS = 30
CERTIFICATE_CHECK_SECONDS = 3600.0


@dataclass(frozen=True, slots=True)
class ServeOptions:
    """What `opsctl serve` was told. `names` are further names and addresses that agents reach the server by."""

    repo: str
    state: Path
    listen: str = "127.0.0.1:8443"
    names: tuple[str, ...] = ()
    branch: str | None = None
    restored: bool = False
    allow_rewrite: bool = False


def serve(options: ServeOptions) -> None:
    """Run until SIGTERM or SIGINT. Raises `Refused` for a state that another daemon holds."""
    ended = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: ended.set())
    with Daemon(options) as daemon:
        daemon.start()
        log.info("serving %s on %s:%d", options.repo, *daemon.address)
        ended.wait()
        log.info("ending")


class Daemon:
    """Everything of one server, from its state directory. A context: leaving it ends everything in order."""

    def __init__(self, options: ServeOptions) -> None:
        self._options = options
        self._stack = ExitStack()

    def __enter__(self) -> Daemon:
        try:
            self._open()
        except BaseException:
            self._stack.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()
