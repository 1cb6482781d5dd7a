"""A repository's secrets looked at: what is right, what is wrong, what could not be opened."""

from __future__ import annotations

from reconciler.adapters.sops import Keyring
from reconciler.adapters.sops.verification import Verified, verify
from tests.adapters.sops.files import ALICE, BOB, EVE, KEYS, SCHEME, made, of_age

RULES = f"creation_rules:\n  - path_regex: ^secrets/\n    age: {ALICE.recipient}\n".encode()
PEM = b"-----BEGIN OPENSSH PRIVATE KEY-----\n" + b"b3BlbnNzaC1rZXktdjEA" * 5 + b"\n"


def looked(files: dict[str, bytes], keys: Keyring | None = KEYS) -> dict[str, tuple[str, str]]:
    def shown(each: Verified) -> tuple[str, str]:
        return each.verdict, "; ".join(str(finding) for finding in each.findings)

    return {each.path: shown(each) for each in verify({".sops.yaml": RULES, **files}, keys)}


def test_files_that_are_as_they_should_be() -> None:
    files = {"secrets/a.yaml": made(), "other/b.sops.env": made(b"A=1\n", "b.env"), "README.md": b"sops: mac\n"}
    assert looked(files) == {"secrets/a.yaml": ("verified", ""), "other/b.sops.env": ("verified", "")}
    assert {verdict for verdict, _ in looked(files, None).values()} == {"unopened"}


def test_recipients_have_to_be_those_of_the_rule() -> None:
    scheme = SCHEME.__class__((of_age(ALICE, BOB),))
    verdict, says = looked({"secrets/a.yaml": made(scheme=scheme)})["secrets/a.yaml"]
    assert verdict == "failed"
    assert f"{BOB.recipient} can open it, which the rule does not name" in says
    assert "updatekeys" in says
    verdict, says = looked({"secrets/a.yaml": made(scheme=SCHEME.__class__((of_age(BOB),)))}, Keyring([BOB]))[
        "secrets/a.yaml"
    ]
    assert f"{ALICE.recipient} cannot open it, which the rule names" in says


def test_readable_secrets_are_found_and_not_shown() -> None:
    token = b"ghp_" + b"a1" * 20
    found = looked(
        {
            "secrets/plain.yaml": b"password: hunter2\n",
            "b.sops.json": b"{}",
            "keys/id": PEM,
            "x.txt": b"line\ntoken " + token + b"\n",
            "k.txt": f"  {ALICE.key}".encode(),
            "id.pub": b"ssh-ed25519 AAAA",
            "doc.md": b"it begins with -----BEGIN PRIVATE KEY----- and so on",
        }
    )
    assert {path: verdict for path, (verdict, _) in found.items()} == dict.fromkeys(
        ("secrets/plain.yaml", "b.sops.json", "keys/id", "x.txt", "k.txt"), "failed"
    )
    assert "`.sops.yaml` line 2 says" in found["secrets/plain.yaml"][1]
    assert "its name says" in found["b.sops.json"][1]
    assert found["x.txt"][1].startswith("x.txt:2:7: error: a GitHub token lies here readable")
    assert found["k.txt"][1].startswith("k.txt:1:3: error: an age identity")
    assert not any(text in str(found) for text in ("hunter2", token.decode(), str(ALICE.key)))


def test_what_is_broken_stops_nothing_else() -> None:
    good = made()
    files = {
        "secrets/a.yaml": good,
        "secrets/b.yaml": good.replace(b"db.example", b"x.example"),
        "a/.sops.yaml": b"x: 1",
    }
    files["secrets/c.yaml"] = made(scheme=SCHEME)
    found = looked(files)
    assert {path: verdict for path, (verdict, _) in found.items()} == {
        "a/.sops.yaml": "failed",
        "secrets/a.yaml": "verified",
        "secrets/b.yaml": "failed",
        "secrets/c.yaml": "verified",
    }
    verdict, says = looked({"secrets/a.yaml": good}, Keyring([EVE]))["secrets/a.yaml"]
    assert verdict == "unopened"
    assert ALICE.recipient in says


def test_the_nearest_rules_are_in_force() -> None:
    files = {"team/.sops.yaml": RULES.replace(ALICE.recipient.encode(), BOB.recipient.encode())}
    found = looked({**files, "team/secrets/a.yaml": made(), "secrets/a.yaml": made()})
    assert {path: verdict for path, (verdict, _) in found.items()} == {
        "secrets/a.yaml": "verified",
        "team/secrets/a.yaml": "failed",
    }
