"""Extended attributes of a file: what its successor keeps when it is replaced.

That is all of them (its access list and its SELinux label among them), but for those that vouch for the bytes of the
file, as its capabilities do: writing in place would take these away as well.
"""

from __future__ import annotations

import errno
import os
from typing import Dict, Optional

_VOUCHING = ("security.capability", "security.ima", "security.evm")
_ACCESS = "system.posix_acl_access"
_OURS = ("user.", _ACCESS)
"""What the owner of a file may set. Others may need a right that the agent does not have, and stay as the system set
them."""
_GONE = (errno.ENODATA, getattr(errno, "ENOATTR", errno.ENODATA))
_NONE = (errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS)


def of(file: int) -> Dict[str, bytes]:
    """The attributes of an open file that its successor keeps; none where the file system has none."""
    if not hasattr(os, "listxattr"):
        return {}
    try:
        names = os.listxattr(file)
    except OSError as error:
        if error.errno in _NONE:
            return {}
        raise
    found = {name: _value(file, name) for name in names if name not in _VOUCHING}
    return {name: value for name, value in found.items() if value is not None}


def give(file: int, wanted: Dict[str, bytes]) -> None:
    """Makes them those of an open file, instead of the access list that it got from its directory."""
    have = of(file)
    if _ACCESS in have and _ACCESS not in wanted:
        os.removexattr(file, _ACCESS)
    for name, value in wanted.items():
        if have.get(name) != value:
            _set(file, name, value)


def _value(file: int, name: str) -> Optional[bytes]:
    try:
        return os.getxattr(file, name)
    except OSError as error:
        if error.errno in (*_GONE, *_NONE, errno.EPERM, errno.EACCES):
            return None
        raise


def _set(file: int, name: str, value: bytes) -> None:
    try:
        os.setxattr(file, name, value)
    except OSError as error:
        if error.errno in _NONE or (error.errno in (errno.EPERM, errno.EACCES) and not name.startswith(_OURS)):
            return
        raise
