"""`.sops.yaml`: whose a file is, and what is wrong with the rules."""

from __future__ import annotations

import pytest

from reconciler.adapters.sops import rules, rules_file
from reconciler.core.problem import Invalid
from tests.adapters.sops.files import ALICE, BOB

A, B = ALICE.recipient, BOB.recipient
RULES = f"""\
# who reads what
creation_rules:
  - path_regex: ^prod/
    # both
    age: {A},{B}
    encrypted_regex: ^(password|token)$
    mac_only_encrypted: true
  - path_regex: \\.sops\\.yaml$
    key_groups:
      - age: [{A}]
      - age:
          - {B}
        pgp:
          - 0123 4567
    shamir_threshold: 2
  - age: {A}
"""


def test_the_first_rule_found_in_the_path_decides() -> None:
    found = rules.read(RULES.encode())
    prod, shared, other = (found.of(path) for path in ("prod/a.sops.yaml", "x/a.sops.yaml", "x/a.bin"))
    assert prod is not None
    assert shared is not None
    assert other is not None
    assert (prod.index, shared.index, other.index) == (0, 1, 2)
    assert [each.name for each in prod.scheme.recipients] == [A, B]
    assert (prod.scheme.selector, prod.scheme.mac_only_encrypted) == (("encrypted_regex", "^(password|token)$"), True)
    assert [str(each) for group in shared.scheme.groups for each in group.recipients] == [A, B, "PGP 01234567"]
    assert shared.scheme.needed == 2
    assert other.scheme.selector == ("unencrypted_suffix", "_unencrypted")
    assert rules.read(b"creation_rules:\n  - path_regex: ^a\n    age: x\n").of("b") is None


def test_paths_are_relative_to_the_file() -> None:
    found = rules.read(RULES.encode(), "teams/web/.sops.yaml")
    rule = found.of("teams/web/prod/x")
    assert rule is not None
    assert rule.index == 0


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("a: 1\n", "`creation_rules` is missing"),
        ("creation_rules:\n  - 1\n", ":2:5: error: a rule is no mapping"),
        ("creation_rules:\n  - path_regex: x\n", ":2:5: error: this rule names nobody"),
        ("creation_rules:\n  - age: x\n    path_regexp: x\n", ":3:5: .* did you mean 'path_regex'"),
        (
            "creation_rules:\n  - age: x\n    path_regex: '('\n",
            ":3:17: error: no regular expression of RE2, which SOPS has: missing",
        ),
        ("creation_rules:\n  - age: x\n    path_regex: (?=x)\n", "RE2"),
        ("creation_rules:\n  - age: x\n    encrypted_regex: a\n    encrypted_suffix: b\n", "exclude each other"),
        ("creation_rules:\n  - key_groups: [{age: [a]}, {age: [b]}]\n    shamir_threshold: 3\n", "3 of 2 key groups"),
    ],
)
def test_what_is_wrong_is_told_at_its_place(text: str, says: str) -> None:
    with pytest.raises(Invalid, match=says):
        rules.read(text.encode())


def test_changes_keep_the_rest_of_the_file() -> None:
    with_key = rules_file.with_recipient(RULES.encode(), [0, 1, 2], "age", "age1new", 1).decode()
    assert with_key.replace(",age1new", "").replace("          - age1new\n", "") == RULES
    assert with_key.count("age1new") == 3
    assert rules_file.with_recipient(with_key.encode(), [0, 1, 2], "age", "age1new", 1).decode() == with_key
    without = rules_file.without_recipient(with_key.encode(), [0, 1, 2], "age", "age1new").decode()
    assert without == RULES
    assert rules_file.with_recipient(b"creation_rules:\n  - pgp: AA\n", [0], "age", "age1x", 0) == (
        b"creation_rules:\n  - pgp: AA\n    age: age1x\n"
    )


def test_the_first_rules_can_be_read() -> None:
    found = rules.read(rules_file.first(A, r"\.sops\.yaml$").encode())
    assert found.of("a/b.sops.yaml") is not None
    assert found.of("a/b.yaml") is None
