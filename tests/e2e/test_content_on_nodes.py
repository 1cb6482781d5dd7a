"""Ansible, really: playbooks brought from an https server to a real node, and applied there by Debian's own Ansible."""

from __future__ import annotations

import functools
import json
import ssl
import threading
import zipfile
from collections.abc import Iterator
from http.server import ThreadingHTTPServer
from pathlib import Path

import pytest

from tests.agent.pki import Authority
from tests.e2e import config
from tests.e2e.on_nodes import SceneOnNodes
from tests.e2e.test_content import Quiet
from tests.faults import FULL
from tests.fleet import Fleet

pytestmark = [
    pytest.mark.realnode,
    pytest.mark.fault,
    pytest.mark.skipif(not FULL, reason="packages have to be fetched and installed: OPSCTL_FAULTS=full runs it"),
    pytest.mark.usefixtures("node_rootfs"),
]
PACKAGES = ["ansible-core", "ca-certificates"]
PLAYBOOK = """
- hosts: all
  tasks:
    - ansible.builtin.copy: {dest: /etc/made, content: "{{ greeting }} on {{ ansible_distribution }}\\n"}
"""


@pytest.fixture
def scene(node_rootfs: object, tmp_path: Path) -> Iterator[SceneOnNodes]:
    with Fleet() as fleet:
        fleet.up("web-1", packages=PACKAGES)
        with SceneOnNodes(tmp_path, {**config.fleet(), **config.node("web-1")}, fleet) as scene:
            fleet.wait_booted()
            node = fleet.nodes["web-1"]
            node.run(["apt-get", "--quiet", "update"])
            node.run(["apt-get", "install", "--yes", "--quiet", *PACKAGES])
            scene.join("web-1")
            yield scene


@pytest.fixture
def web(scene: SceneOnNodes, tmp_path: Path) -> Iterator[str]:
    """An https server that the node trusts, with an archive of playbooks."""
    authority, address = Authority(), scene.fleet.host_address
    directory = tmp_path / "bucket"
    directory.mkdir()
    with zipfile.ZipFile(directory / "play.zip", "w") as archive:
        archive.writestr("site.yml", PLAYBOOK)
    server = ThreadingHTTPServer((address, 0), functools.partial(Quiet, directory=str(tmp_path)))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(authority.serve_as(tmp_path, address))
    server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    (tmp_path / "ca.crt").write_text(authority.pem)
    node = scene.fleet.nodes["web-1"]
    node.put(tmp_path / "ca.crt", "/usr/local/share/ca-certificates/test.crt")
    node.run(["update-ca-certificates"])
    yield f"https://{address}:{server.server_port}/bucket"
    server.shutdown()
    thread.join()
    server.server_close()


def test_a_playbook_is_applied(scene: SceneOnNodes, web: str) -> None:
    given = {
        "SourceType": "S3",
        "SourceInfo": json.dumps({"path": f"{web}/play.zip"}),
        "PlaybookFile": "site.yml",
        "ExtraVariables": "greeting='hello there'",
        "InstallDependencies": "False",
    }
    words = [word for name, value in given.items() for word in ("-p", f"{name}={value}")]
    said = scene.opsctl("document", "run", "AWS-ApplyAnsiblePlaybooks", "--targets", "web-1", *words)
    assert "changed=1" in said
    assert scene.run("web-1", "cat", "/etc/made") == "hello there on Debian\n"
    said = scene.opsctl("document", "run", "AWS-ApplyAnsiblePlaybooks", "--targets", "web-1", *words)
    assert "changed=0" in said
    scene.wait(
        "what was brought to be gone", lambda: scene.run("web-1", "ls", "/var/lib/opsctl/jobs") == "known.json\n"
    )
