"""Words that every capability speaks: problems, resources, selectors, node sets, effects, World, ports.

Belongs here: frozen values and pure functions that at least two floors above need, and the Protocols of the ports.
Does not belong here: I/O, clocks, anything that knows one capability, one adapter or one face.
"""
