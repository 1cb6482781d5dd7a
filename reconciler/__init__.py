"""The reconciler: Git says what should be, agents say what is, this program compares and decides.

The floors, lowest first: core, documents, capabilities, engine, controller, wiring, and the faces (cli, api,
console). Adapters and `execute` stand beside the capabilities and do all I/O.
"""

__version__ = "0.1.0"
