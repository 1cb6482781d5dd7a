"""AWS:File: files that filters name, with their sizes and times."""

from __future__ import annotations

import fnmatch
import json
import posixpath
from typing import Any, Dict, Iterator, List

from agent.contract.canonical import instant
from agent.contract.claims import unsafe_path
from agent.contract.inventory import Content
from agent.contract.record import NamedTuple
from agent.host.port import Host
from agent.steps.step import StepFailed

FILES, DIRECTORIES, FILTERS = 500, 5000, 10
"""At most: files in all, directories walked through for one filter that says nothing of it, filters."""
_NEVER = ("/proc", "/sys")


class Filter(NamedTuple):
    """Files below `path` whose names match one of the patterns."""

    path: str
    patterns: List[str]
    recursive: bool
    directories: int


def filters(text: str) -> List[Filter]:
    """What SSM's JSON text asks for. Raises `StepFailed` where it is malformed."""
    try:
        listed = json.loads(text)
        found = [_filter(item) for item in listed]
    except (ValueError, TypeError, KeyError) as error:
        wanted = '[{"Path": "/etc", "Pattern": ["*.conf"], "Recursive": true}]'
        raise StepFailed("`files` is not as %s: %s" % (wanted, error)) from error
    if len(found) > FILTERS:
        raise StepFailed("`files` has %d filters; at most %d" % (len(found), FILTERS))
    return found


def collect(host: Host, text: str) -> Content:
    """The files, in the order of their paths. Raises `StepFailed` where there are too many."""
    found: Dict[str, Dict[str, str]] = {}
    for wanted in filters(text):
        for path in _matching(host, wanted):
            found[path] = _item(host, path)
            if len(found) > FILES:
                raise StepFailed("`files` names more than %d files, which is SSM's limit: narrow its patterns" % FILES)
    return [found[path] for path in sorted(found)]


def _filter(item: Any) -> Filter:
    path, patterns = str(item["Path"]), item["Pattern"]
    if not isinstance(patterns, list):
        raise TypeError("`Pattern` is no list")
    if path != "/" and unsafe_path(path.rstrip("/")):
        raise ValueError("%s: %s" % (path, unsafe_path(path.rstrip("/"))))
    directories = int(item.get("DirScanLimit", DIRECTORIES))
    return Filter(path.rstrip("/") or "/", list(map(str, patterns)), bool(item.get("Recursive", False)), directories)


def _matching(host: Host, wanted: Filter) -> Iterator[str]:
    """Regular files, links not followed. What cannot be listed is left out, as SSM leaves it out."""
    waiting, walked = [wanted.path], 0
    while waiting:
        directory = waiting.pop()
        walked += 1
        if walked > wanted.directories:
            reason = "%s has more than %d directories below it: raise its DirScanLimit"
            raise StepFailed(reason % (wanted.path, wanted.directories))
        try:
            names = host.listdir(directory)
        except OSError:
            continue
        for name in names:
            path = posixpath.join(directory, name)
            entry = host.lstat(path)
            if entry is not None and entry.kind == "directory" and wanted.recursive and path not in _NEVER:
                waiting.append(path)
            if entry is not None and entry.kind == "file" and _matches(name, wanted.patterns):
                yield path


def _matches(name: str, patterns: List[str]) -> bool:
    return any(fnmatch.fnmatchcase(name, pattern) for pattern in patterns)


def _item(host: Host, path: str) -> Dict[str, str]:
    entry, (modified, accessed) = host.lstat(path), host.times(path)
    return {
        "Name": posixpath.basename(path).encode("utf-8", "replace").decode(),
        "Size": str(entry.size if entry is not None else 0),
        "Description": "",
        "FileVersion": "",
        "InstalledDate": "",
        "ModificationTime": instant(modified),
        "LastAccessTime": instant(accessed),
        "ProductName": "",
        "InstalledDir": posixpath.dirname(path).encode("utf-8", "replace").decode(),
        "ProductLanguage": "",
        "CompanyName": "",
        "ProductVersion": "",
    }
