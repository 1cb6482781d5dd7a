"""Who this node is: its keys, its fleet, the key it pins; and where all of the agent's state lies.

DIR/               0700
  keys.json        the node's private keys, 0600, written before they are used
  identity.json    fleet, node, controller key, servers: there once the node is enrolled
  ca.pem           the fleet's CA, exactly the certificate that the token named
  journal  lock    see `journal`
  held/            see `assignments`
  ledger.json      see `ledger`
  executions/      see `host.executions`
  status/          what `status` shows
"""

from __future__ import annotations

import base64
import json
import os
import sys
from dataclasses import field
from typing import Any, List, Type, TypeVar

from agent import durable
from agent.contract import sshsig
from agent.contract.codec import Malformed, Wire, from_wire, to_wire
from agent.contract.record import dataclass
from agent.crypto import Signer, new_key, sealing_public_of

_T = TypeVar("_T", bound=Wire)


class NotEnrolled(Exception):
    """This state directory holds no identity; the message says how to get one."""


class StateDamaged(Exception):
    """A file of the state directory is not what the agent wrote; the message names it."""


@dataclass(frozen=True)
class Identity(Wire):
    """The identity that enrolment gave. `controller_key` is OpenSSH text; `servers` are URLs, tried in turn.

    `incarnation` is the store's at enrolment: what an older store signed is not for this identity. `ephemeral`: all of
    this state goes at the end of the visit that it was made for.
    """

    fleet_id: str
    node_id: str
    node_name: str
    controller_key: str
    ca_digest: str
    servers: List[str]
    incarnation: int
    ephemeral: bool = False

    def controller(self) -> bytes:
        """The raw public key that signs what this node obeys."""
        return sshsig.public_of_text(self.controller_key)


@dataclass(frozen=True)
class Keys(Wire):
    """The node's private keys: Ed25519 to sign, X25519 to receive secrets; 32 bytes each as base64."""

    generation: int
    sign: str = field(repr=False)
    seal: str = field(repr=False)

    def signer(self) -> Signer:
        return Signer(base64.b64decode(self.sign))

    def sign_key(self) -> str:
        """The public half that the server knows this node by, as OpenSSH text."""
        return sshsig.public_text(self.signer().public)

    def seal_key(self) -> str:
        """The public half that secrets are sealed to, as base64."""
        return base64.b64encode(sealing_public_of(base64.b64decode(self.seal))).decode()


def keys_path(state: str) -> str:
    return os.path.join(state, "keys.json")


def identity_path(state: str) -> str:
    return os.path.join(state, "identity.json")


def ca_path(state: str) -> str:
    return os.path.join(state, "ca.pem")


def keys_made(state: str) -> Keys:
    """The node's keys, made and durable at the first call. Raises StateDamaged."""
    durable.make_directory(state)
    found = durable.read(keys_path(state))
    if found is not None:
        return _parsed(Keys, found, keys_path(state))
    keys = Keys(1, base64.b64encode(new_key()).decode(), base64.b64encode(new_key()).decode())
    durable.replace(keys_path(state), _text(keys))
    return keys


def load_keys(state: str) -> Keys:
    """Raises NotEnrolled, StateDamaged."""
    return _parsed(Keys, _must_read(keys_path(state), state), keys_path(state))


def load(state: str) -> Identity:
    """Raises NotEnrolled, StateDamaged."""
    identity = _parsed(Identity, _must_read(identity_path(state), state), identity_path(state))
    try:
        identity.controller()
    except sshsig.BadSignature as error:
        raise StateDamaged("%s: controllerKey: %s" % (identity_path(state), error)) from error
    return identity


def load_ca(state: str) -> str:
    """The CA certificate as PEM. Raises NotEnrolled."""
    return _must_read(ca_path(state), state).decode("ascii", "replace")


def save(state: str, identity: Identity, ca_pem: str) -> None:
    """Make the node enrolled, durably. The identity comes last: where it is, all of it is."""
    durable.replace(ca_path(state), ca_pem.encode("ascii"), mode=0o644)
    durable.replace(identity_path(state), _text(identity))


def boot_id() -> str:
    """The kernel's name of this boot; where there is none, one per process, which claims less."""
    found = durable.read("/proc/sys/kernel/random/boot_id", limit=100) if sys.platform == "linux" else None
    return found.decode("ascii").strip() if found else "process-%d" % os.getpid()


def _must_read(path: str, state: str) -> bytes:
    found = durable.read(path)
    if found is None:
        raise NotEnrolled(
            "this node is not enrolled (no %s); run `agent.pyz enroll --server URL --token-file FILE --state %s`"
            % (path, state)
        )
    return found


def _parsed(kind: Type[_T], data: bytes, path: str) -> _T:
    try:
        value: Any = json.loads(data)
        return from_wire(kind, value, path)
    except (ValueError, Malformed) as error:
        raise StateDamaged("%s: %s" % (path, error)) from error


def _text(value: Wire) -> bytes:
    return (json.dumps(to_wire(value), indent=2, sort_keys=True) + "\n").encode()
