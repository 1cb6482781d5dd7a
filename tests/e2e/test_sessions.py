"""Sessions as people have them: a shell, a forwarded port, the end of either, and breaks that nobody notices."""

from __future__ import annotations

import os
import pty
import re
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.e2e import config
from tests.e2e.conftest import Set
from tests.e2e.scene import Scene
from tests.stage import until

OPSCTL = Path(sys.executable).with_name("opsctl")


class Typed:
    """`opsctl session start` on a terminal of its own."""

    def __init__(self, scene: Scene, *arguments: str) -> None:
        self._master, slave = pty.openpty()
        env = {**os.environ, "OPSCTL_SERVER": f"unix:{scene.daemon.socket}", "TERM": "xterm"}
        command = [str(OPSCTL), "session", "start", *arguments]
        self.process = subprocess.Popen(
            command, stdin=slave, stdout=slave, stderr=slave, env=env, start_new_session=True
        )
        os.close(slave)
        self._seen = b""
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        try:
            while data := os.read(self._master, 65536):
                self._seen += data
        except OSError:
            pass

    def type(self, text: str) -> None:
        os.write(self._master, text.encode())

    def wait_for(self, pattern: str) -> re.Match[str]:
        """What the shell says: its own words, so that what is typed is not taken for them."""
        text = re.compile(pattern)
        found: re.Match[str] | None = until(
            f"{pattern} in the session", lambda: text.search(self.seen), 20, lambda: self.seen[-2000:]
        )
        assert found is not None
        return found

    @property
    def seen(self) -> str:
        return self._seen.decode(errors="replace")

    def close(self) -> None:
        self.process.kill()
        self.process.wait()
        os.close(self._master)


@contextmanager
def shell(scene: Scene, *arguments: str) -> Iterator[Typed]:
    typed = Typed(scene, *arguments)
    try:
        yield typed
    finally:
        typed.close()


@pytest.fixture(scope="module")
def scene(set_scene: Set) -> Scene:
    scene = set_scene({**config.fleet(), **config.node("web-1")})
    scene.join("web-1")
    return scene


def test_a_shell_goes_on_over_every_break_and_ends_with_its_own_code(scene: Scene) -> None:
    with shell(scene, "web-1") as typed:
        typed.type("PS1='go''on> '; stty -echo; echo $((6*7))-$TERM-$(tty | cut -c1-8); sleep 0.1\n")
        typed.wait_for("42-xterm-/dev/pts")
        assert "web-1" in scene.opsctl("session", "list")
        typed.type("stty size; echo slee''ping; sleep 1000\n")
        typed.wait_for(r"\d+ \d+\r\nsleeping\r")
        typed.type("\x03")
        typed.wait_for(r"(?s)sleeping.*goon> ")
        typed.type("echo r''c-$?\n")
        typed.wait_for("rc-130\r")
        typed.type("for i in $(seq 1 2000); do echo line-$i; [ $i = 300 ] && sleep 1; done; echo al''l\n")
        typed.wait_for("line-300\r")
        assert scene.daemon.kill() == -signal.SIGKILL
        scene.daemon.start()
        typed.wait_for("all\r")
        lines = re.findall(r"line-(\d+)\r\n", typed.seen)
        assert [int(line) for line in lines] == list(range(1, 2001))
        typed.type("exit 7\n")
        assert typed.process.wait(20) == 7
    rows = [row for row in scene.audit("session") if row["object"] == "web-1"]
    assert [row["outcome"] for row in rows] == ["closed", "opened"]
    assert re.search(r"\d+ bytes to the node, \d+ from it", rows[0]["detail"])


def test_a_session_that_is_terminated_ends_at_once(scene: Scene) -> None:
    with shell(scene, "web-1") as typed:
        typed.type("echo $((1+1))rea''dy $$; sleep 1000\n")
        pid = int(typed.wait_for(r"2ready (\d+)").group(1))
        known = re.findall(r"s-[0-9a-f]{24}", scene.opsctl("session", "list"))[-1]
        scene.opsctl("session", "terminate", known)
        assert typed.process.wait(5) == 1
    scene.wait("its shell to be gone", lambda: not Path(f"/proc/{pid}").exists(), 5)
    assert scene.audit("session")[0]["detail"].startswith("terminated by ")
    assert known not in scene.opsctl("session", "list")


def test_a_port_of_a_node_is_reached_and_much_goes_through(scene: Scene) -> None:
    data = os.urandom(1024) * 4096
    with socket.create_server(("127.0.0.1", 0)) as listening:
        echoing = threading.Thread(target=_echo, args=(listening,), daemon=True)
        echoing.start()
        env = {**os.environ, "OPSCTL_SERVER": f"unix:{scene.daemon.socket}"}
        asked = ["session", "forward", "web-1", str(listening.getsockname()[1]), "--local", "0"]
        with subprocess.Popen([str(OPSCTL), *asked], env=env, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            here = int(re.search(r":(\d+) leads to", process.stdout.readline()).group(1))  # type: ignore[union-attr]
            with socket.create_connection(("127.0.0.1", here)) as connected:
                sending = threading.Thread(target=_say_all, args=(connected, data))
                sending.start()
                came = b"".join(iter(lambda: connected.recv(65536), b""))
                sending.join()
            process.send_signal(signal.SIGINT)
            assert process.wait(20) == 0
    assert came == data
    scene.wait("the forward to be audited", lambda: scene.audit("forward")[0]["outcome"] == "closed")
    assert f"{len(data)} bytes to the node, {len(data)} from it" in scene.audit("forward")[0]["detail"]


@pytest.mark.fault
def test_what_may_not_be_is_refused(scene: Scene) -> None:
    assert "no node named" in scene.opsctl("session", "start", "web-9", code=1)
    assert "no session" in scene.opsctl("session", "terminate", "s-0", code=1)
    assert "there is no user nobody-such" in scene.opsctl("session", "start", "web-1", "--as", "nobody-such", code=1)


def _echo(listening: socket.socket) -> None:
    connected, _ = listening.accept()
    with connected:
        while data := connected.recv(65536):
            connected.sendall(data)


def _say_all(connected: socket.socket, data: bytes) -> None:
    connected.sendall(data)
    connected.shutdown(socket.SHUT_WR)
