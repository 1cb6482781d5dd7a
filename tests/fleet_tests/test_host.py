"""What a host lacks is said in one line, before anything is tried on it."""

from __future__ import annotations

import os
import shutil
import sys

import pytest

from tests.fleet import host, missing_host_packages, possible
from tests.fleet.commands import FleetError


@pytest.fixture
def able(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """A host on which nothing stands in the way."""
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(shutil, "which", lambda program: f"/usr/bin/{program}")
    monkeypatch.setattr(host, "host_archive", lambda: None)
    monkeypatch.setattr(host, "_kernel_refusal", lambda: "")
    return monkeypatch


def test_able_host(able: pytest.MonkeyPatch) -> None:
    assert possible() == ""


def test_other_platform(able: pytest.MonkeyPatch) -> None:
    able.setattr(sys, "platform", "darwin")
    assert possible() == "real nodes need Linux"


def test_without_root(able: pytest.MonkeyPatch) -> None:
    able.setattr(os, "geteuid", lambda: 1000)
    assert possible() == "real nodes need root"


def test_without_apt(able: pytest.MonkeyPatch) -> None:
    able.setattr(shutil, "which", lambda program: None)
    assert "no apt-get here" in possible()


def test_without_an_archive(able: pytest.MonkeyPatch) -> None:
    def no_archive() -> None:
        raise FleetError("no source for trixie main")

    able.setattr(host, "host_archive", no_archive)
    assert possible() == "apt: no source for trixie main"


def test_missing_packages_are_named_and_may_be_counted_as_there(able: pytest.MonkeyPatch) -> None:
    absent = ("mmdebstrap", "systemd-nspawn", "unshare", "nsenter")
    able.setattr(shutil, "which", lambda program: None if program in absent else f"/usr/bin/{program}")
    assert missing_host_packages() == ["mmdebstrap", "systemd-container", "util-linux"]
    assert possible() == "host packages are missing: mmdebstrap systemd-container util-linux"
    assert possible(once_packages_are_installed=True) == ""


@pytest.mark.realnode
def test_kernel_probe_names_the_first_obstacle(monkeypatch: pytest.MonkeyPatch) -> None:
    if possible():
        pytest.skip(possible())
    monkeypatch.setattr(host, "_PROBES", {"one": "true", "no such thing": "false", "another": "false"})
    host._kernel_refusal.cache_clear()
    try:
        assert possible() == "real nodes are impossible here: no such thing"
    finally:
        host._kernel_refusal.cache_clear()
