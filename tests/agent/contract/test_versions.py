"""Versions in the order of dpkg and of rpm; each row is ascending or equal, as `dpkg` and `rpm` themselves have it."""

from __future__ import annotations

import shutil
import subprocess

import pytest

from agent.contract.versions import compare_dpkg, compare_rpm

DPKG = [
    ("1.0", "<", "1.1"),
    ("1.9", "<", "1.10"),
    ("1.0~rc1", "<", "1.0"),
    ("1.0~~", "<", "1.0~"),
    ("1.0", "<", "1.0a"),
    ("1.0a", "<", "1.0+b"),
    ("1.0", "=", "0:1.0"),
    ("2.0", "<", "1:1.0"),
    ("1.0-1", "<", "1.0-1+deb12u1"),
    ("1.0-1~bpo1", "<", "1.0-1"),
    ("1.0", "=", "1.00"),
    ("1.0-1", "<", "1.0-1.1"),
    ("1.0-2", "<", "1.0-10"),
    ("1.0-1-1", "<", "1.0-2-1"),
]
RPM = [
    ("1.0", "=", "1.0"),
    ("1.0", "<", "2.0"),
    ("2.0", "<", "2.0.1"),
    ("2.0.1", "<", "2.0.1a"),
    ("5.5p1", "<", "5.5p2"),
    ("5.5p1", "<", "5.5p10"),
    ("10xyz", "<", "10.1xyz"),
    ("xyz.4", "<", "8"),
    ("xyz.4", "<", "2"),
    ("5.5p2", "<", "5.6p1"),
    ("6.0.rc1", ">", "6.0"),
    ("10b2", ">", "10a1"),
    ("7.0", "<", "7.0a"),
    ("1.0.a", "=", "1.0a"),
    ("1.0aa", ">", "1.0a"),
    ("10.0001", "=", "10.1"),
    ("10.0001", "<", "10.0039"),
    ("4.999.9", "<", "5.0"),
    ("20101121", "<", "20101122"),
    ("2_0", "=", "2.0"),
    ("a+", "=", "a_"),
    ("1.0~rc1", "<", "1.0"),
    ("1.0~rc1", "<", "1.0~rc2"),
    ("1.0~rc1~git123", "<", "1.0~rc1"),
    ("1.0^", ">", "1.0"),
    ("1.0^git1", "<", "1.0^git2"),
    ("1.0^git1", "<", "1.01"),
    ("1.0^20160101", "<", "1.0.1"),
    ("1.0^20160101^git1", ">", "1.0^20160101"),
    ("1.0~rc1^git1", ">", "1.0~rc1"),
    ("1.0^git1~pre", "<", "1.0^git1"),
]
SIGNS = {"<": -1, "=": 0, ">": 1}
TURNED = {"<": ">", "=": "=", ">": "<"}


@pytest.mark.parametrize(("one", "sign", "other"), DPKG)
def test_the_order_of_dpkg(one: str, sign: str, other: str) -> None:
    assert compare_dpkg(one, other) == SIGNS[sign]
    assert compare_dpkg(other, one) == SIGNS[TURNED[sign]]


@pytest.mark.parametrize(("one", "sign", "other"), RPM)
def test_the_order_of_rpm(one: str, sign: str, other: str) -> None:
    assert compare_rpm(one, other) == SIGNS[sign]
    assert compare_rpm(other, one) == SIGNS[TURNED[sign]]


@pytest.mark.parametrize(
    ("one", "sign", "other"),
    [
        ("1.0-1", "<", "1.0-2"),
        ("1.0-9", "<", "1.1-1"),
        ("9.0-1", "<", "1:1.0-1"),
        ("0:1.0-1", "=", "1.0-1"),
        ("1.0", "=", "1.0-7.el9"),
        ("1.0-1.el9", "<", "1.0-1.el9_2.1"),
    ],
)
def test_epochs_and_releases_of_rpm(one: str, sign: str, other: str) -> None:
    assert compare_rpm(one, other) == SIGNS[sign]
    assert compare_rpm(other, one) == SIGNS[TURNED[sign]]


@pytest.mark.skipif(shutil.which("dpkg") is None, reason="this machine has no dpkg")
def test_dpkg_agrees() -> None:
    words = {"<": "lt", "=": "eq", ">": "gt"}
    for one, sign, other in DPKG:
        assert subprocess.run(["dpkg", "--compare-versions", one, words[sign], other], check=False).returncode == 0


@pytest.mark.skipif(shutil.which("rpm") is None, reason="this machine has no rpm")
def test_rpm_agrees() -> None:
    for one, sign, other in RPM:
        asked = f"%{{lua: print(rpm.vercmp('{one}', '{other}'))}}"
        said = subprocess.run(["rpm", "--eval", asked], check=True, capture_output=True, text=True).stdout
        assert int(said) == SIGNS[sign], (one, sign, other)
