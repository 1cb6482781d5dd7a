"""`STATE/server.yaml`: what the server is told apart from the repository it serves, which may not say it itself."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field

from reconciler.core import typed
from reconciler.core.manifest import read
from reconciler.core.problem import Unavailable
from reconciler.core.resource import Model

FILE = "server.yaml"


class HookSettings(Model):
    """Who may say that the repository changed (`POST /hooks/git`). It only triggers a fetch."""

    github_secret_file: Path | None = None
    """File with the secret that GitHub signs its webhooks with."""
    gitlab_token_file: Path | None = None
    """File with the token that GitLab sends."""


class ServerSettings(Model):
    """The server's own settings. None of them is needed for a first run."""

    access_signers: tuple[str, ...] = ()
    """Public SSH keys that sign commits under `access/`; with none, such changes are refused."""
    hooks: HookSettings = Field(default_factory=HookSettings)
    """Secrets of webhooks."""


def load(state: Path) -> ServerSettings:
    """The settings in a state directory, the defaults where it has none. Raises `Invalid`."""
    path = state / FILE
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return ServerSettings()
    except OSError as error:
        raise Unavailable(str(path), error.strerror or "") from error
    manifests = read(data, str(path))
    if not manifests:
        return ServerSettings()
    return typed.load(ServerSettings, manifests[0].tree, manifests[0].places)


def allowed_signers(settings: ServerSettings) -> bytes:
    """The keys in the form of OpenSSH's allowed-signers file; empty where none is listed."""
    return "".join(f'* namespaces="git" {" ".join(key.split()[:2])}\n' for key in settings.access_signers).encode()
