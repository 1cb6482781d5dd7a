"""Parameters: what Parameter Store calls a parameter, its name, its versions, and the files that declare it.

Belongs here: SSM's rules of names and values, reading the files below `parameters/`, the set that a commit's files
make, and the versions that a history makes of them. Pure: bytes and commits in, values out.
Does not belong here: who may read a parameter, which resource is in force (see `reconciler.engine`), decrypting.
"""

from reconciler.core.parameters.declared import Declared
from reconciler.core.parameters.files import FOLDER, is_parameters, is_sops, read
from reconciler.core.parameters.history import History
from reconciler.core.parameters.names import absolute, flaw_of_label, flaw_of_name
from reconciler.core.parameters.parameter import SECURE, Parameter, Selector, Version
from reconciler.core.parameters.stored import Labels, Stored

__all__ = [
    "FOLDER",
    "SECURE",
    "Declared",
    "History",
    "Labels",
    "Parameter",
    "Selector",
    "Stored",
    "Version",
    "absolute",
    "flaw_of_label",
    "flaw_of_name",
    "is_parameters",
    "is_sops",
    "read",
]
