"""Three-way merges of encrypted files: each value is decided by itself, then the text around them, then one MAC.

Values that one side changed are taken from it, with their ciphertext; recipients are sets: what either side added is
there, what either side took away is not.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, TypeAlias

from reconciler.adapters.sops import formats, opening, sealing
from reconciler.adapters.sops.metadata import Group, Metadata
from reconciler.adapters.sops.three_way import merged_lines
from reconciler.core.problem import Invalid, Refused

if TYPE_CHECKING:
    from collections.abc import Mapping

    from reconciler.adapters.sops.keyring import Keyring
    from reconciler.adapters.sops.opening import Opened
    from reconciler.adapters.sops.sealing import Random
    from reconciler.adapters.sops.values import Value

Values: TypeAlias = "Mapping[tuple[int | str, ...], Value | None]"
"""Values by document and path."""

_SCHEME = ("selector", "mac_only_encrypted", "threshold")


def merged(base: bytes, ours: bytes, theirs: bytes, path: str, keys: Keyring, at: str, random: Random) -> bytes:
    """The file with both sides' changes; `base` is empty where both sides added it.

    Raises `Refused` where people have to decide, `Invalid` where a side is no whole SOPS file.
    """
    mine, other = (opening.open_file(data, path, keys) for data in (ours, theirs))
    before = opening.open_file(base, path, keys) if base.strip() else None
    if before is not None and before.key == mine.key:  # theirs may be under a new data key, which is not undone
        mine, other = other, mine
    plain = _plaintext(before, mine, other)
    scheme = _scheme(before.metadata if before else None, mine.metadata, other.metadata, path)
    return _written(mine, other, plain, scheme, keys, at, random)


def _plaintext(base: Opened | None, ours: Opened, theirs: Opened) -> bytes:
    wanted = _wanted(base, ours, theirs)
    path = ours.sheet.text.path
    if formats.is_binary(path):
        value = wanted[0, "data"]
        return value.data if value is not None else b""
    before, mine, other = ("" if each is None else _rendered(each, wanted) for each in (base, ours, theirs))
    text = mine if mine == other else merged_lines(before, mine, other)
    if text is None or not _holds(text, path, wanted):
        raise _conflict(path, [])
    return text.encode()


def _wanted(base: Opened | None, ours: Opened, theirs: Opened) -> dict[tuple[int | str, ...], Value | None]:
    """Each value as the merged file is to hold it. Raises `Refused` naming those that both sides changed."""
    mine, other = values(ours), values(theirs)
    before = values(base) if base is not None else {}
    wanted = {}
    contested = []
    for name in dict.fromkeys((*mine, *other)):
        one, two, old = (each.get(name, _ABSENT) for each in (mine, other, before))
        chosen = two if one == old else one
        if one != two and old not in (one, two):
            contested.append(name)
        elif not isinstance(chosen, _Absent):
            wanted[name] = chosen
    if contested:
        raise _conflict(ours.sheet.text.path, [".".join(map(str, name[1:])) for name in contested])
    return wanted


def values(opened: Opened) -> dict[tuple[int | str, ...], Value | None]:
    """The values of a file by document and path, nulls included."""
    pairs = zip(opened.sheet.slots, opened.values, strict=True)
    return {(slot.document, *slot.path): value for slot, value in pairs if not slot.comment}


def _rendered(opened: Opened, wanted: Values) -> str:
    """A side's plaintext with every value as it will be, so that only what is around values is left to merge."""
    chosen = [
        value if slot.comment else (wanted.get((slot.document, *slot.path)) or value)
        for slot, value in zip(opened.sheet.slots, opened.values, strict=True)
    ]
    return sealing.plaintext(replace(opened, values=tuple(chosen))).decode()


def _holds(text: str, path: str, wanted: Values) -> bool:
    """Whether a merged text says what was decided: lines that fit can make a file that does not."""
    try:
        sheet = formats.read(text.encode(), path)
    except Invalid:
        return False
    found = {(slot.document, *slot.path): slot.value for slot in sheet.slots if not slot.comment}
    return found.keys() == wanted.keys() and all(_alike(found[name], wanted[name]) for name in wanted)


def _alike(one: Value | None, other: Value | None) -> bool:
    return (one is None and other is None) or (one is not None and other is not None and one.same(other))


def _conflict(path: str, names: list[str]) -> Refused:
    shown = ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")
    return Refused(
        f"both sides changed {shown or 'the same lines'} in {path}",
        "",
        "take one side with `git checkout --ours` or `--theirs`, then `opsctl secret edit`",
    )


def _scheme(base: Metadata | None, ours: Metadata, theirs: Metadata, path: str) -> Metadata:
    """Whose the file is, and what of it is encrypted."""
    before = base or ours
    taken = {}
    for name in _SCHEME:
        mine, other, old = (getattr(each, name) for each in (ours, theirs, before))
        if mine != other and old not in (mine, other):
            raise Refused(f"both sides changed `{name}` of {path}", "", "agree on one in .sops.yaml first")
        taken[name] = other if mine == old else mine
    if len({len(each.groups) for each in (ours, theirs, before)}) != 1:
        raise Refused(f"the sides have different key groups in {path}", "", "`opsctl secret updatekeys` on one of them")
    olds = base.groups if base is not None else (Group(()),) * len(ours.groups)
    groups = tuple(_group(*each) for each in zip(olds, ours.groups, theirs.groups, strict=True))
    if not all(group.recipients or group.foreign for group in groups):
        raise Refused(
            f"the sides agree on nobody who could open {path}", "", "`opsctl secret updatekeys` on one of them"
        )
    return replace(ours, groups=groups, **taken)


def _group(base: Group, ours: Group, theirs: Group) -> Group:
    """What neither side took away."""
    gone = (base.names - ours.names) | (base.names - theirs.names)
    listed = {(each.kind, each.name): each for each in (*ours.recipients, *theirs.recipients)}
    return replace(ours, recipients=tuple(each for name, each in listed.items() if name not in gone))


def _written(
    ours: Opened, theirs: Opened, plain: bytes, scheme: Metadata, keys: Keyring, at: str, random: Random
) -> bytes:
    path = ours.sheet.text.path
    names = [group.names for group in scheme.groups]
    before = [group.names for group in ours.metadata.groups]
    knowing = [side.metadata.groups for side in (ours, theirs) if side.key == ours.key]
    removed = any(one.names - two for groups in knowing for one, two in zip(groups, names, strict=True))
    if removed or any(getattr(scheme, name) != getattr(ours.metadata, name) for name in _SCHEME):
        return sealing.created(plain, path, scheme, keys, at, random)
    data = sealing.edited(ours, plain, at, random, also=theirs)
    if names == before:
        return data
    opened = opening.reopened(data, path, ours.key)
    return sealing.readdressed(opened, scheme, keys, at, random)


class _Absent:
    """What a side has where it lacks a value: nothing, not even null."""


_ABSENT = _Absent()
