"""The hands on the outside world, one package or module per port of `core.ports` and `core.node_ports`.

Belongs here: I/O, and the wrapping of every foreign exception into the classes of `core.problem`. Each port has a real
adapter and a first-class in-memory one, and one contract suite runs on both.
Does not belong here: decisions. An adapter imports only `core` and `agent.contract`, never a capability, the engine
or a face; only `wiring` constructs it.
"""
