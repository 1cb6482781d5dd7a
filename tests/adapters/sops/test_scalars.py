"""What unquoted YAML is to SOPS: as go-yaml 3.0.1 was seen to read each of these."""

from __future__ import annotations

import pytest

from reconciler.adapters.sops.scalars import TooLarge, resolve
from reconciler.adapters.sops.values import go_float

INTEGERS = {
    "0": 0, "-1": -1, "+1": 1, "007": 7, "0o17": 15, "-0o17": -15, "0O17": 15, "0x1F": 31, "0X1f": 31, "-0x1f": -31,
    "0b101": 5, "+0b1": 1, "1_000": 1000, "1__0": 10, "1_": 1, "0x_1": 1, "9223372036854775807": 2**63 - 1,
    "-9223372036854775808": -(2**63), "-0": 0, "00": 0, "0_0": 0, "0777": 511,
}  # fmt: skip
FLOATS = {
    "08": "8", "1.5": "1.5", ".5": "0.5", "-.5": "-0.5", "+.5": "0.5", "1.": "1", "1e3": "1000", "1E3": "1000",
    "1e+21": "1000000000000000000000", "1e-7": "0.0000001", "1.e3": "1000", "1.5_0": "1.5", "1e5_0": "1" + "0" * 50,
    ".inf": "+Inf", "-.INF": "-Inf", ".NaN": "NaN", "-9223372036854775809": "-9223372036854776000",
    "18446744073709551616": "18446744073709552000", "0.30000000000000004": "0.30000000000000004", "-0.0": "-0",
    "100000000000000000000.5": "100000000000000000000", "1e-400": "0", "0.1": "0.1",
}  # fmt: skip
TIMES = {
    "2026-01-02": "2026-01-02T00:00:00Z",
    "2026-1-2": "2026-01-02T00:00:00Z",
    "2026-01-02T03:04:05Z": "2026-01-02T03:04:05Z",
    "2026-01-02t03:04:05.120+01:00": "2026-01-02T03:04:05.12+01:00",
    "2026-01-02 03:04:05.5": "2026-01-02T03:04:05.5Z",
    "2026-01-02T3:4:5-07:30": "2026-01-02T03:04:05-07:30",
}
TEXTS = """\
    _1 1e999 yes no on off y n tRUE nULL 2026-13-01 2026-02-30 2026-01-02T03:04:05 2026-01-02T24:00:00Z 12:30:00
    190:20:30 0x 0b 0o 0b2 0o8 0xG - + . .. 1.2.3 1,000 1e 1e+ NaN inf +.nan 0x1p-2 .e3 0xFFFFFFFFFFFFFFFFF"""


@pytest.mark.parametrize("text", INTEGERS)
def test_integers(text: str) -> None:
    assert resolve(text) == ("int", str(INTEGERS[text]).encode())


@pytest.mark.parametrize("text", FLOATS)
def test_floats(text: str) -> None:
    assert resolve(text) == ("float", FLOATS[text].encode())


@pytest.mark.parametrize("text", TIMES)
def test_instants(text: str) -> None:
    assert resolve(text) == ("time", TIMES[text].encode())


@pytest.mark.parametrize("text", TEXTS.split())
def test_texts(text: str) -> None:
    assert resolve(text) == ("str", text.encode())


@pytest.mark.parametrize("text", ["", "~", "null", "Null", "NULL"])
def test_nulls(text: str) -> None:
    assert resolve(text) is None


@pytest.mark.parametrize("text", ["9223372036854775808", "18446744073709551615", "0xFFFFFFFFFFFFFFFF"])
def test_what_sops_has_no_type_for(text: str) -> None:
    with pytest.raises(TooLarge):
        resolve(text)


def test_floats_are_written_out() -> None:
    written = [go_float(value) for value in (1.0, 1e21, 1.5e-9, 0.1 + 0.2, -0.0)]
    assert written == ["1", "1000000000000000000000", "0.0000000015", "0.30000000000000004", "-0"]
