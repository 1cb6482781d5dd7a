"""The API: a face that turns signed or local HTTP requests into calls on a `Service`, and the client that makes them.

Belongs here: who asks (`authentication`, `signature`), the routes, problems as JSON and back (`problems`), progress as
server-sent events, the Git hosts' hook, the client.
Does not belong here: what a subject may do (the service checks its verbs), anything that decides or stores, sockets.

The same app serves two listeners. On the Unix socket the kernel says who asks; on TLS each request is signed with an
operator's SSH key over method, target, body, instant, nonce and server, so that it is worth nothing anywhere else,
later, or twice.
"""
