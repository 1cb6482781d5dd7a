"""Ed25519 keys that sign for one side, and the check of what anyone signed; SSHSIG, as OpenSSH writes and reads it.

Belongs here: key files, ssh-keygen and the SSH agent. Does not belong here: whose key may do what, and the format
itself, which is `agent.contract.sshsig`.
"""

from reconciler.adapters.signer.key import KeySigner, open_key, read_key
from reconciler.adapters.signer.keygen import KeygenSigner
from reconciler.adapters.signer.operator import operator_signer
from reconciler.adapters.signer.verification import verify

__all__ = ["KeySigner", "KeygenSigner", "open_key", "operator_signer", "read_key", "verify"]
