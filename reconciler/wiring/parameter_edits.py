"""Edits of the parameters of a repository on this machine: which file, what becomes of it, whether that is valid."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

from reconciler.core.parameters import FOLDER, SECURE, Selector, absolute, editing, flaw_of_label, flaw_of_name, is_sops
from reconciler.core.parameters.editing import NotEditable
from reconciler.core.parameters.files import flaw_of_items, flaw_of_text, read
from reconciler.core.problem import Finding, Invalid, Place, Refused
from reconciler.core.resource import API_VERSION
from reconciler.engine.validate import validate

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from reconciler.core.parameters import Parameter
    from reconciler.wiring.parameters import Library

    Resealed = Callable[[str, Callable[[bytes], bytes]], bytes]
    """A SOPS file's path and what becomes of its plaintext -> its new bytes."""

DESCRIBED = f"{FOLDER}described.yaml"
"""Where a parameter is described that no resource describes yet."""


class Edits:
    """Changes of a working tree's files, one upon the other; nothing is written. `files` grows (None: one goes)."""

    def __init__(self, library: Library, resealed: Resealed) -> None:
        self._library, self._resealed = library, resealed
        self._before = library.worktree.files()
        self._secret: dict[str, list[Callable[[bytes], bytes]]] = {}
        self.files: dict[str, bytes | None] = {}

    def put(self, name: str, value: str | Sequence[str], *, secure: bool, overwrite: bool, file: str = "") -> str:
        """Give a parameter a value; its name. Raises `Refused`, `Invalid`."""
        name = _valid(name)
        _require_value(value)
        known = self._library.stored.find(Selector(name))
        if known is None:
            path = file or self._home(name, secure=secure)
            if is_sops(path) != secure:
                rule = "a SecureString stands in a file that SOPS encrypted, and nothing else does"
                raise Refused(f"{path} is not for {name}", rule, "name another with --file")
            self._change(path, lambda text: _put_new(text, path, name, value))
            return name
        if not overwrite:
            raise Refused(f"{name} is there already", "parameter", "say --overwrite if this is meant")
        if (known.type == SECURE) != secure:
            raise Refused(f"{name} is a {known.type}", "parameter", "remove it first, or give it that type")
        self._change(known.path, lambda text: _put_known(text, known, value))
        return name

    def remove(self, name: str) -> str:
        """Take a parameter away, and what is said of it."""
        known = self._found(name)
        draft = self._library.collected.described.get(known.name)
        if draft is None or draft.spec.value is None:
            self._change(known.path, lambda text: editing.remove(text, _levels(known), _document(text, known)))
        if draft is not None:
            self._drop_resource(draft.place.path, draft.index)
        return known.name

    def move(self, name: str, other: str) -> str:
        """Give a parameter another name, in the same file."""
        known, other = self._found(name), _valid(other)
        value = self._library.unseal(known).text() if known.type == SECURE else known.resolved
        if self._library.stored.find(Selector(other)) is not None:
            raise Refused(f"{other} is there already", "parameter")
        draft = self._library.collected.described.get(known.name)
        if draft is not None:
            self._change(draft.place.path, lambda text: editing.put(text, ("spec", "name"), other, draft.index))
        if draft is None or draft.spec.value is None:
            self._change(known.path, lambda text: editing.remove(text, _levels(known), _document(text, known)))
            self._change(known.path, lambda text: _put_new(text, known.path, other, value))
        return other

    def label(self, name: str, version: int, labels: Sequence[str]) -> str:
        """Let labels name a version, and no other."""
        known = self._found(name)
        if not 0 < version <= len(self._library.stored.versions(known.name)):
            near = self._library.stored.nearest(Selector(known.name, str(version)))
            raise Refused(f"there is no version {version} of {known.name}", "parameter", f"the newest is {near}")
        for label in labels:
            if flaw := flaw_of_label(label):
                raise Refused(flaw[0], "parameter", f"give {flaw[1]}")
        for label in labels:
            self._labelled(known, label, version)
        return known.name

    def newest(self, name: str) -> int:
        """The number of a parameter's newest version."""
        return len(self._library.stored.versions(self._found(name).name))

    def unlabel(self, name: str, labels: Sequence[str]) -> str:
        """Take labels away."""
        known = self._found(name)
        draft = self._library.collected.described.get(known.name)
        for label in labels:
            if draft is None or label not in draft.spec.labels:
                raise Refused(f"no version of {known.name} has the label {label}", "parameter")
            path, index = draft.place.path, draft.index
            self._change(path, functools.partial(_unlabelled, label=label, index=index))
        return known.name

    def check(self) -> None:
        """Raises `Invalid` with every error that the repository would have and has not now."""
        after = {**self._before, **{path: data for path, data in self.files.items() if data is not None}}
        after = {path: data for path, data in after.items() if self.files.get(path, b"") is not None}
        told = {(finding.place.path, finding.message) for finding in _errors(self._before)}
        new = [found for found in _errors(after) if (found.place.path, found.message) not in told]
        if new:
            raise Invalid(tuple(new))

    def _labelled(self, known: Parameter, label: str, version: int) -> None:
        draft = self._library.collected.described.get(known.name)
        path, index = (draft.place.path, draft.index) if draft is not None else self._describe(known.name)
        self._change(path, lambda text: editing.put(text, ("spec", "labels", label), version, index))

    def _describe(self, name: str) -> tuple[str, int]:
        """A resource that describes a parameter, made where this has not made one: its file, and which document."""
        data = self._now(DESCRIBED)
        for found in read(data, DESCRIBED).resources if data.strip() else ():
            spec = found.tree["spec"] if isinstance(found.tree, dict) else {}
            if isinstance(spec, dict) and spec.get("name") == name:
                return DESCRIBED, found.index
        made = name.removeprefix("/").replace("/", "-")[:100]
        taken = {draft.name for draft in self._library.collected.described.values()}
        while made in taken:
            made += "-"
        text = data.decode()
        text += ("" if not text or text.endswith("\n") else "\n") + ("---\n" if text.strip() else "")
        text += f"apiVersion: {API_VERSION}\nkind: Parameter\nmetadata:\n  name: {made}\nspec:\n  name: {name}\n"
        self.files[DESCRIBED] = text.encode()
        return DESCRIBED, len(read(text.encode(), DESCRIBED).resources) - 1

    def _drop_resource(self, path: str, index: int) -> None:
        text = self._now(path).decode()
        parts = text.split("\n---\n") if "\n---\n" in text else [text]
        filled = [position for position, part in enumerate(parts) if _says_anything(part)]
        if len(filled) != len(read(text.encode(), path).resources) + read(text.encode(), path).trees:
            raise Refused(f"{path} has a form that is only edited by hand", "parameter", f"take document {index} out")
        del parts[filled[index]]
        self.files[path] = "\n---\n".join(parts).encode() if any(map(_says_anything, parts)) else None

    def _change(self, path: str, edit: Callable[[str], str]) -> None:
        def on_bytes(data: bytes) -> bytes:
            try:
                return edit(data.decode()).encode()
            except NotEditable as error:
                raise Refused(f"{path}: {error}", "parameter", "edit the file by hand") from None

        if is_sops(path):
            self._secret.setdefault(path, []).append(on_bytes)
            self.files[path] = self._sealed_again(path)
        else:
            self.files[path] = on_bytes(self._now(path)) or None

    def _sealed_again(self, path: str) -> bytes | None:
        """An encrypted file after all that was done to its plaintext; None where that leaves nothing."""
        left = True

        def change(plain: bytes) -> bytes:
            nonlocal left
            after = functools.reduce(lambda data, edit: edit(data), self._secret[path], plain)
            left = bool(after)
            return after or plain

        data = self._resealed(path, change)
        return data if left else None

    def _now(self, path: str) -> bytes:
        """A file as it would be; empty for none."""
        return self.files.get(path, self._before.get(path)) or b""

    def _home(self, name: str, *, secure: bool) -> str:
        """The file for a new parameter: that of the one closest to it in the hierarchy."""
        levels = name.split("/")
        for depth in range(len(levels) - 1, 1, -1):
            for near in self._library.stored.below("/".join(levels[:depth]), recursive=True):
                described = self._library.collected.described.get(near.name)
                if is_sops(near.path) == secure and (described is None or described.spec.value is None):
                    return near.path
        top = levels[1] if len(levels) > 2 else "parameters"
        return f"{FOLDER}{top}{'.sops' if secure else ''}.yaml"

    def _found(self, name: str) -> Parameter:
        selector = Selector(absolute(name))
        known = self._library.stored.find(selector)
        if known is None:
            near = self._library.stored.nearest(selector)
            raise Refused(f"there is no parameter {selector}", "parameter", f"did you mean {near}?" if near else "")
        return known


