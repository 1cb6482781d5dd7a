"""Every sort of key opens what was encrypted to it, and groups need as many as they say."""

from __future__ import annotations

import base64
import hashlib
import hmac
import os
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from itertools import combinations
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ed25519, rsa
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from reconciler.adapters.sops import Keyring, age, sealing, shamir
from reconciler.adapters.sops.metadata import Group, Metadata, Recipient
from reconciler.adapters.sops.pgp import Gpg
from reconciler.core.cleartext import Cleartext
from reconciler.core.problem import Invalid, Problem, Refused, Unavailable
from tests.adapters.sops.files import ALICE, AT, BOB, EVE, KEYS, made, of_age, opened, texts

WHOLE = texts(made())


def private(path: Path, data: bytes | str) -> Path:
    path.write_bytes(data if isinstance(data, bytes) else data.encode())
    path.chmod(0o600)
    return path


def locked(plain: bytes, passphrase: bytes) -> bytes:
    """A file of age's under a passphrase, with less work than its programs put in, which is made for people."""
    file_key, salt, nonce = (os.urandom(16) for _ in range(3))
    wrapping = hashlib.scrypt(passphrase, salt=b"age-encryption.org/v1/scrypt" + salt, n=1024, r=8, p=1, dklen=32)
    body = _bare64(ChaCha20Poly1305(wrapping).encrypt(bytes(12), file_key, None))
    header = b"age-encryption.org/v1\n-> scrypt " + _bare64(salt) + b" 10\n" + body + b"\n---"
    mac = hmac.digest(_derived(file_key, b"", b"header"), header, "sha256")
    payload = ChaCha20Poly1305(_derived(file_key, nonce, b"payload")).encrypt(bytes(11) + b"\1", plain, None)
    return header + b" " + _bare64(mac) + b"\n" + nonce + payload


def _derived(key: bytes, salt: bytes, info: bytes) -> bytes:
    return HKDF(hashes.SHA256(), 32, salt, info).derive(key)


def _bare64(data: bytes) -> bytes:
    return base64.b64encode(data).rstrip(b"=")


def ssh_key(kind: str, passphrase: bytes | None = None) -> tuple[bytes, str]:
    key = ed25519.Ed25519PrivateKey.generate() if kind == "ed25519" else rsa.generate_private_key(65537, 2048)
    locked = serialization.BestAvailableEncryption(passphrase) if passphrase else serialization.NoEncryption()
    encoding = serialization.Encoding
    public = key.public_key().public_bytes(encoding.OpenSSH, serialization.PublicFormat.OpenSSH).decode()
    return key.private_bytes(encoding.PEM, serialization.PrivateFormat.OpenSSH, locked), public


@pytest.mark.parametrize(("kind", "passphrase"), [("ed25519", None), ("ed25519", b"correct horse"), ("rsa", None)])
def test_ssh_keys(kind: str, passphrase: bytes | None, tmp_path: Path) -> None:
    data, public = ssh_key(kind, passphrase)
    file = private(tmp_path / "id", data)
    keys = Keyring.of_files([file], lambda _: Cleartext(passphrase) if passphrase else None)
    encrypted = made(scheme=Metadata((Group((Recipient("age", f"{public} me@here"),)),)))
    assert texts(encrypted, keys=keys) == WHOLE
    if passphrase:
        with pytest.raises(Refused, match="encrypted with a passphrase"):
            Keyring.of_files([file])
        with pytest.raises(Refused, match="does not open with that passphrase"):
            Keyring.of_files([file], lambda _: Cleartext(b"wrong"))


def test_the_environment_says_which_keys(tmp_path: Path) -> None:
    secret = f"# a comment\n{ALICE.key}\n"
    ssh, public = ssh_key("ed25519")
    file, ssh_file = private(tmp_path / "keys.txt", secret), private(tmp_path / "id", ssh)
    home = tmp_path / "home"
    usual = home / ".config" / "sops" / "age" / "keys.txt"
    usual.parent.mkdir(parents=True)
    private(usual, secret)
    for environ in (
        {"SOPS_AGE_KEY": secret},
        {"SOPS_AGE_KEY_FILE": str(file)},
        {"SOPS_AGE_KEY_CMD": f"cat {file}"},
        {"HOME": str(home)},
        {"XDG_CONFIG_HOME": str(home / ".config")},
    ):
        assert texts(made(), keys=Keyring.from_environment(environ)) == WHOLE
    by_ssh = made(scheme=Metadata((Group((Recipient("age", public),)),)))
    assert texts(by_ssh, keys=Keyring.from_environment({"SOPS_AGE_SSH_PRIVATE_KEY_FILE": str(ssh_file)})) == WHOLE
    assert Keyring.from_environment({"HOME": str(tmp_path / "none")}).identities == ()
    usual.chmod(0o644)
    assert Keyring.from_environment({"HOME": str(home)}).identities == ()


def test_a_key_that_others_can_read_is_refused(tmp_path: Path) -> None:
    file = private(tmp_path / "key", f"{ALICE.key}\n")
    file.chmod(0o644)
    with pytest.raises(Refused, match="can be read by others"):
        Keyring.of_files([file])
    with pytest.raises(Unavailable):
        Keyring.of_files([tmp_path / "none"])
    with pytest.raises(Unavailable, match="SOPS_AGE_KEY_CMD"):
        Keyring.from_environment({"SOPS_AGE_KEY_CMD": "false"})


