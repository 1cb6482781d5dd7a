"""What every Parameter Store says of the parameters that it was told of."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Protocol

import pytest

from reconciler.adapters.git.memory import MemoryRepository, MemorySource
from reconciler.adapters.parameters import MemoryParameters, TreeParameters
from reconciler.core.parameters import Selector

if TYPE_CHECKING:
    from reconciler.core.ports import Parameters


class Told(Protocol):
    """A store that can be told what to hold."""

    def put(self, name: str, value: str | list[str]) -> None: ...
    def remove(self, name: str) -> None: ...
    def label(self, name: str, label: str, version: int) -> None: ...
    @property
    def store(self) -> Parameters: ...


class InMemory:
    def __init__(self) -> None:
        self.store = MemoryParameters()

    def put(self, name: str, value: str | list[str]) -> None:
        if isinstance(value, list):
            self.store.put(name, ",".join(value), "StringList")
        else:
            self.store.put(name, value)

    def remove(self, name: str) -> None:
        self.store.remove(name)

    def label(self, name: str, label: str, version: int) -> None:
        self.store.label(name, label, version)


class InTree:
    """Every word is a commit."""

    def __init__(self) -> None:
        self._repository = MemoryRepository()
        self._values: dict[str, str | list[str]] = {}
        self._labels: dict[str, dict[str, int]] = {}
        self._commit()

    def put(self, name: str, value: str | list[str]) -> None:
        self._values[name] = value
        self._commit()

    def remove(self, name: str) -> None:
        del self._values[name]
        self._commit()

    def label(self, name: str, label: str, version: int) -> None:
        self._labels.setdefault(name, {})[label] = version
        self._commit()

    @property
    def store(self) -> Parameters:
        return TreeParameters(MemorySource(self._repository), self._repository.branches["main"])

    def _commit(self) -> None:
        described = [
            json.dumps({"apiVersion": "ops/v1", "kind": "Parameter", "spec": {"name": name, "labels": labels}})
            for name, labels in self._labels.items()
        ]
        files = {"parameters/all.yaml": json.dumps(self._values)}
        if described:
            files["parameters/labels.yaml"] = "\n---\n".join(described)
        self._repository.commit("main", {path: text.encode() for path, text in files.items()})


@pytest.fixture(params=[InMemory, InTree])
def told(request: pytest.FixtureRequest) -> Told:
    made: Told = request.param()
    return made


def value(store: Parameters, selector: str) -> str | list[str] | None:
    found = store.find(Selector.parse(selector))
    return found.resolved if found is not None else None


def test_what_is_put_is_found(told: Told) -> None:
    told.put("/prod/db/url", "postgres://db")
    told.put("/prod/zones", ["a", "b"])
    assert value(told.store, "/prod/db/url") == "postgres://db"
    assert value(told.store, "/prod/zones") == ["a", "b"]
    assert value(told.store, "/prod/db") is None
    found = told.store.find(Selector("/prod/zones"))
    assert found is not None
    assert (found.name, found.type, found.value) == ("/prod/zones", "StringList", "a,b")


def test_a_name_at_the_root_needs_no_slash(told: Told) -> None:
    told.put("/plain", "x")
    assert value(told.store, "plain") == "x"


def test_each_other_value_is_a_version(told: Told) -> None:
    for text in ("one", "two", "two", "three"):
        told.put("/x", text)
    versions = told.store.versions("/x")
    assert [(made.number, made.parameter.value) for made in versions] == [(1, "one"), (2, "two"), (3, "three")]
    assert [value(told.store, f"/x:{number}") for number in (0, 1, 2, 3, 4)] == [None, "one", "two", "three", None]
    newest = told.store.version(Selector("/x"))
    assert newest is not None
    assert newest.number == 3


def test_another_type_is_a_version_too(told: Told) -> None:
    told.put("/x", "a,b")
    told.put("/x", ["a", "b"])
    assert [made.parameter.type for made in told.store.versions("/x")] == ["String", "StringList"]


def test_a_label_names_a_version(told: Told) -> None:
    told.put("/x", "one")
    told.put("/x", "two")
    told.label("/x", "stable", 1)
    assert value(told.store, "/x:stable") == "one"
    told.label("/x", "stable", 2)
    assert value(told.store, "/x:stable") == "two"
    assert value(told.store, "/x:other") is None
    assert told.store.labels("/x") == {"stable": 2}


def test_what_is_made_again_begins_anew(told: Told) -> None:
    told.put("/x", "one")
    told.put("/x", "two")
    told.remove("/x")
    assert told.store.versions("/x") == () == tuple(told.store.labels("/x"))
    assert value(told.store, "/x:1") is None
    told.put("/x", "two")
    assert [made.number for made in told.store.versions("/x")] == [1]


def test_a_path_has_what_is_below_it(told: Told) -> None:
    for name in ("/prod/a", "/prod/web/b", "/prod/web/c", "/production/d", "/e"):
        told.put(name, "x")
    store = told.store

    def below(path: str, *, recursive: bool) -> list[str]:
        return [found.name for found in store.below(path, recursive=recursive)]

    assert below("/prod", recursive=False) == ["/prod/a"]
    assert below("/prod/", recursive=True) == ["/prod/a", "/prod/web/b", "/prod/web/c"]
    assert below("/", recursive=False) == ["/e"]
    assert len(below("/", recursive=True)) == 5
    assert below("/prod/a", recursive=True) == []


def test_the_nearest_name_and_version_are_told(told: Told) -> None:
    told.put("/prod/db/password", "x")
    told.put("/prod/db/password", "y")
    told.put("/test/db/pasword", "x")
    assert told.store.nearest(Selector("/prod/db/pasword")) == "/prod/db/password"
    assert told.store.nearest(Selector("/prod/db/password", "7")) == "/prod/db/password:2"
    assert told.store.nearest(Selector("/zzz")) == ""
