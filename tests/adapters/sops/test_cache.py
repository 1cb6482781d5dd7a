"""What did not change is not opened again."""

from __future__ import annotations

import pytest

from reconciler.adapters.sops import Keyring, Trees
from reconciler.core.problem import Invalid, Refused
from tests.adapters.sops.files import ALICE, EVE, made


class _Counting(Keyring):
    opened = 0

    def recover(self, metadata: object, path: str) -> bytes:
        self.opened += 1
        return super().recover(metadata, path)  # type: ignore[arg-type]


def test_a_file_is_opened_once() -> None:
    keys = _Counting([ALICE])
    trees = Trees(keys)
    data = made()
    first = trees.decrypt("1", data, "a.sops.yaml")
    assert trees.decrypt("1", data, "a.sops.yaml") is first
    assert keys.opened == 1
    assert trees.decrypt("1", data, "b.sops.yaml").leaves[0].place.path == "b.sops.yaml"
    trees.forget(["1"])
    assert len(trees) == 0
    trees.decrypt("1", data, "a.sops.yaml")
    assert keys.opened == 3
    trees.forget()
    assert len(trees) == 0


def test_what_is_wrong_with_a_file_is_found_once() -> None:
    keys = _Counting([ALICE])
    trees = Trees(keys)
    for _ in range(2):
        with pytest.raises(Invalid, match="MAC"):
            trees.decrypt("1", made().replace(b"db.example", b"x.example"), "a.sops.yaml")
    assert keys.opened == 1


def test_that_no_key_opens_a_file_is_not_kept() -> None:
    trees = Trees(Keyring([EVE]))
    with pytest.raises(Refused):
        trees.decrypt("1", made(), "a.sops.yaml")
    assert len(trees) == 0


def test_what_is_kept_is_bounded() -> None:
    data = made()
    trees = Trees(Keyring([ALICE]), max_bytes=len(data) * 2)
    for oid in "123":
        trees.decrypt(oid, data, "a.sops.yaml")
    assert len(trees) == 2
