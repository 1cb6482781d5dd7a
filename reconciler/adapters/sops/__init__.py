"""SOPS files: secrets in Git as the ordinary `sops` and `age` tools read and write them.

Belongs here: the format (values, selection, MAC, metadata, its five syntaxes), the keys that open it (age through
pyrage, PGP through gpg), creation rules, edits that keep the file, merging. A file is a text with slots: what is not
asked to change stays byte for byte. Everything but `keyring`, `age` and `pgp` is a function of bytes, keys and the
randomness it is given.
Does not belong here: what a parameter is, which files there are, ciphers (see `cryptography` and `pyrage`).
"""

from reconciler.adapters.sops.cache import Trees
from reconciler.adapters.sops.keyring import Keyring
from reconciler.adapters.sops.opening import Leaf, Opened, Tree, decrypt, open_file

__all__ = ["Keyring", "Leaf", "Opened", "Tree", "Trees", "decrypt", "open_file"]
