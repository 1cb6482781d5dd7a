"""What a TLS server presents. Imported when first needed."""

from __future__ import annotations

import errno
import socket
import ssl


def certificate(address: str, port: int, name: str, timeout: float) -> bytes:
    """The DER certificate, whoever has signed it; nothing is sent or believed. Raises OSError naming the server."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    where = "%s:%d" % (address, port)
    try:
        raw = socket.create_connection((address, port), timeout)
        with raw, context.wrap_socket(raw, server_hostname=name) as server:
            presented = server.getpeercert(True)
    except OSError as error:
        raise OSError(error.errno, error.strerror or str(error), where) from error
    except ValueError as error:  # a name that is none
        raise OSError(errno.EINVAL, str(error), where) from error
    if presented is None:
        raise OSError(errno.EPROTO, "the server presents no certificate", where)
    return presented
