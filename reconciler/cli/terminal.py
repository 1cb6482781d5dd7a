"""This terminal as one end of a session: raw while it lasts, its size told, its bytes passed on as they are."""

from __future__ import annotations

import contextlib
import os
import select
import shutil
import signal
import sys
import termios
import threading
import tty
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

    from agent.contract.session import Ended
    from reconciler.api.channel import ClientChannel

READ_SIZE = 16 * 1024


def size() -> tuple[int, int]:
    """Rows and columns."""
    columns, rows = shutil.get_terminal_size()
    return rows, columns


def write(data: bytes) -> None:
    """To standard output, all of it, at once."""
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(1, rest) :]


@contextlib.contextmanager
def raw() -> Iterator[None]:
    """Standard input as a terminal gives it, key by key; nothing where it is none. Put back in any case."""
    if not os.isatty(0):
        yield
        return
    before = termios.tcgetattr(0)
    try:
        tty.setraw(0, termios.TCSADRAIN)  # what was typed ahead counts
        yield
    finally:
        termios.tcsetattr(0, termios.TCSADRAIN, before)


def converse(channel: ClientChannel) -> Ended | None:
    """Pass on what is typed until the channel is over; how it ended."""
    woken, wake = os.pipe()
    ends: list[Ended] = []

    def over(ended: Ended) -> None:
        ends.append(ended)
        os.write(wake, b"!")

    from reconciler.api.channel import in_background

    thread = in_background(channel, over)
    resized = threading.Event()

    def changed(*_: Any) -> None:
        resized.set()

    former = {number: signal.signal(number, changed) for number in _resizing()}
    former |= {number: signal.signal(number, lambda *_: channel.leave()) for number in (signal.SIGTERM, signal.SIGHUP)}
    watcher = threading.Thread(target=_tell_sizes, args=(channel, resized, ends), daemon=True)
    watcher.start()
    try:
        channel.opened.wait()
        _type(channel, woken)
    finally:
        for number, handler in former.items():
            signal.signal(number, handler)
    thread.join()
    resized.set()
    os.close(woken)
    os.close(wake)
    return ends[0] if ends else None


def _resizing() -> tuple[int, ...]:
    return (signal.SIGWINCH,) if os.isatty(0) else ()


def _tell_sizes(channel: ClientChannel, resized: threading.Event, ends: list[Ended]) -> None:
    """Apart from the signal's handler, which must not wait for anybody."""
    while True:
        resized.wait()
        resized.clear()
        if ends:
            return
        channel.resize(*size())


def _type(channel: ClientChannel, woken: int) -> None:
    sys.stdout.flush()
    readers = [0, woken]
    while True:
        ready, _, _ = select.select(readers, [], [])
        if woken in ready:
            return
        data = os.read(0, READ_SIZE)
        if data:
            channel.send(data)
        else:
            channel.finish()
            readers = [woken]
