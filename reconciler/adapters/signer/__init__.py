"""Signatures with Ed25519 keys in OpenSSH's forms: the controller's own key, and operators' keys.

Belongs here: key files, signing, verifying. Does not belong here: what is signed, or whose key may do what.
"""

from reconciler.adapters.signer.key import KeySigner, open_key, read_key
from reconciler.adapters.signer.keygen import KeygenSigner, agent_keys
from reconciler.adapters.signer.operator import operator_signer
from reconciler.adapters.signer.verification import verify

__all__ = ["KeySigner", "KeygenSigner", "agent_keys", "open_key", "operator_signer", "read_key", "verify"]
