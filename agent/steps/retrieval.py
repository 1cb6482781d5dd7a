"""What is brought to the node from each kind of place that `aws:downloadContent` knows."""

from __future__ import annotations

import posixpath
from typing import Any, Callable, Dict
from urllib.parse import quote, unquote, urlsplit

from agent.contract.inputs.content import DocumentSource, GitHubSource, GitSource, HttpSource, S3Source
from agent.host.port import Host, Login
from agent.steps import archives, downloads, s3
from agent.steps.archives import Archive, Member
from agent.steps.cloning import clone
from agent.steps.step import StepFailed

Stopped = Callable[[], str]
_ARCHIVE = ".opsctl-archive"


def retrieve(host: Host, kind: str, source: Any, place: str, stopped: Callable[[], str] = str) -> str:
    """Bring what is wanted to the place, as `downloads.destination` has it; where it is then.

    It is given up once `stopped` says why. Raises `StepFailed`, OSError.
    """
    return _RETRIEVE[kind](host, source, place, stopped)


def _git(host: Host, source: GitSource, place: str, stopped: Stopped) -> str:
    clone(host, source, place, stopped)
    return posixpath.normpath(place)


def _http(host: Host, source: HttpSource, place: str, stopped: Stopped) -> str:
    path = downloads.file_at(host, place, _name_of(source.url) or "download")
    login = Login(source.auth_method, source.username, source.password) if source.auth_method != "None" else None
    downloads.put(host, path, downloads.fetched(host, source.url, stopped, login))
    return path


def _s3(host: Host, source: S3Source, place: str, stopped: Stopped) -> str:
    """An object; of a path that ends in `/`, all that is below it. A URL that is signed already is asked as it is."""
    where = s3.located(source.path)
    name = posixpath.basename(where.key)
    if name:
        path = downloads.file_at(host, place, name)
        ready = "?" in source.path
        url = source.path if ready else s3.url_of(where, where.key)
        come = downloads.fetched(host, url, stopped) if ready else s3.asked(host, url, where, stopped)
        downloads.put(host, path, come)
        return path
    directory = posixpath.normpath(place)
    keys = list(s3.keys_below(host, where, stopped))
    if not keys:
        raise StepFailed("there is nothing below %s" % source.path)
    for key in keys:
        below = key[len(where.key) :]
        if ".." in below.split("/") or below.startswith("/"):
            raise StepFailed("there is an object whose name leads out: %r" % key)
        downloads.put(host, posixpath.join(directory, below), s3.asked(host, s3.url_of(where, key), where, stopped))
    return directory


def _document(host: Host, source: DocumentSource, place: str, stopped: Stopped) -> str:
    del stopped
    name = source.name.rpartition("/")[2].partition(":")[0]
    path = downloads.file_at(host, place, name + ".json")
    downloads.put(host, path, source.content.encode())
    return path


def _github(host: Host, source: GitHubSource, place: str, stopped: Stopped) -> str:
    """By the archive that GitHub makes of a revision: a node needs no git for it."""
    if source.token_info:
        raise StepFailed("`tokenInfo` needs secrets, which are not sealed for nodes by this version")
    revision = source.get_options.partition(":")[2] or "HEAD"
    url = "https://github.com/%s/%s/archive/%s.tar.gz" % (source.owner, source.repository, quote(revision))
    holder = downloads.make(host, place if place.endswith("/") else posixpath.dirname(place))
    fetched = posixpath.join(holder, _ARCHIVE)
    host.stage(fetched, downloads.fetched(host, url, stopped), 0o600)
    try:
        with host.open_staged(fetched) as file, archives.opened(file) as archive:
            return _unpacked(host, source, archive, place)
    finally:
        host.discard(fetched)


def _unpacked(host: Host, source: GitHubSource, archive: Archive, place: str) -> str:
    wanted = source.path.strip("/")
    members = archives.contents(archive, 1, downloads.BYTES_AT_MOST)
    found = members.get(wanted) if wanted else None
    if found is not None and found.kind == "file":
        path = downloads.file_at(host, place, posixpath.basename(wanted))
        downloads.put(host, path, archives.pieces(archive, found))
        return path
    below = {_below(wanted, path): member for path, member in members.items() if _below(wanted, path)}
    if not below:
        raise StepFailed("%s/%s has no %s" % (source.owner, source.repository, source.path or "files"))
    directory = downloads.make(host, place)
    for path, member in below.items():
        _put_member(host, posixpath.join(directory, path), archive, member)
    return directory


def _put_member(host: Host, path: str, archive: Archive, member: Member) -> None:
    if member.kind == "directory":
        downloads.make(host, path)
    elif member.kind == "link":
        downloads.make(host, posixpath.dirname(path))
        host.symlink(member.target, path)
    else:
        downloads.put(host, path, archives.pieces(archive, member))


def _below(wanted: str, path: str) -> str:
    """A path as it is below the wanted one; empty for others."""
    if not wanted:
        return path
    return path[len(wanted) + 1 :] if path.startswith(wanted + "/") else ""


def _name_of(url: str) -> str:
    """The last part of a URL's path, as a file may be called; empty where there is none."""
    name = posixpath.basename(unquote(urlsplit(url).path))
    return "" if name in (".", "..") or "\0" in name else name


_RETRIEVE: Dict[str, Callable[[Host, Any, str, Stopped], str]] = {
    "Git": _git,
    "GitHub": _github,
    "HTTP": _http,
    "S3": _s3,
    "SSMDocument": _document,
}
