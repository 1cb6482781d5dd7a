"""`STATE/server.yaml`: what the server is told apart from the repository it serves, which may not say it itself."""

from __future__ import annotations

import base64
import binascii
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, Field, model_validator

from reconciler.core import typed
from reconciler.core.manifest import read
from reconciler.core.problem import Finding, Invalid, Unavailable
from reconciler.core.resource import Model, Name
from reconciler.core.typed.markers import Wrong

FILE = "server.yaml"
KEY_TYPES = (
    "ssh-ed25519",
    "sk-ssh-ed25519@openssh.com",
    "ecdsa-sha2-nistp256",
    "ecdsa-sha2-nistp384",
    "ecdsa-sha2-nistp521",
    "sk-ecdsa-sha2-nistp256@openssh.com",
    "ssh-rsa",
)
"""What Git signs commits with through OpenSSH."""


def _public_key(text: str) -> str:
    kind, _, rest = text.strip().partition(" ")
    if kind not in KEY_TYPES or not _holds(rest.split(" ")[0], kind):
        raise Wrong("this is no public SSH key", expected="the line of an id_ed25519.pub file")
    return text.strip()


def _holds(encoded: str, kind: str) -> bool:
    """Whether this is the base64 of a key that is itself of that type: OpenSSH would pass over any other line."""
    try:
        data = base64.b64decode(encoded, validate=True)
    except (binascii.Error, ValueError):
        return False
    name = kind.encode()
    return data.startswith(len(name).to_bytes(4, "big") + name) and len(data) > 4 + len(name)


PublicKey = Annotated[str, AfterValidator(_public_key)]


class HookSettings(Model):
    """Who may say that the repository changed (`POST /hooks/git`). It only triggers a fetch."""

    github_secret_file: Path | None = None
    """File with the secret that GitHub signs its webhooks with; relative to the state directory."""
    gitlab_token_file: Path | None = None
    """File with the token that GitLab sends; relative to the state directory."""


class SshIdentity(Model):
    """A private key of the server's that it logs in to nodes with."""

    file: Path
    """The key; relative to the state directory."""
    passphrase_file: Path | None = None
    """File that holds its passphrase, where it has one; relative to the state directory."""


class SshSettings(Model):
    """How the server visits nodes with `transport: ssh`. Nothing of its user's own SSH configuration counts."""

    identities: dict[Name, SshIdentity] = Field(default_factory=dict)
    """Keys by the name that Node files choose one with; `default` serves those that choose none."""
    known_hosts: Path | None = None
    """OpenSSH known_hosts file for nodes without `hostKeys`; relative to the state directory."""
    connections: Annotated[int, Field(ge=1, le=1000)] = 50
    """How many nodes are visited at once."""
    connect_timeout: Annotated[int, Field(ge=1, le=300)] = 10
    """Seconds that a node has to answer in."""


class WebhookSettings(Model):
    """A place that runbooks may send a message to, by its name (`aws:invokeWebhook`)."""

    description: str = ""
    """For people."""
    url: str = ""
    """Where it is."""
    url_file: Path | None = None
    """File that holds the URL, where that is itself a secret; relative to the state directory."""
    headers: dict[str, str] = Field(default_factory=dict)
    """Sent along."""
    header_files: dict[str, Path] = Field(default_factory=dict)
    """Files that hold headers which are secrets; relative to the state directory."""
    payload: str = ""
    """What is sent where a step has no `Body`."""
    allow_private: bool = False
    """Whether it may be on this machine, or in a network that is not the internet's."""
    ca_file: Path | None = None
    """File of certificates to trust instead of the system's; relative to the state directory."""
    timeout: Annotated[int, Field(ge=1, le=300)] = 30
    """Seconds that it has to answer in."""

    @model_validator(mode="after")
    def _somewhere(self) -> WebhookSettings:
        if bool(self.url) == bool(self.url_file):
            raise Wrong("it is not said where it is", expected="one of `url` and `urlFile`")
        return self


class AwsSettings(Model):
    """What runbooks may call of AWS, with the credentials of the server's environment; needs the extra `aws`."""

    allow: tuple[str, ...] = ()
    """Calls, as `ec2:Describe*`; with none, nothing is called."""
    region: str | None = None
    """The region; by default that of the environment."""
    endpoint: str | None = None
    """Another address than AWS's own, for what speaks as AWS does."""


class SecretSettings(Model):
    """The private keys that the server opens the repository's secrets with."""

    keys: tuple[Path, ...] = ()
    """Files with age identities or SSH keys; relative to the state directory. Without any, those that `sops` would use
    in the server's environment: `SOPS_AGE_KEY_FILE` and the like, and gpg's."""


class ServerSettings(Model):
    """The server's own settings. None of them is needed for a first run."""

    access_signers: tuple[PublicKey, ...] = ()
    """Public SSH keys that sign commits under `access/`; with none, such changes are refused."""
    hooks: HookSettings = Field(default_factory=HookSettings)
    """Secrets of webhooks."""
    ssh: SshSettings = Field(default_factory=SshSettings)
    """Visits to nodes that do not connect by themselves."""
    webhooks: dict[str, WebhookSettings] = Field(default_factory=dict)
    """Integrations of `aws:invokeWebhook` by their names."""
    aws: AwsSettings = Field(default_factory=AwsSettings)
    """What runbooks may call of AWS."""
    secrets: SecretSettings = Field(default_factory=SecretSettings)
    """What opens SecureStrings."""


def load(state: Path) -> ServerSettings:
    """The settings in a state directory, the defaults where it has none. Raises `Invalid` with every finding."""
    path = state / FILE
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return ServerSettings()
    except OSError as error:
        raise Unavailable(str(path), error.strerror or "") from error
    if not _says_anything(data):
        return ServerSettings()
    manifests = read(data, str(path))
    if len(manifests) > 1:
        place = manifests[1].places.start
        raise Invalid((Finding("there is a second document", place, "one document with the server's settings"),))
    settings = typed.load(ServerSettings, manifests[0].tree, manifests[0].places)
    found = {
        "hooks": _beneath(state, settings.hooks),
        "ssh": _ssh(state, settings.ssh),
        "secrets": SecretSettings(keys=tuple(state / key for key in settings.secrets.keys)),
    }
    return settings.model_copy(update=found)


def _says_anything(data: bytes) -> bool:
    lines = (line.strip() for line in data.splitlines())
    return any(line and line != b"---" and not line.startswith(b"#") for line in lines)


def _beneath(state: Path, hooks: HookSettings) -> HookSettings:
    named = {name: getattr(hooks, name) for name in ("github_secret_file", "gitlab_token_file")}
    return hooks.model_copy(update={name: state / path for name, path in named.items() if path is not None})


def _ssh(state: Path, ssh: SshSettings) -> SshSettings:
    identities = {
        name: SshIdentity(
            file=state / identity.file,
            passphrase_file=state / identity.passphrase_file if identity.passphrase_file is not None else None,
        )
        for name, identity in ssh.identities.items()
    }
    known_hosts = state / ssh.known_hosts if ssh.known_hosts is not None else None
    return ssh.model_copy(update={"identities": identities, "known_hosts": known_hosts})


def allowed_signers(settings: ServerSettings) -> bytes:
    """The keys in the form of OpenSSH's allowed-signers file; empty where none is listed."""
    return "".join(f'* namespaces="git" {" ".join(key.split()[:2])}\n' for key in settings.access_signers).encode()
