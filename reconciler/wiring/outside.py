"""From the server's settings to who does the work of runbooks elsewhere."""

from __future__ import annotations

from typing import TYPE_CHECKING

from reconciler.adapters.outside import Aws, AwsSettings, Integration, Webhooks

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from reconciler.core.ports import Clock, Outside
    from reconciler.wiring.settings import ServerSettings, WebhookSettings

CALLS = ("aws:assertAwsResourceProperty", "aws:executeAwsApi", "aws:waitForAwsResourceProperty")


def outside(settings: ServerSettings, state: Path, clock: Clock) -> Mapping[str, Outside]:
    """Who does what, by action."""
    aws = Aws(AwsSettings(settings.aws.allow, settings.aws.region, settings.aws.endpoint), clock)
    webhooks = Webhooks({name: _integration(one, state) for name, one in settings.webhooks.items()}, clock)
    return {**dict.fromkeys(CALLS, aws), "aws:invokeWebhook": webhooks}


def _integration(webhook: WebhookSettings, state: Path) -> Integration:
    return Integration(
        url=webhook.url,
        url_file=state / webhook.url_file if webhook.url_file else None,
        headers=webhook.headers,
        header_files={name: state / path for name, path in webhook.header_files.items()},
        payload=webhook.payload,
        private=webhook.allow_private,
        ca=state / webhook.ca_file if webhook.ca_file else None,
        seconds=webhook.timeout,
    )
