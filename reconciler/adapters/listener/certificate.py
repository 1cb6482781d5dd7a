"""The server's certificate as TLS presents it, renewable while the server runs."""

from __future__ import annotations

import ssl
from typing import TYPE_CHECKING

from agent.contract.canonical import digest
from reconciler.core.problem import Unavailable

if TYPE_CHECKING:
    from pathlib import Path


class Certificate:
    """A certificate chain and its key, in PEM files; the leaf comes first.

    `context` serves TLS 1.2 and newer with it. `fingerprints` are the digests of the DER leaves that connections made
    by this process may have been shown: the one before stays valid for those that were made just before a renewal.
    Raises `Unavailable` when the files cannot be used.
    """

    def __init__(self, chain: Path, key: Path) -> None:
        self._chain = chain
        self._key = key
        self._shown: tuple[str, ...] = ()
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.minimum_version = ssl.TLSVersion.TLSv1_2
        self.context.set_alpn_protocols(["http/1.1"])
        self.context.num_tickets = 0  # agents stay connected; resumption would cost memory and save nothing
        self.renew()

    def renew(self) -> None:
        """Read the files again; new connections are shown what they hold now."""
        try:
            self.context.load_cert_chain(self._chain, self._key)
            leaf = _leaf(self._chain.read_text("ascii"))
        except (OSError, ValueError) as error:  # ssl.SSLError is an OSError
            raise Unavailable(f"the server certificate {self._chain}", str(error)) from error
        if leaf not in self._shown[:1]:
            self._shown = (leaf, *self._shown[:1])

    def fingerprints(self) -> tuple[str, ...]:
        """`sha256:` digests, the present one first."""
        return self._shown


def _leaf(chain: str) -> str:
    end = "-----END CERTIFICATE-----"
    first, found, _ = chain.partition(end)
    begin = first.find("-----BEGIN CERTIFICATE-----")
    if not found or begin < 0:
        raise ValueError("no PEM certificate in it")
    return digest(ssl.PEM_cert_to_DER_cert(first[begin:] + found))
