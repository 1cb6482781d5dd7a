"""Opens SecureStrings with the private keys at hand. What it opens it does not keep."""

from __future__ import annotations

from typing import TYPE_CHECKING

from reconciler.adapters.sops import decrypt
from reconciler.core.cleartext import Cleartext
from reconciler.core.problem import Refused

if TYPE_CHECKING:
    from collections.abc import Callable

    from reconciler.adapters.sops import Keyring, Leaf
    from reconciler.core.parameters import Parameter


class SopsUnseal:
    """`Unseal` by SOPS. `keys` are asked for when the first secret is to be opened."""

    def __init__(self, keys: Callable[[], Keyring]) -> None:
        self._keys = keys

    def __call__(self, parameter: Parameter) -> Cleartext:
        tree = decrypt(parameter.file, parameter.path, self._keys())
        texts = [leaf.cleartext for leaf in tree.leaves if _is_of(leaf, parameter)]
        if not texts:
            raise Refused(f"{parameter.path} has no value for {parameter.name}")
        return texts[0] if len(texts) == 1 else Cleartext(b",".join(text.reveal() for text in texts))


def _is_of(leaf: Leaf, parameter: Parameter) -> bool:
    loc = parameter.loc
    if parameter.path.endswith(".env"):
        loc = (parameter.name.rpartition("/")[2],)
    return leaf.path[: len(loc)] == loc
