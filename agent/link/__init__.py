"""How a node and its server hear each other: dialled or over standard input, one conversation whatever carries it.

Belongs here: carriers, the WebSocket and its TLS connection, the session's frames, bytes fetched by digest. What is
then made of what was heard does not: that is the rounds'.
"""
