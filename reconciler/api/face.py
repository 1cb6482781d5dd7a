"""The API as the face of a daemon."""

from __future__ import annotations

from typing import TYPE_CHECKING

from reconciler.api.app import build
from reconciler.api.authentication import Doorkeeper
from reconciler.api.hooks import GitHook, Secrets
from reconciler.api.signature import Freshness

if TYPE_CHECKING:
    from starlette.applications import Starlette

    from reconciler.wiring.daemon import Served


def face(served: Served) -> Starlette:
    """The app for both listeners."""
    freshness = Freshness(served.ca_digest, served.now_ms())
    doorkeeper = Doorkeeper(served.service.operator_of, served.verify, freshness, served.now_ms, served.owner)
    hook = GitHook(Secrets(served.github_secret, served.gitlab_token), served.pushed)
    return build(served.service, doorkeeper, hook, served.stopping, served.channel)
