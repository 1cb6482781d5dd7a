"""Dataclasses that are made when they are first used are the same as those made at once."""

from __future__ import annotations

import dataclasses
import subprocess
import sys
import threading
from typing import Any, List

import pytest

from agent.contract import record, wire
from agent.contract.codec import Wire, from_wire, to_wire
from tests.agent.program import ROOT


@pytest.fixture
def put_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(record, "_putting_off", [True])


def declared() -> Any:
    @record.dataclass(frozen=True)
    class Point(Wire):
        """A place."""

        x: int
        y: int = 2
        more: List[int] = dataclasses.field(default_factory=list)

    return Point


def made(cls: Any) -> bool:
    return isinstance(cls.__dict__["__dataclass_fields__"], dict)


@pytest.mark.parametrize(
    "use",
    [
        lambda cls: cls(1),
        dataclasses.fields,
        dataclasses.is_dataclass,
        lambda cls: from_wire(cls, {"x": 1}),
    ],
)
def test_any_use_makes_it(put_off: None, use: Any) -> None:
    cls = declared()
    assert not made(cls)
    use(cls)
    assert made(cls)


def test_it_is_what_it_would_have_been(put_off: None) -> None:
    cls = declared()
    one = cls(1)
    assert (one, hash(one.x), repr(one)) == (cls(1, 2), hash(1), f"{cls.__qualname__}(x=1, y=2, more=[])")
    assert one.more is not cls(1).more
    assert to_wire(dataclasses.replace(one, y=5)) == {"x": 1, "y": 5}
    with pytest.raises(dataclasses.FrozenInstanceError):
        one.x = 3
    with pytest.raises(TypeError, match="missing 1 required positional argument"):
        declared()()


def test_threads_make_it_once(put_off: None) -> None:
    cls, found = declared(), []
    threads = [threading.Thread(target=lambda: found.append(cls(1))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [cls(1)] * 8


def test_the_server_gets_them_at_once() -> None:
    assert made(wire.Report)


def test_a_program_that_puts_them_off_imports_little() -> None:
    code = (
        "import sys; from agent.contract import record; record.put_off(); from agent import shortcut; "
        "print([name for name in ('dataclasses', 'json', 'ssl', 'argparse', 'threading') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-S", "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
