"""Listeners: ASGI apps on a TLS port and on a Unix socket, in one event loop.

Belongs here: sockets, TLS, uvicorn and its settings, bounds on what an unauthenticated peer can make the process keep,
and who is at the other end of a Unix socket.
Does not belong here: any path or meaning; apps are handed in.
"""

from reconciler.adapters.listener.certificate import Certificate
from reconciler.adapters.listener.listeners import Listeners, TlsListener, UnixListener
from reconciler.adapters.listener.peer import Peer

__all__ = ["Certificate", "Listeners", "Peer", "TlsListener", "UnixListener"]
