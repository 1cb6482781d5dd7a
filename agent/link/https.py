"""One HTTP request to a server of the fleet, for what is asked outside the conversation."""

from __future__ import annotations

import http.client
import ssl
from typing import Optional, Tuple

from agent.link import dial


def request(
    where: dial.Address, context: ssl.SSLContext, method: str, path: str, limit: int, body: Optional[bytes] = None
) -> Tuple[int, bytes]:
    """The status and body of the answer. Raises `dial.Unreachable`, also for one of more than `limit` bytes."""
    connection = http.client.HTTPSConnection(where.host, where.port)
    connection.sock = dial.connect(where, context)
    headers = {"Connection": "close", "Host": str(where), "User-Agent": "opsctl-agent"}
    if body is not None:
        headers["Content-Type"] = "application/json"
    try:
        connection.request(method, path, body, headers)
        answer = connection.getresponse()
        data = answer.read(limit + 1)
    except (OSError, http.client.HTTPException) as error:
        raise dial.Unreachable("%s: %s %s: %s" % (where, method, path, error or type(error).__name__)) from error
    finally:
        connection.close()
    if len(data) > limit:
        raise dial.Unreachable("the answer of %s is longer than %d bytes" % (where, limit))
    return answer.status, data
