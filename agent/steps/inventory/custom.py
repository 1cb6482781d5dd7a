"""Custom types: files of JSON that somebody leaves on the node, one type each."""

from __future__ import annotations

import json
import posixpath
import re
from typing import Any, Dict, List, Tuple

from agent.contract.inventory import TYPE_NAME, Content, NotInventory, check
from agent.host.port import Host
from agent.steps.step import StepFailed, why

DIRECTORY = "/var/lib/opsctl/inventory"
TYPES = 20
_FILE_AT_MOST = 1024 * 1024
_VERSION = re.compile(r"[0-9]{1,6}\.[0-9]{1,6}\Z")


def collect(host: Host, directory: str) -> List[Tuple[str, str, Content]]:
    """(type, schema version, items) of each file `*.json`; nothing where there is no directory.

    Raises `StepFailed` which names the file that is wrong.
    """
    found: Dict[str, Tuple[str, str, Content]] = {}
    entry = host.lstat(directory)
    names = host.listdir(directory) if entry is not None and entry.kind == "directory" else []
    for name in [name for name in names if name.endswith(".json")]:
        path = posixpath.join(directory, name)
        try:
            one = _read(json.loads(host.read(path, _FILE_AT_MOST)))
        except (ValueError, TypeError, KeyError, RecursionError) as error:
            raise StepFailed("%s is no custom inventory: %s" % (path, error)) from error
        except OSError as error:
            raise StepFailed("custom inventory: %s" % why(error)) from error
        if one[0] in found:
            raise StepFailed("%s has the type %s, which another file has too" % (path, one[0]))
        found[one[0]] = one
    if len(found) > TYPES:
        raise StepFailed("%s has %d types; at most %d" % (directory, len(found), TYPES))
    return [found[name] for name in sorted(found)]


def _read(value: Any) -> Tuple[str, str, Content]:
    name, version, content = str(value["TypeName"]), str(value["SchemaVersion"]), value["Content"]
    if not name.startswith("Custom:") or not re.match(TYPE_NAME, name):
        raise ValueError("its TypeName is %.100r, not as Custom:RackInformation" % name)
    if not _VERSION.match(version):
        raise ValueError("its SchemaVersion is %.100r, not as 1.0" % version)
    items = [content] if isinstance(content, dict) else content
    try:
        check(items)
    except NotInventory as error:
        raise ValueError("its Content: %s" % error) from error
    return name, version, items
