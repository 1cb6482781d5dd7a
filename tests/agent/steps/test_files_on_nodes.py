"""ops:file by an installed agent on a real node: what stands in the way, what is large or many, a loss of power."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator

import pytest

from tests import faults
from tests.agent.converging import step
from tests.agent.gateway import Gateway
from tests.agent.installed import Installed, of
from tests.agent.steps.real import SITE, converge, furnish
from tests.agent.steps.test_file_faults import WRITER
from tests.fleet.fixtures import NodeFactory

pytestmark = [pytest.mark.realnode, pytest.mark.fault]

FILES = 10_000
AT_ONCE = 1_000
"""Files of one association."""
CUTS = faults.count(few=1, full=100)
WRITES = faults.count(few=10, full=200)
OLD, NEW = b"a" * (8 << 20), b"b" * (8 << 20)


@pytest.fixture(scope="module")
def installed(module_node_factory: NodeFactory, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installed]:
    (node,) = module_node_factory("web-1")
    with Gateway(tmp_path_factory.mktemp("gateway"), address=node.host_address) as gateway:
        yield Installed(node, gateway)


@pytest.mark.parametrize(
    ("make", "says"),
    [
        ("ln -s /srv/precious {at}", "is a symbolic link to /srv/precious where a regular file is declared"),
        ("mkfifo {at}", "is a FIFO where a regular file is declared"),
        ("mkdir {at} && cp /srv/precious {at}/", "is a directory where a regular file is declared"),
    ],
    ids=["a symbolic link", "a FIFO", "a directory"],
)
def test_what_is_no_file_is_named_and_left(installed: Installed, make: str, says: str) -> None:
    installed.shell("rm -rf /srv/it; echo precious > /srv/precious; " + make.format(at="/srv/it"))
    before = installed.shell("find /srv/it -ls | sed 's/^ *[0-9]* *//'")
    wanted = of("it", "ops:file", {"path": "/srv/it", "content": "new\n"})
    other = of("other", "ops:file", {"path": "/srv/other", "content": "other\n"})
    failed, told = installed.converged(wanted, other)
    assert failed.claims[0].outcome == "Failed"
    assert says in (failed.claims[0].reason or "")
    assert told.status == "Success", "one that cannot be stops no other"
    assert installed.shell("find /srv/it -ls | sed 's/^ *[0-9]* *//'") == before
    assert installed.node.read("/srv/precious") == b"precious\n"
    installed.shell("rm -rf /srv/it")
    installed.wait(installed.reads("/srv/it", b"new\n"), "the file, once there is room for it")


SWAP = """
import os, signal
going = [True]
signal.signal(signal.SIGTERM, lambda *_: going.clear())
open("/run/swapping", "w").close()
while going:
    for _ in range(2):
        os.rename("/srv/home", "/srv/aside")
        os.rename("/srv/link", "/srv/home")
        os.rename("/srv/aside", "/srv/link")
"""
"""Ends as it began."""


def test_a_path_that_becomes_a_link_during_the_write_leads_nowhere(installed: Installed) -> None:
    """Its directory is a stranger's link every other moment."""
    installed.want()
    installed.shell("mkdir -p /srv/home /srv/secret; ln -sfn /srv/secret /srv/link; chown -h 1000:1000 /srv/link")
    installed.node.write("/root/swap.py", SWAP)
    installed.shell("systemd-run --unit=swap python3 /root/swap.py; until test -e /run/swapping; do sleep 0.02; done")
    try:
        for number in range(WRITES):
            (told,) = installed.converged(of("f", "ops:file", {"path": "/srv/home/file", "content": f"{number}\n"}))
            assert {claim.outcome for claim in told.claims} <= {"Changed", "Unchanged", "Failed", "Unknown"}
    finally:
        installed.shell("systemctl stop swap")
    assert installed.shell("ls -A /srv/secret") == ""
    installed.wait(installed.reads("/srv/home/file", b"%d\n" % (WRITES - 1)), "the file, once all is quiet")
    assert installed.shell("ls -A /srv/home") == "file\n"


@pytest.mark.parametrize(
    ("piece", "times"), [(os.urandom(1 << 20), 50), (bytes(range(256)), 3)], ids=["50 MB", "binary"]
)
def test_bytes_of_any_kind_and_number(installed: Installed, piece: bytes, times: int) -> None:
    content = piece * times
    installed.gateway.put(content)
    held = of("bytes", "ops:file", {"path": "/srv/bytes", "source": "bytes"}, {"bytes": content})
    (told,) = installed.converged(held)
    assert told.claims[0].outcome == "Changed"
    known = len(installed.reports())
    at = len(content) // 2
    other = content[at] ^ 1
    edit = f"printf '\\{other:03o}' | dd of=/srv/bytes bs=1 seek={at} conv=notrunc status=none"
    installed.shell(f"touch -r /srv/bytes /srv/.time; {edit}; touch -r /srv/.time /srv/bytes; rm /srv/.time")
    installed.wait(lambda: len(installed.reports()) > known, "one byte to be missed")
    assert installed.reports()[-1].claims[0].outcome == "Changed"
    assert installed.shell("sha256sum < /srv/bytes").split()[0] == hashlib.sha256(content).hexdigest()


def test_ten_thousand_files(installed: Installed) -> None:
    bodies = []
    for first in range(0, FILES, AT_ONCE):
        many = of(f"many-{first}", "ops:directory", {"path": f"/srv/{first}"})
        for number in range(first, first + AT_ONCE):
            inputs = {"path": f"/srv/{first}/{number}", "content": f"{number}\n"}
            many.steps.append(step("ops:file", inputs, name=f"f{number}"))
        bodies.append(many)
    for told in installed.converged(*bodies, timeout=120):
        assert told.status == "Success", told.reason
    assert installed.shell("cat /srv/*000/* /srv/0/* | sort -n | md5sum") == installed.shell(
        f"seq 0 {FILES - 1} | md5sum"
    )
    installed.node.write("/srv/9000/9999", "by hand\n")
    installed.wait(installed.reads("/srv/9000/9999", b"9999\n"), "the one that drifted")
    installed.want()


def test_a_write_in_which_the_power_goes_leaves_the_old_file_or_the_new(module_node_factory: NodeFactory) -> None:
    (made,) = module_node_factory("power")
    furnish(made)
    made.write("/opt/writer.py", WRITER.replace("sys.argv[1]", "'/'").replace("/file", "/srv/file"))
    for _ in range(CUTS):
        made.run(["systemd-run", f"--setenv=PYTHONPATH={SITE}", "python3", "/opt/writer.py"])
        made.run(["sh", "-c", "until test -e /srv/file; do sleep 0.01; done"])
        made.power_off()
        made.start().wait_booted()
        whole = made.read("/srv/file") in (OLD, NEW)
        assert whole
    assert (
        converge(made, step("ops:file", {"path": "/srv/file", "content": "c"})).outcomes["path:/srv/file"] == "Changed"
    )
    assert made.run(["ls", "-A", "/srv"]).stdout == "file\n"
