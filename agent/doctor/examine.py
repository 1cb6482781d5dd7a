"""All checks in order, each given a time: one that hangs is a finding too."""

from __future__ import annotations

import threading
from functools import partial
from typing import Callable, Iterable, List, Optional, Tuple, Union

from agent.contract.codec import Malformed
from agent.contract.token import decode_token
from agent.contract.wire import Token
from agent.doctor import machine, network, state
from agent.doctor.finding import Finding, fail, ok
from agent.doctor.network import Trust
from agent.state import identity, lock

SECONDS = 10.0
"""For one operation on the network; a whole check is given some more."""
_OPERATIONS = 4
_NOBODY = Trust("")

Check = Callable[[], Union[Finding, Iterable[Finding]]]


def examine(
    directory: str,
    server: Optional[str] = None,
    token_text: Optional[str] = None,
    *,
    sandbox: bool = False,
    seconds: float = SECONDS,
) -> List[Finding]:
    """Everything that can be said of a node with this state directory.

    `server` is tried instead of those that the identity, or the token, names. A `sandbox` has no service.
    """
    running = lock.holder(directory)
    checks: List[Tuple[str, Check]] = [
        ("python", machine.python),
        ("libcrypto", machine.libcrypto),
        ("clock", machine.clock),
        ("state", lambda: state.directory(directory)),
        ("disk", lambda: state.disk(directory)),
        ("identity", lambda: state.enrolled(directory)),
        ("journal", lambda: state.journal(directory)),
    ]
    if not sandbox:
        checks += [("program", machine.program), ("service", lambda: machine.service(running))]
    checks += [("proxy", lambda: network.environment(running)), ("link", lambda: state.link(directory))]
    findings = [finding for name, check in checks for finding in bounded(name, check, seconds)]
    told, servers, trust = _servers(directory, server, token_text)
    findings += told
    for url in servers:
        findings += bounded("server", partial(network.server, url, trust, seconds), _OPERATIONS * seconds)
    return findings


def bounded(name: str, check: Check, seconds: float) -> List[Finding]:
    """What a check found; what it had found, and that it hangs, once its time is over."""
    found: List[Finding] = []

    def run() -> None:
        try:
            made = check()
            found.extend([made] if isinstance(made, Finding) else made)
        except Exception as error:
            found.append(fail(name, "the check failed: %s: %s" % (type(error).__name__, error), "please report this"))

    thread = threading.Thread(target=run, name="doctor-" + name, daemon=True)
    thread.start()
    thread.join(seconds + 1.0)
    if thread.is_alive():
        remedy = "a disk, a name server or another machine does not answer: see what comes before it"
        return [*found, fail(name, "it did not end within %.0f s" % seconds, remedy)]
    return found


def _servers(
    directory: str, server: Optional[str], token_text: Optional[str]
) -> Tuple[List[Finding], List[str], Trust]:
    """(findings, URLs, whom to trust): the token's word where there is one, else the identity's."""
    if token_text is not None:
        try:
            token = decode_token(token_text)
        except Malformed as error:
            remedy = "give the file with the token as `opsctl token create` printed it, whole"
            return [fail("token", str(error), remedy)], [], _NOBODY
        return [_token(token)], [server] if server else list(token.servers), Trust(token.ca_digest)
    found = state.identity_of(directory)
    if found is None:
        if server is None:
            return [], [], _NOBODY
        remedy = "give --token-file as well: the token says which CA the server must have"
        return [fail("server", "nothing says whether %s is to be trusted" % server, remedy)], [], _NOBODY
    try:
        pem: Optional[str] = identity.load_ca(directory)
    except (identity.NotEnrolled, OSError):
        pem = None
    return [], [server] if server else list(found.servers), Trust(found.ca_digest, pem)


def _token(token: Token) -> Finding:
    servers = ", ".join(token.servers) or "no server"
    return ok("token", "for fleet %s, naming %s" % (token.fleet_id, servers))
