"""`server.yaml`: every key, and every way to get it wrong, at its place."""

from __future__ import annotations

from pathlib import Path

import pytest

from reconciler.core.problem import Invalid, Unavailable
from reconciler.wiring.settings import ServerSettings, allowed_signers, load

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFh"
RSA = "ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAAAgQDa"


def loaded(state: Path, text: str) -> ServerSettings:
    (state / "server.yaml").write_text(text)
    return load(state)


def test_it_need_not_be_there(tmp_path: Path) -> None:
    assert load(tmp_path) == ServerSettings()
    assert allowed_signers(load(tmp_path)) == b""


@pytest.mark.parametrize("text", ["", "# nothing yet\n", "---\n", "{}"])
def test_nor_say_anything(tmp_path: Path, text: str) -> None:
    assert loaded(tmp_path, text) == ServerSettings()


def test_everything(tmp_path: Path) -> None:
    settings = loaded(
        tmp_path,
        f"accessSigners:\n- {KEY} mary@laptop\n- {RSA}\nhooks:\n  githubSecretFile: secrets/github\n"
        "  gitlabTokenFile: /etc/opsctl/gitlab\n",
    )
    assert settings.hooks.github_secret_file == tmp_path / "secrets" / "github"
    assert settings.hooks.gitlab_token_file == Path("/etc/opsctl/gitlab")
    assert allowed_signers(settings).decode() == f'* namespaces="git" {KEY}\n* namespaces="git" {RSA}\n'


@pytest.mark.parametrize(
    ("text", "finding"),
    [
        (
            "accessSigner: []",
            "server.yaml:1:1: error: unknown field `accessSigner`; "
            "expected `accessSigners`, `aws`, `hooks`, `secrets`, `ssh` or `webhooks`",
        ),
        ("hooks:\n  githubSecret: x", "server.yaml:2:3: error: "),
        ("accessSigners: mary", "server.yaml:1:16: error: `accessSigners` "),
        (
            f"accessSigners:\n- {KEY}\n- mary",
            "server.yaml:3:3: error: `accessSigners[1]` is `mary`: this is no public SSH key",
        ),
        ("accessSigners: [ssh-ed25519 AAAA]", "server.yaml:1:17: error: `accessSigners[0]`"),
        (f"accessSigners: ['{KEY.replace('ssh-ed25519', 'ssh-rsa')}']", "server.yaml:1:17: error: "),
        ("accessSigners: ['ssh-ed25519 !!!']", "server.yaml:1:17: error: "),
        ("hooks: [", "server.yaml:"),
        ("- accessSigners", "server.yaml:1:1: error: "),
        ("{}\n---\n{}", "server.yaml:2:1: error: there is a second document; expected one document"),
        ("hooks: {}\nhooks: {}", "server.yaml:2:1: error: "),
    ],
)
def test_what_is_wrong_is_said_at_its_place(tmp_path: Path, text: str, finding: str) -> None:
    with pytest.raises(Invalid) as caught:
        loaded(tmp_path, text)
    assert f"{tmp_path}/{finding}" in str(caught.value)


def test_it_may_not_be_readable(tmp_path: Path) -> None:
    (tmp_path / "server.yaml").mkdir()
    with pytest.raises(Unavailable, match="Is a directory"):
        load(tmp_path)


def test_keys_for_visits_are_files_of_the_state_directory(tmp_path: Path) -> None:
    default = "default: {file: ssh/id_ed25519, passphraseFile: ssh/passphrase}"
    text = f"ssh:\n  identities:\n    {default}\n    other: {{file: /k}}\n"
    ssh = loaded(tmp_path, text + "  knownHosts: ssh/known_hosts\n  connectTimeout: 3\n").ssh
    assert ssh.identities["default"].file == tmp_path / "ssh/id_ed25519"
    assert ssh.identities["default"].passphrase_file == tmp_path / "ssh/passphrase"
    assert (ssh.identities["other"].file, ssh.identities["other"].passphrase_file) == (Path("/k"), None)
    assert (ssh.known_hosts, ssh.connect_timeout, ssh.connections) == (tmp_path / "ssh/known_hosts", 3, 50)
