"""Writing files: an edit leaves untouched values their ciphertext, and everything between them as it was.

Instants are texts in RFC 3339, as files have them; `random` gives that many random bytes.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, TypeAlias

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from reconciler.adapters.sops import formats, metadata, selection, shamir, token
from reconciler.adapters.sops.keyring import KEY_BYTES
from reconciler.adapters.sops.opening import reopened
from reconciler.adapters.sops.sheet import Sheet, Slot, body
from reconciler.adapters.sops.values import Value, of_text
from reconciler.core.cleartext import Cleartext
from reconciler.core.manifest.text import Text
from reconciler.core.problem import Defect, Finding, Invalid, Place, Refused

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from reconciler.adapters.sops.keyring import Keyring
    from reconciler.adapters.sops.metadata import Group, Metadata
    from reconciler.adapters.sops.opening import Opened

Random: TypeAlias = "Callable[[int], bytes]"

_SKELETON = '{\n\t"data": "-"\n}\n'
_ANYWHERE = Slot((), 0, 0, None)


def plaintext(opened: Opened) -> bytes:
    """A file as a person edits it: its values readable, its comments and order kept, without metadata.

    Raises `Refused` where a value is no text and the syntax cannot say it.
    """
    sheet = opened.sheet
    if formats.is_binary(sheet.text.path):
        return _binary(opened)
    edits = []
    for slot, value in zip(sheet.slots, opened.values, strict=True):
        if value is not None and value != slot.value:
            edits.append((slot.start, slot.end, _written(sheet, value, slot)))
    return body(sheet, edits).encode()


def edited(opened: Opened, plain: bytes, at: str, random: Random, also: Opened | None = None) -> bytes:
    """The file with `plain` in place of its plaintext; the very same bytes where that changes nothing. Values that
    stand in `also` under the same data key have their ciphertext from there.

    Raises `Invalid` where `plain` cannot be read.
    """
    sheet = _plain_sheet(plain, opened.sheet.text.path)
    key = opened.key
    kept = _kept(opened, *([also] if also is not None and also.key == key else []))
    sealed = _Sealing(sheet, opened.metadata, key, random, kept).sealed()
    if sealed.body == body(opened.sheet):
        return opened.sheet.text.content.encode()
    mac = _sealed_mac(sealed.mac, key, at, random)
    changed = replace(opened.metadata, mac=mac, last_modified=at)
    blocks = _with_mac(opened.sheet, mac, at) or [sheet.syntax.block(metadata.fields(changed))]
    return _checked(sheet.syntax.attached(sealed.body, blocks), sealed, opened.sheet.text.path, key)


def created(plain: bytes, path: str, scheme: Metadata, keys: Keyring, at: str, random: Random) -> bytes:
    """A new file, encrypted under a new data key to the recipients of `scheme`.

    Raises `Invalid` where `plain` cannot be read or is encrypted already, `Refused` where a recipient is none.
    """
    key = Cleartext(random(KEY_BYTES))
    return _whole(_plain_sheet(plain, path), shared(scheme, key, keys, at, random), key, at, random)


def rotated(opened: Opened, scheme: Metadata, keys: Keyring, at: str, random: Random) -> bytes:
    """The file under a new data key, every value of it encrypted anew, to the recipients of `scheme`."""
    sheet = _plain_sheet(plaintext(opened), opened.sheet.text.path)
    key = Cleartext(random(KEY_BYTES))
    return _whole(sheet, shared(scheme, key, keys, at, random), key, at, random)


def readdressed(opened: Opened, scheme: Metadata, keys: Keyring, at: str, random: Random) -> bytes:
    """The file under the same data key, to the recipients of `scheme`. All else of it stays, `lastmodified` too."""
    wanted = replace(opened.metadata, groups=scheme.groups, threshold=scheme.threshold)
    changed = shared(wanted, opened.key, keys, at, random, known=opened.metadata)
    sheet = opened.sheet
    text = sheet.syntax.attached(body(sheet), [sheet.syntax.block(metadata.fields(changed))])
    reopened(text.encode(), sheet.text.path, opened.key)
    return text.encode()


def shared(
    scheme: Metadata, key: Cleartext, keys: Keyring, at: str, random: Random, known: Metadata | None = None
) -> Metadata:
    """`scheme` with the data key, or each group's share of it, encrypted to every recipient.

    What `known` has of the same key is kept, as far as shares are the whole key. Raises `Refused`.
    """
    foreign = sorted({name for group in scheme.groups for name in group.foreign})
    whole = len(scheme.groups) == 1
    if foreign and not (known is not None and whole and len(known.groups) == 1):
        rule = "key services are not asked here"
        raise Refused(f"a new data key would have to be encrypted by {', '.join(foreign)}", rule, "use sops for it")
    shares = [key.reveal()]
    if not whole:
        try:
            shares = shamir.split(key.reveal(), len(scheme.groups), scheme.needed, random)
        except ValueError as error:
            raise Refused(f"the data key cannot be shared among {len(scheme.groups)} groups: {error}") from None
    have = {}
    if known is not None and whole and len(known.groups) == 1:
        have = {(each.kind, each.name): each for each in known.recipients}
    groups = (_addressed(group, share, keys, at, have) for group, share in zip(scheme.groups, shares, strict=True))
    return replace(scheme, groups=tuple(groups))


@dataclass(frozen=True, slots=True)
class _Sealed:
    body: str
    mac: str
    values: tuple[Value | None, ...]


class _Kept:
    """A token of the file as it was, for a value that may still be there."""

    __slots__ = ("flow", "raw", "token", "used")

    def __init__(self, raw: str, token_text: str, *, flow: bool) -> None:
        self.raw = raw
        self.token = token_text
        self.flow = flow
        self.used = False


_NONE: deque[_Kept] = deque()


class _Sealing:
    """Turns a plaintext sheet into text without metadata, whose selected values are encrypted."""

    def __init__(
        self, sheet: Sheet, scheme: Metadata, key: Cleartext, random: Random, kept: dict[object, deque[_Kept]]
    ) -> None:
        self._sheet = sheet
        self._scheme = scheme
        self._cipher = AESGCM(key.reveal())
        self._random = random
        self._kept = kept

    def sealed(self) -> _Sealed:
        slots = self._sheet.slots
        chosen = _selected(self._sheet, self._scheme)
        wanted = [index for index, slot in enumerate(slots) if chosen[index] and _is_encryptable(slot)]
        reused = self._reused(wanted, _exactly)
        reused |= self._reused([index for index in wanted if index not in reused], _loosely)
        edits = [
            (slots[index].start, slots[index].end, reused.get(index) or self._new(slots[index])) for index in wanted
        ]
        hashed = (
            (slot.value, encrypted)
            for slot, encrypted in zip(slots, chosen, strict=True)
            if slot.value is not None and not slot.comment
        )
        values = tuple(slot.value for slot in slots if not slot.comment)
        return _Sealed(body(self._sheet, edits), selection.mac(hashed, self._scheme), values)

    def _reused(self, indices: Sequence[int], named: Callable[[Slot, Value], object]) -> dict[int, str]:
        found = {}
        for index in indices:
            slot = self._sheet.slots[index]
            assert slot.value is not None
            waiting = self._kept.get(named(slot, slot.value), _NONE)
            while waiting and waiting[0].used:
                waiting.popleft()
            if waiting:
                kept = waiting.popleft()
                kept.used = True
                found[index] = kept.raw if kept.flow == slot.flow else self._sheet.syntax.ciphertext(kept.token, slot)
        return found

    def _new(self, slot: Slot) -> str:
        assert slot.value is not None
        sealed = token.sealed(slot.value, self._cipher, token.aad(slot.path), self._random)
        return self._sheet.syntax.ciphertext(sealed, slot)


def _whole(sheet: Sheet, scheme: Metadata, key: Cleartext, at: str, random: Random) -> bytes:
    sealed = _Sealing(sheet, scheme, key, random, {}).sealed()
    written = replace(scheme, mac=_sealed_mac(sealed.mac, key, at, random), last_modified=at)
    text = sheet.syntax.attached(sealed.body, [sheet.syntax.block(metadata.fields(written))])
    return _checked(text, sealed, sheet.text.path, key)


def _checked(text: str, sealed: _Sealed, path: str, key: Cleartext) -> bytes:
    """What is about to be written, after it was read back: nobody finds out later that a secret is lost."""
    data = text.encode()
    try:
        again = reopened(data, path, key)
    except Invalid as error:
        places = ", ".join(str(finding.place) for finding in error.findings)
        raise Defect(f"{path} would not open again after it was encrypted ({places}); nothing was written") from None
    values = tuple(value for slot, value in zip(again.sheet.slots, again.values, strict=True) if not slot.comment)
    same = len(values) == len(sealed.values) and all(
        (one is None and other is None) or (one is not None and other is not None and one.same(other))
        for one, other in zip(values, sealed.values, strict=True)
    )
    if not same:
        raise Defect(f"{path} would hold other values after it was encrypted; nothing was written")
    return data


def _plain_sheet(plain: bytes, path: str) -> Sheet:
    if formats.is_binary(path):
        sheet = formats.syntax_of(path).read(Text(path, _SKELETON))
        slot = sheet.slots[0]._replace(value=Value("str", plain))
        edits = [(slot.start, slot.end, '""')] if not plain else []
        return replace(sheet, slots=(slot,)) if plain else replace(sheet, text=Text(path, body(sheet, edits)))
    sheet = formats.read(plain, path)
    if sheet.metadata is not None:
        place = sheet.text.place(sheet.blocks[0].cuts[0][0]) if sheet.blocks else Place(path)
        raise Invalid((Finding("the file has metadata of SOPS", place, "no key named `sops` in a plaintext"),))
    return sheet


def _binary(opened: Opened) -> bytes:
    for slot, value in zip(opened.sheet.slots, opened.values, strict=True):
        if slot.path == ("data",):
            return value.data if value is not None else b""
    finding = Finding("the file has no `data`", Place(opened.sheet.text.path), "a binary file as SOPS writes it")
    raise Invalid((finding,))


def _kept(*files: Opened) -> dict[object, deque[_Kept]]:
    kept: dict[object, deque[_Kept]] = {}
    for opened in files:
        content = opened.sheet.text.content
        for slot, value, encrypted in zip(opened.sheet.slots, opened.values, opened.encrypted, strict=True):
            if not encrypted or value is None or slot.value is None or value == slot.value:
                continue
            item = _Kept(content[slot.start : slot.end], slot.value.text, flow=slot.flow)
            for name in (_exactly(slot, value), _loosely(slot, value)):
                kept.setdefault(name, deque()).append(item)
    return kept


def _exactly(slot: Slot, value: Value) -> object:
    return (slot.document, slot.path, *_loosely(slot, value))


def _loosely(slot: Slot, value: Value) -> tuple[object, ...]:
    """What makes a token fit elsewhere: positions in lists do not count."""
    return (token.aad(slot.path), value.family, value.data)


def _selected(sheet: Sheet, scheme: Metadata) -> list[bool]:
    try:
        return selection.selected(sheet.slots, scheme)
    except selection.UnknownExpression as error:
        name, text = scheme.selector
        raise Refused(f"`{name}: {text}`: {error}", "", "change the expression in .sops.yaml") from None


def _is_encryptable(slot: Slot) -> bool:
    """Nulls and empty texts stay, and so does a comment whose encryption nobody here made."""
    value = slot.value
    if value is None or not value.data:
        return False
    return not (slot.comment and token.looks_encrypted(value.data.decode(errors="replace")))


def _written(sheet: Sheet, value: Value, slot: Slot) -> str:
    try:
        return sheet.syntax.plaintext(value, slot)
    except ValueError as error:
        name = ".".join(str(step) for step in slot.path)
        raise Refused(f"{sheet.place(slot)}: the value of `{name}` cannot be shown: {error}") from None


def _sealed_mac(mac: str, key: Cleartext, at: str, random: Random) -> str:
    return token.sealed(of_text(mac), AESGCM(key.reveal()), at.encode(), random)


def _with_mac(sheet: Sheet, mac: str, at: str) -> list[str] | None:
    """The metadata of the file as it stands there, with these two changed; None where it lacks one."""
    blocks = []
    new = {
        "mac": sheet.syntax.ciphertext(mac, _ANYWHERE),
        "lastmodified": sheet.syntax.plaintext(of_text(at), _ANYWHERE),
    }
    for block in sheet.blocks:
        if set(block.marks) != set(new):
            return None
        text = block.raw
        for name, (start, end) in sorted(block.marks.items(), key=lambda item: -item[1][0]):
            text = text[:start] + new[name] + text[end:]
        blocks.append(text)
    return blocks


def _addressed(
    group: Group, share: bytes, keys: Keyring, at: str, have: dict[tuple[str, str], metadata.Recipient]
) -> Group:
    recipients = tuple(
        have.get((each.kind, each.name)) or replace(each, armoured=keys.encrypt(share, each), created_at=at)
        for each in group.recipients
    )
    return replace(group, recipients=recipients)
