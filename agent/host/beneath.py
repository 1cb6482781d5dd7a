"""Paths taken beneath a root, part by part through directory descriptors.

The kernel is never handed a path of more than one part, so no link can be put in the way between a check and a use. A
parent that is a symbolic link is followed inside the root, as chroot would, and only where root or the agent's own
user made it: somebody else's link could send root's writes wherever its owner likes.
"""

from __future__ import annotations

import contextlib
import errno
import os
from typing import Dict, Iterator, List, Optional, Sequence, Tuple

from agent.host.port import UnsafePath

_SEARCH = getattr(os, "O_PATH", os.O_RDONLY) | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_FOLLOWED_AT_MOST = 40
_KEPT_AT_MOST = 64


class Beneath:
    """One directory tree. Errors of the operations done inside its context managers name the whole path."""

    def __init__(self, root: str) -> None:
        self._root = os.open(root, _SEARCH & ~os.O_NOFOLLOW)
        self._whole = os.path.realpath(root) == "/"
        self._kept: Optional[Dict[str, int]] = None

    @contextlib.contextmanager
    def walking_once(self) -> Iterator[None]:
        """Walks to each directory once, until the end. For looks that change nothing, and follow one another fast."""
        if self._kept is not None:
            yield
            return
        self._kept = {}
        try:
            yield
        finally:
            kept, self._kept = self._kept, None
            for descriptor in kept.values():
                os.close(descriptor)

    @contextlib.contextmanager
    def parent(self, path: str) -> Iterator[Tuple[int, str]]:
        """(descriptor of the directory that holds `path`, last part of `path`)."""
        above, _, name = path.strip("/").rpartition("/")
        if name in ("", ".", ".."):
            raise UnsafePath(errno.EINVAL, "not a path beneath the root", path)
        try:
            kept = self._kept.get(above) if self._kept is not None else None
            if kept is not None:
                yield kept, name
                return
            with self._walked(above.split("/"), path) as here:
                if self._kept is not None and len(self._kept) < _KEPT_AT_MOST:
                    self._kept[above] = os.dup(here)
                yield here, name
        except UnsafePath:
            raise
        except OSError as error:
            raise OSError(error.errno, error.strerror, path) from error

    @contextlib.contextmanager
    def directory(self, path: str) -> Iterator[int]:
        """A readable descriptor of a directory; a link at its last part is followed as those before it are."""
        with self._named(path), self._walked(path.strip("/").split("/"), path) as here:
            found = os.open(".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=here)
            try:
                yield found
            finally:
                os.close(found)

    @contextlib.contextmanager
    def _named(self, path: str) -> Iterator[None]:
        try:
            yield
        except UnsafePath:
            raise
        except OSError as error:
            raise OSError(error.errno, error.strerror, path) from error

    @contextlib.contextmanager
    def _walked(self, parts: Sequence[str], path: str) -> Iterator[int]:
        opened: List[int] = []
        try:
            self._walk(parts, path, opened)
            yield opened[-1] if opened else self._root
        finally:
            for descriptor in opened:
                os.close(descriptor)

    def _walk(self, parts: Sequence[str], path: str, opened: List[int]) -> None:
        """Opens each directory in turn onto `opened`."""
        ahead, followed = list(reversed(parts)), 0
        while ahead:
            part = ahead.pop()
            if part in ("", "."):
                continue
            if part == "..":
                self._step_up(path, opened)
                continue
            here = opened[-1] if opened else self._root
            try:
                opened.append(os.open(part, _SEARCH, dir_fd=here))
            except OSError as error:
                if error.errno not in (errno.ENOTDIR, errno.ELOOP):
                    raise
                target = _trusted_link(here, part, path)
                followed += 1
                if followed > _FOLLOWED_AT_MOST:
                    raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), path) from None
                if target.startswith("/"):
                    while opened:
                        os.close(opened.pop())
                ahead.extend(reversed(target.split("/")))

    def _step_up(self, path: str, opened: List[int]) -> None:
        if opened:
            os.close(opened.pop())
        elif not self._whole:
            raise UnsafePath(errno.EXDEV, "a directory in it is a symbolic link out of the root", path)


def _trusted_link(here: int, part: str, path: str) -> str:
    """What the link says. Raises NotADirectoryError where it is no link, `UnsafePath` where it is a stranger's."""
    found = os.stat(part, dir_fd=here, follow_symlinks=False)
    try:
        target = os.readlink(part, dir_fd=here)
    except OSError as error:
        if error.errno != errno.EINVAL:
            raise
        raise OSError(errno.ENOTDIR, "%s in it is not a directory" % part, path) from None
    if found.st_uid not in (0, os.geteuid()):
        message = "%s in it is a symbolic link made by user id %d, which is not followed" % (part, found.st_uid)
        raise UnsafePath(errno.ELOOP, message, path)
    return target
