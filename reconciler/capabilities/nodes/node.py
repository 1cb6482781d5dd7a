"""Node: what Git says of one server. Its labels, which targets select, stand in `metadata.labels`."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, Field, StringConstraints, model_validator

from agent.contract import publickey
from reconciler.core.fields import OURS, CanonicalObject
from reconciler.core.node_ports import SshHost
from reconciler.core.resource import Model, Name
from reconciler.core.typed.markers import Wrong

# --- Model ---------------------------------------------------------------------------------------------------------


def _host_key(text: str) -> str:
    try:
        publickey.parse(text)
    except publickey.NotAKey as error:
        raise Wrong(str(error), expected=_HOST_KEY) from error
    return text


_HOST_KEY = "a host's public key, as the line of its /etc/ssh/ssh_host_ed25519_key.pub"
HostKey = Annotated[
    str,
    AfterValidator(_host_key),
    Field(json_schema_extra={"pattern": "^[a-z0-9@.-]+ [A-Za-z0-9+/=]+( .*)?$", "x-expected": _HOST_KEY}),
]
HostName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_:]([A-Za-z0-9_.:%-]{0,252}[A-Za-z0-9_])?$")]
UserName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_][A-Za-z0-9_.@-]{0,63}$")]
Program = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_/][A-Za-z0-9_./-]{0,255}$")]


class SshSpec(Model):
    """How the server reaches a node over SSH."""

    host: HostName
    """Name or address."""
    port: Annotated[int, Field(ge=1, le=65535)] = 22
    """Port of its SSH server."""
    user: UserName = "root"
    """The user to log in as."""
    host_keys: tuple[HostKey, ...] = ()
    """The host's public keys, one of which it must have; without them, the server's known hosts must have one."""
    identity: Name = "default"
    """Which of the server's keys to log in with: a name under `ssh.identities` of its `server.yaml`."""
    sudo: bool = False
    """Run the agent as root by `sudo -n`, for a user that is not root."""
    python: Program = "python3"
    """The Python there, 3.8 or newer."""
    ephemeral: bool = False
    """Leave nothing on the node; what takes a memory (pruning, scripts that run once, secrets) is refused there."""


class NodeSpec(Model):
    """A server by the name it is enrolled under."""

    description: str = ""
    """For people."""
    vars: CanonicalObject = Field(default_factory=dict, json_schema_extra=OURS)
    """Values that templates on this node read as `vars`: any JSON without fractions."""
    transport: Literal["websocket", "ssh"] = Field(default="websocket", json_schema_extra=OURS)
    """`websocket`: its agent stays connected to the server. `ssh`: the server visits it, and enrols it by itself."""
    ssh: SshSpec | None = Field(default=None, json_schema_extra=OURS)
    """How it is reached with `transport: ssh`."""

    @model_validator(mode="after")
    def _reachable(self) -> NodeSpec:
        if self.transport == "ssh" and self.ssh is None:
            raise Wrong("nothing says how it is reached", expected="`ssh` with a `host`")
        return self


# --- Plan ----------------------------------------------------------------------------------------------------------


def visited(name: str, spec: NodeSpec) -> SshHost | None:
    """Where the server visits a node, None where the node comes by itself."""
    if spec.transport != "ssh" or spec.ssh is None:
        return None
    return SshHost(node=name, **dict(spec.ssh))


def ephemeral(spec: NodeSpec) -> bool:
    """Whether a node keeps nothing between two visits."""
    return spec.transport == "ssh" and spec.ssh is not None and spec.ssh.ephemeral
