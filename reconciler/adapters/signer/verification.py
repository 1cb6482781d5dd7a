"""The check of a signature. What is signed is verified before anyone parses it."""

from __future__ import annotations

import base64
import binascii
from typing import TYPE_CHECKING

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from agent.contract import sshsig
from agent.contract.sshsig import BadSignature

if TYPE_CHECKING:
    from agent.contract.wire import Signed


def verify(signed: Signed, public: str, namespace: str) -> bytes:
    """The `Verify` port: the payload, once `public` (OpenSSH text, ed25519) is shown to have signed it there."""
    key = sshsig.public_of_text(public)
    payload, blob = _decoded(signed.payload, "payload"), _decoded(signed.sig, "signature")
    parts = sshsig.parts(blob)
    if parts.public != key:
        raise BadSignature("signed by another key")
    if parts.namespace != namespace:
        raise BadSignature(f"signed for {parts.namespace!r}, not for {namespace!r}")
    try:
        message = sshsig.message_to_sign(payload, namespace)
        Ed25519PublicKey.from_public_bytes(key).verify(parts.signature, message)
    except (InvalidSignature, ValueError) as error:
        raise BadSignature("the signature does not fit what it stands on") from error
    return payload


def _decoded(text: str, what: str) -> bytes:
    try:
        return base64.b64decode(text.encode("ascii"), validate=True)
    except (binascii.Error, UnicodeEncodeError) as error:
        raise BadSignature(f"the {what} is not base64") from error
