"""Keys and identity on disk."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from agent.state import identity
from agent.state.identity import Identity, NotEnrolled, StateDamaged
from tests.agent.pki import Authority, ControllerKey


def an_identity() -> Identity:
    return Identity("fleet-1", "mi-0123456789abcdef0", "web-1", ControllerKey().text, "sha256:00", ["https://a:1"], 1)


def test_keys_are_made_once_and_are_nobody_elses_to_read(tmp_path: Path) -> None:
    state = tmp_path / "state"
    keys = identity.keys_made(str(state))
    assert identity.keys_made(str(state)) == keys == identity.load_keys(str(state))
    assert state.stat().st_mode & 0o777 == 0o700
    assert (state / "keys.json").stat().st_mode & 0o777 == 0o600
    assert sorted(path.name for path in state.iterdir()) == ["keys.json"]


def test_the_public_halves_are_those_of_the_private_ones(tmp_path: Path) -> None:
    import base64

    keys = identity.keys_made(str(tmp_path))
    seal = X25519PrivateKey.from_private_bytes(base64.b64decode(keys.seal))
    public = seal.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
    assert base64.b64decode(keys.seal_key()) == public
    assert keys.sign_key().startswith("ssh-ed25519 AAAA")
    assert keys.sign not in repr(keys)
    assert keys.seal not in repr(keys)


def test_an_identity_is_read_as_it_was_saved(tmp_path: Path) -> None:
    saved, ca = an_identity(), Authority().pem
    identity.save(str(tmp_path), saved, ca)
    assert identity.load(str(tmp_path)) == saved
    assert identity.load_ca(str(tmp_path)) == ca


def test_without_an_identity_it_says_how_to_get_one(tmp_path: Path) -> None:
    with pytest.raises(NotEnrolled, match=f"enroll --server URL --token-file FILE --state {tmp_path}"):
        identity.load(str(tmp_path))


@pytest.mark.parametrize(
    ("name", "text", "says"),
    [
        ("identity.json", "{", r"identity\.json"),
        ("identity.json", '{"fleetId": 1}', r"identity\.json\.fleetId: expected str"),
        ("keys.json", "[]", r"keys\.json: expected an object"),
    ],
)
def test_a_damaged_file_is_named(tmp_path: Path, name: str, text: str, says: str) -> None:
    (tmp_path / name).write_text(text)
    read = identity.load if name == "identity.json" else identity.load_keys
    with pytest.raises(StateDamaged, match=says):
        read(str(tmp_path))


def test_a_controller_key_that_is_none_is_a_damaged_identity(tmp_path: Path) -> None:
    identity.save(str(tmp_path), an_identity(), "")
    value = json.loads((tmp_path / "identity.json").read_text())
    (tmp_path / "identity.json").write_text(json.dumps({**value, "controllerKey": "ssh-rsa AAAA"}))
    with pytest.raises(StateDamaged, match="controllerKey: not an ssh-ed25519"):
        identity.load(str(tmp_path))


def test_the_boot_has_a_name() -> None:
    assert identity.boot_id() == identity.boot_id() != ""