def test_an_identity_file_with_a_passphrase(tmp_path: Path) -> None:
    file = private(tmp_path / "key.age", locked(f"{ALICE.key}\n".encode(), b"correct horse"))
    asked = []

    def ask(what: str) -> Cleartext:
        asked.append(what)
        return Cleartext(b"correct horse")

    assert texts(made(), keys=Keyring.of_files([file], ask)) == WHOLE
    assert asked == [str(file)]
    with pytest.raises(Refused, match="does not open with that passphrase"):
        Keyring.of_files([file], lambda _: Cleartext(b"wrong"))
    with pytest.raises(Refused, match="encrypted with a passphrase"):
        Keyring.of_files([file])


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("AGE-SECRET-KEY-1QQQQ", ":2:1: error: this line is no age identity"),
        ("AGE-SECRET-KEY-PQ-1QQQQ", ":2:1: error: this is a post-quantum key"),
        ("hunter2", ":2:1: error: this line is no age identity"),
    ],
)
def test_what_is_no_identity_is_not_shown(line: str, says: str, tmp_path: Path) -> None:
    file = private(tmp_path / "key", f"# mine\n{line}\n")
    with pytest.raises(Invalid) as raised:
        Keyring.of_files([file])
    assert says in str(raised.value)
    assert "hunter2" not in str(raised.value)
    assert "QQQQ" not in str(raised.value)


def test_what_is_no_recipient_is_refused() -> None:
    for name in ("age1xyz", "ssh-rsa AAAA", "somebody"):
        with pytest.raises(Refused, match="no recipient of age"):
            age.read_recipient(name)


def test_own_keys_are_tried_before_those_of_others() -> None:
    data = made(scheme=Metadata((of_age(*(age.new_identity() for _ in range(30)), ALICE),)))
    assert texts(data) == WHOLE


@pytest.mark.parametrize("threshold", [2, 3])
def test_groups_need_as_many_as_they_say(threshold: int) -> None:
    people = (ALICE, BOB, EVE)
    data = made(scheme=Metadata(tuple(of_age(one) for one in people), threshold=threshold))
    for count in (1, 2, 3):
        for some in combinations(people, count):
            if count >= threshold:
                assert texts(data, keys=Keyring(some)) == WHOLE
            else:
                with pytest.raises(Refused, match=f"open {count} of the {threshold} key groups"):
                    opened(data, keys=Keyring(some))


def test_rotating_and_readdressing_keep_groups() -> None:
    scheme = Metadata((of_age(ALICE), of_age(BOB)), threshold=2)
    both = Keyring([ALICE, BOB])
    before = opened(made(scheme=scheme), keys=both)
    assert before.metadata.needed == 2
    wider = replace(scheme, groups=(of_age(ALICE), of_age(BOB, EVE)))
    for data in (
        sealing.rotated(before, wider, both, AT, os.urandom),
        sealing.readdressed(before, wider, both, AT, os.urandom),
    ):
        assert texts(data, keys=Keyring([ALICE, EVE])) == WHOLE
        with pytest.raises(Problem):
            opened(data, keys=Keyring([BOB, EVE]))


def test_shares_give_the_secret_and_fewer_do_not() -> None:
    secret = os.urandom(32)
    shares = shamir.split(secret, 5, 3, os.urandom)
    assert {len(share) for share in shares} == {33}
    assert [share[-1] for share in shares] == [1, 2, 3, 4, 5]
    assert all(shamir.combine(some) == secret for some in combinations(shares, 3))
    assert all(shamir.combine(some) != secret for some in combinations(shares, 2))
    for bad in ([shares[0], shares[0]], [shares[0], shares[1][:-1]], [b"x"]):
        with pytest.raises(ValueError, match="share"):
            shamir.combine(bad)
    with pytest.raises(ValueError, match="2 <= threshold"):
        shamir.split(secret, 2, 1, os.urandom)


@pytest.fixture(scope="module")
def gpg(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Gpg, str]]:
    if shutil.which("gpg") is None:
        pytest.skip("gpg is not installed")
    home = tmp_path_factory.mktemp("g")
    environ = {"PATH": os.environ["PATH"], "GNUPGHOME": str(home)}
    make = [
        "gpg",
        "--batch",
        "--passphrase",
        "",
        "--quick-generate-key",
        "a@example.com",
        "rsa2048",
        "encrypt",
        "never",
    ]
    subprocess.run(make, env=environ, capture_output=True, check=True)
    listed = subprocess.run(
        ["gpg", "--list-keys", "--with-colons"], env=environ, capture_output=True, text=True, check=True
    )
    fingerprint = next(line.split(":")[9] for line in listed.stdout.splitlines() if line.startswith("fpr"))
    yield Gpg(environ), fingerprint
    subprocess.run(["gpgconf", "--kill", "all"], env=environ, capture_output=True, check=False)


def test_pgp(gpg: tuple[Gpg, str]) -> None:
    program, fingerprint = gpg
    keys = Keyring(gpg=program)
    scheme = Metadata((Group((Recipient("pgp", fingerprint),)),))
    data = sealing.created(b"a: b\n", "a.yaml", scheme, keys, AT, os.urandom)
    assert texts(data, "a.yaml", keys) == {"a": "b"}
    assert opened(data, "a.yaml", keys).metadata.recipients[0].created_at == AT
    with pytest.raises(Refused, match=f"PGP {fingerprint}"):
        opened(data, "a.yaml", KEYS)
    with pytest.raises(Refused, match="does not encrypt to"):
        keys.encrypt(b"x", Recipient("pgp", "0" * 40))


def test_without_gpg_a_pgp_key_is_said_to_be_missing() -> None:
    missing = Keyring(gpg=Gpg({"SOPS_GPG_EXEC": "gpg-that-is-not-there"}))
    with pytest.raises(Unavailable, match="not installed"):
        missing.encrypt(b"x", Recipient("pgp", "0" * 40))
    assert missing.gpg is not None
    assert missing.gpg.decrypt("x") is None
