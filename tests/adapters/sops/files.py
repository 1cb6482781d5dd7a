"""Keys and files to try things on. Nothing of it is anybody's."""

from __future__ import annotations

import os
from dataclasses import replace

from reconciler.adapters.sops import Keyring, Opened, open_file, sealing
from reconciler.adapters.sops.age import Identity, new_identity
from reconciler.adapters.sops.metadata import Group, Metadata, Recipient

AT = "2026-01-02T03:04:05Z"
LATER = "2026-01-02T03:04:06Z"

ALICE = new_identity()
BOB = new_identity()
EVE = new_identity()
KEYS = Keyring([ALICE])

YAML = b"""\
# the database
db:
    # who may log in
    user: app
    password: hunter2
    port: 5432
    ratio: 1.5
    on: true
    nothing: ~
    empty: ""
    host_unencrypted: db.example.com
servers:
    - name: one
      token: tttttt
    - name: two
      token: uuuuuu
key: |
    -----BEGIN-----
    abc
    -----END-----
"""


def of_age(*identities: Identity) -> Group:
    """A key group of age's."""
    return Group(tuple(Recipient("age", identity.recipient) for identity in identities))


SCHEME = Metadata((of_age(ALICE),))


def made(plain: bytes = YAML, path: str = "a.sops.yaml", scheme: Metadata = SCHEME, **changes: object) -> bytes:
    """An encrypted file."""
    return sealing.created(plain, path, replace(scheme, **changes), KEYS, AT, os.urandom)  # type: ignore[arg-type]


def opened(data: bytes, path: str = "a.sops.yaml", keys: Keyring = KEYS) -> Opened:
    """It, open."""
    return open_file(data, path, keys)


def edited(data: bytes, old: bytes, new: bytes, path: str = "a.sops.yaml") -> bytes:
    """It after somebody edited its plaintext."""
    before = opened(data, path)
    plain = sealing.plaintext(before)
    assert old in plain
    return sealing.edited(before, plain.replace(old, new), LATER, os.urandom)


def texts(data: bytes, path: str = "a.sops.yaml", keys: Keyring = KEYS) -> dict[str, str]:
    """Its values by path."""
    leaves = opened(data, path, keys).tree().leaves
    return {".".join(map(str, leaf.path)): leaf.cleartext.text() for leaf in leaves}


def changed_lines(before: bytes, after: bytes) -> list[str]:
    """What a diff would show as added, each line up to its colon or sign."""
    old = before.decode().splitlines()
    return [line.strip().split(":")[0].split("=")[0] for line in after.decode().splitlines() if line not in old]
