"""Work that automations have done elsewhere: webhooks, and AWS's APIs. Adapters of the port `Outside`.

Belongs here: one module per kind of place. Whatever comes back is an answer: a place that does not answer, refuses, or
says too much fails the step with the reason, and with no secret of the call in it.
Does not belong here: which step asks for what, what is made of an answer, and calls that this system answers itself.
"""

from reconciler.adapters.outside.addresses import Forbidden, permitted
from reconciler.adapters.outside.aws import Aws, AwsSettings
from reconciler.adapters.outside.memory import MemoryOutside
from reconciler.adapters.outside.webhook import Integration, Webhooks

__all__ = ["Aws", "AwsSettings", "Forbidden", "Integration", "MemoryOutside", "Webhooks", "permitted"]