def _unlabelled(text: str, label: str, index: int) -> str:
    return editing.remove(text, ("spec", "labels", label), index)


def _put_new(text: str, path: str, name: str, value: str | Sequence[str]) -> str:
    as_json = path.endswith(".json")
    levels = name.removeprefix("/").split("/")
    given = value if isinstance(value, str) else list(value)
    if path.endswith(".env"):
        return text + ("" if not text or text.endswith("\n") else "\n") + f"{levels[-1]}={_line(given)}\n"
    return editing.put(text, levels, given, as_json=as_json)


def _put_known(text: str, known: Parameter, value: str | Sequence[str]) -> str:
    given = value if isinstance(value, str) else list(value)
    if known.path.endswith(".env"):
        key = known.name.rpartition("/")[2] + "="
        lines = [key + _line(given) if line.startswith(key) else line for line in text.split("\n")]
        return "\n".join(lines)
    return editing.put(text, _levels(known), given, _document(text, known), as_json=known.path.endswith(".json"))


def _line(value: str | list[str]) -> str:
    return (value if isinstance(value, str) else ",".join(value)).replace("\n", "\\n")


def _levels(known: Parameter) -> list[str]:
    return [str(step) for step in known.loc]


def _document(text: str, known: Parameter) -> int:
    """Which document of its file declares a parameter."""
    levels = _levels(known)
    for index in range(text.count("---") + 1):
        try:
            if editing.remove(text, levels, index) != text:
                return index
        except NotEditable:
            continue
    return 0


def _valid(name: str) -> str:
    name = absolute(name)
    if flaw := flaw_of_name(name):
        raise Invalid((Finding(f"`{name[:100]}` {flaw[0]}", Place("NAME"), flaw[1]),))
    return name


def _require_value(value: str | Sequence[str]) -> None:
    flaw = flaw_of_text(value) if isinstance(value, str) else flaw_of_items(list(value))
    if flaw:
        raise Invalid((Finding(f"the value {flaw[0]}", Place("VALUE"), flaw[1]),))


def _says_anything(text: str) -> bool:
    lines = (line.strip() for line in text.split("\n"))
    return any(line and line != "---" and not line.startswith("#") for line in lines)


def _errors(files: dict[str, bytes]) -> list[Finding]:
    return [found for found in validate(files) if found.severity == "error"]
