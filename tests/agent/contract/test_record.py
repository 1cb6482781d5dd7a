"""Dataclasses that share their methods are the same as those of the standard library."""

from __future__ import annotations

import copy
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
    monkeypatch.setattr(record, "_putting_off", [])
    monkeypatch.setattr(record, "NamedTuple", record.NamedTuple)
    record.put_off()


def declared() -> Any:
    @record.dataclass(frozen=True)
    class Point(Wire):
        """A place."""

        x: int
        y: int = 2
        more: List[int] = dataclasses.field(default_factory=list)

    return Point


def read(cls: Any) -> bool:
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
def test_any_use_reads_its_fields(put_off: None, use: Any) -> None:
    cls = declared()
    assert not read(cls)
    use(cls)
    assert read(cls)


def test_it_is_what_it_would_have_been(put_off: None) -> None:
    cls = declared()
    one = cls(1)
    assert one == cls(1, 2) == cls(y=2, x=1) != cls(1, 3)
    assert one != (1, 2, [])
    assert repr(one) == f"{cls.__qualname__}(x=1, y=2, more=[])"
    assert hash(cls(1, 2, ())) == hash(cls(1, 2, ()))
    assert one.more is not cls(1).more
    assert to_wire(dataclasses.replace(one, y=5)) == {"x": 1, "y": 5}
    assert dataclasses.asdict(one) == {"x": 1, "y": 2, "more": []}
    with pytest.raises(dataclasses.FrozenInstanceError):
        one.x = 3
    with pytest.raises(dataclasses.FrozenInstanceError):
        del one.x


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda cls: cls(), "lacks x"),
        (lambda cls: cls(y=1), "lacks x"),
        (lambda cls: cls(1, 2, [], 4), "takes x, y, more"),
        (lambda cls: cls(1, x=1), "takes x, y, more"),
        (lambda cls: cls(1, z=1), "takes x, y, more"),
    ],
)
def test_what_it_is_not_made_of(put_off: None, make: Any, says: str) -> None:
    with pytest.raises(TypeError, match=says):
        make(declared())


def test_fields_are_inherited_in_order_and_keep_their_secrets(put_off: None) -> None:
    point: Any = declared()

    @record.dataclass(frozen=True)
    class Named(point):  # type: ignore[misc]  # its base is made while the test runs
        key: str = dataclasses.field(default="k", repr=False)
        name: str = ""

        def __repr__(self) -> str:
            return "its own: " + self.name

    assert [field.name for field in dataclasses.fields(Named)] == ["x", "y", "more", "key", "name"]
    assert Named(1, name="here") != point(1)
    assert repr(Named(1, name="here")) == "its own: here"

    @record.dataclass(frozen=True)
    class Secret:
        name: str
        key: str = dataclasses.field(repr=False)

    assert repr(Secret("a", "b")).endswith("Secret(name='a')")


def test_threads_may_be_first_together(put_off: None) -> None:
    cls, found = declared(), []
    threads = [threading.Thread(target=lambda: found.append(cls(1))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [cls(1)] * 8


def test_it_may_change_where_it_says_so(put_off: None) -> None:
    @record.dataclass(frozen=False)
    class Count:
        at: int = 0

    one = Count()
    one.at += 1
    assert one == Count(1)
    with pytest.raises(TypeError, match="unhashable"):
        hash(one)


def pair() -> Any:
    class Pair(record.NamedTuple):
        """Two things."""

        left: str
        right: int = 0
        more: str = "m"

        @property
        def both(self) -> str:
            return f"{self.left}{self.right}"

    return Pair


def test_a_named_tuple_is_what_it_would_have_been(put_off: None) -> None:
    kind = pair()
    assert not hasattr(kind, "_make")
    one = kind("a", more="x")
    assert one == ("a", 0, "x") == kind(right=0, left="a", more="x")
    assert (one.left, one.right, one.more, one.both) == ("a", 0, "x", "a0")
    assert repr(one) == "Pair(left='a', right=0, more='x')"
    assert one._replace(right=2) == ("a", 2, "x")
    assert copy.copy(one) == one == copy.deepcopy(one)
    assert type(copy.copy(one)) is kind
    assert kind._fields == ("left", "right", "more")
    with pytest.raises(AttributeError):
        one.left = "b"
    with pytest.raises(AttributeError):
        one.other = "b"


@pytest.mark.parametrize(
    "make",
    [
        lambda cls: cls(),
        lambda cls: cls(right=1),
        lambda cls: cls("a", 1, "m", 2),
        lambda cls: cls("a", left="b"),
        lambda cls: cls("a", other=1),
        lambda cls: cls("a")._replace(other=1),
    ],
)
def test_what_a_named_tuple_is_not_made_of(put_off: None, make: Any) -> None:
    with pytest.raises(TypeError, match="takes left, right, more"):
        make(pair())


def test_the_server_gets_them_at_once() -> None:
    assert read(wire.Report)
    assert vars(wire.Report)["__init__"] is not vars(wire.Ack)["__init__"]


def test_a_program_that_puts_them_off_imports_little() -> None:
    code = (
        "import sys; from agent.contract import record; record.put_off(); from agent import shortcut; "
        "print([name for name in ('dataclasses', 'json', 'ssl', 'argparse', 'threading') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-S", "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
