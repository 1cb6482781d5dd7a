"""ops:certificate. A certificate that does not expire unnoticed, in a PEM file or at a TLS server.

Of a file with a chain, the certificate that ends first counts. Nothing of it is verified: whether it is trusted is the
affair of who meets it. Where nothing renews it, the step only watches and fails in time; else `renew` is run, or one
that signs itself is made, by openssl, whose key is never in a command line or in the ledger.
"""

from __future__ import annotations

import dataclasses
import posixpath
from typing import Dict, List, Optional, Tuple

from agent.contract.canonical import instant
from agent.contract.claims import Claim, claims_of, unsafe_path
from agent.contract.inputs.network import CertificateInputs
from agent.contract.record import dataclass
from agent.host.port import Host
from agent.steps import self_signed, x509
from agent.steps.diff import bounded
from agent.steps.execution import ending, run_lines, transcript
from agent.steps.link import followed
from agent.steps.step import Applied, Change, Given, LeftAlone, State, StepFailed
from agent.steps.x509 import Certificate

_DAY = 24 * 3600 * 1000
_CONNECT_TIME = 10.0
_FILE_AT_MOST = 1024 * 1024


@dataclass(frozen=True)
class Observed:
    """What is there, empty where nothing is; digests of the files that are there; the instant of the look."""

    certificates: Tuple[Certificate, ...]
    digests: Dict[str, str]
    at: int


class CertificateStep:
    """A certificate that stays valid for so many days."""

    def observe(self, host: Host, desired: CertificateInputs, given: Given) -> Observed:
        del given
        digests = _digests(host, [path for path in (desired.path, desired.key_path) if path])
        return Observed(tuple(_certificates(host, desired)), digests, host.now())

    def changes(self, desired: CertificateInputs, observed: Observed, given: Given) -> List[Change]:
        del given
        before = _wrong(desired, observed)
        if before is None:
            return []
        after = "valid for at least %d more days" % desired.days
        if desired.self_signed:
            claims = [claim for claim in claims_of("ops:certificate", desired) if claim.kind == "path"]
            made = "signed by itself, for %s, valid for %d days" % (", ".join(desired.self_signed), desired.valid_days)
            return [Change(claims[0], before, made), Change(claims[1], "the key of that", "a new key")]
        if not desired.renew:
            raise StepFailed("the certificate of %s is %s; nothing here renews it" % (_where(desired), before))
        return [Change(_claim(desired), before, after, bounded(["+ " + line for line in desired.renew]))]

    def apply(self, host: Host, desired: CertificateInputs, changes: List[Change], given: Given) -> Applied:
        if not changes:
            return Applied()
        if desired.self_signed:
            if not desired.path or not desired.key_path:
                raise StepFailed("a certificate that signs itself needs a `path` and a `keyPath`")
            self_signed.make(host, desired.self_signed, desired.valid_days, desired.path, desired.key_path)
            return Applied()
        ran = run_lines(host, desired.renew, None, desired.timeout_seconds, dataclasses.replace(given, execution=""))
        if ran.rc:
            raise StepFailed("renew: " + ending(ran), rc=ran.rc, output=transcript(ran))
        return Applied(transcript(ran))

    def state(self, observed: Observed, claim: Claim) -> State:
        digest = observed.digests.get(claim.name) if claim.kind == "path" else None
        return None if digest is None else {"digest": digest}

    def current(self, host: Host, claim: Claim, left: State) -> State:
        del left
        digests = _digests(host, [claim.name] if claim.kind == "path" else [])
        return {"digest": digests[claim.name]} if digests else None

    def restore(self, host: Host, claim: Claim, prior: State, left: State) -> None:
        del left
        if prior is not None:
            raise LeftAlone("the one before is not kept")
        host.unlink(claim.name)
        host.sync_directory(posixpath.dirname(claim.name))


def _where(desired: CertificateInputs) -> str:
    return desired.path or desired.endpoint or ""


def _claim(desired: CertificateInputs) -> Claim:
    return Claim("certificate", _where(desired))


def _wrong(desired: CertificateInputs, observed: Observed) -> Optional[str]:
    """What is wrong with what is there, in words; None where nothing is."""
    if not observed.certificates:
        return "absent"
    first = min(observed.certificates, key=lambda certificate: certificate.ends)
    left = first.ends - observed.at
    until = instant(first.ends)[:10]
    if left <= 0:
        return "expired since %s" % until
    if left < desired.days * _DAY:
        return "valid until %s, for %d days" % (until, left // _DAY)
    begins = max(certificate.begins for certificate in observed.certificates)
    if begins > observed.at:
        return "not valid before %s" % instant(begins)
    names = observed.certificates[0].names
    if desired.self_signed and names != self_signed.spelt(desired.self_signed):
        return "for %s" % (", ".join(names) or "no name")
    return _key_missing(desired, observed)


def _key_missing(desired: CertificateInputs, observed: Observed) -> Optional[str]:
    if desired.self_signed and desired.key_path and desired.key_path not in observed.digests:
        return "without its key"
    return None


def _certificates(host: Host, desired: CertificateInputs) -> List[Certificate]:
    try:
        if desired.endpoint is not None:
            address, port = _endpoint(desired.endpoint)
            name = desired.server_name or address
            return [x509.from_der(host.peer_certificate(address, port, name, _CONNECT_TIME))]
        if not desired.path or unsafe_path(desired.path):
            raise StepFailed("a certificate needs the `path` of its file, or an `endpoint`")
        path = followed(host, desired.path)
        return x509.from_pem(host.read(path, _FILE_AT_MOST)) if host.lstat(path) else []
    except x509.NotACertificate as error:
        raise StepFailed("%s: %s" % (_where(desired), error)) from None


def _endpoint(text: str) -> Tuple[str, int]:
    """`shop.example.com:443` or `[2001:db8::1]:443`."""
    address, _, port = text.rpartition(":")
    if not address or not port.isdigit() or not 0 < int(port) < 65536:
        raise StepFailed("`endpoint` is %r; expected host:port" % text)
    return address.strip("[]"), int(port)


def _digests(host: Host, paths: List[str]) -> Dict[str, str]:
    seen = {path: host.snapshot(path, keep=0) for path in paths}
    return {path: snapshot.digest for path, snapshot in seen.items() if snapshot is not None}
