"""The builder that both syntaxes feed: documents as trees, with the offset of every key and value beside them."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, TypeAlias, Union

from reconciler.core.manifest.scalar import Plain, Tree
from reconciler.core.problem import Finding, Invalid

if TYPE_CHECKING:
    from reconciler.core.manifest.text import Text

MAX_DEPTH = 64
MAX_NODES = 100_000
"""Keys and values of one file, aliases counted as what they stand for: this is what stops a billion laughs."""

Marks: TypeAlias = Union[int, "ItemMarks", "FieldMarks"]
"""Where a value is: the offset of a scalar, or the offset of a list or mapping with the marks of what it holds."""


class ItemMarks(NamedTuple):
    """Of a list: its own offset, and the marks of its items."""

    offset: int
    items: list[Marks]


class FieldMarks(NamedTuple):
    """Of a mapping: its own offset, and by key the offset of the key and the marks of its value."""

    offset: int
    fields: dict[str, tuple[int, Marks]]


class Document(NamedTuple):
    """One document of a file. `offset` is where it begins: its `---`, or its first content."""

    tree: Tree
    marks: Marks
    offset: int


class _Anchored(NamedTuple):
    tree: Tree
    marks: Marks
    nodes: int


class _OpenList:
    """A list whose end is not reached."""

    __slots__ = ("anchor", "marks", "nodes_before", "tag", "tree")

    def __init__(self, offset: int, anchor: str | None, tag: str, nodes_before: int) -> None:
        self.tree: list[Tree] = []
        self.marks = ItemMarks(offset, [])
        self.anchor = anchor
        self.tag = tag
        self.nodes_before = nodes_before

    def put(self, tree: Tree, marks: Marks, _offset: int, _builder: TreeBuilder) -> None:
        self.tree.append(tree)
        self.marks.items.append(marks)

    def complete(self) -> None:
        """A sequence is whole as it is, unlike a mapping that merges others."""


class _OpenMapping:
    """A mapping whose end is not reached. `key` is the key that waits for its value."""

    __slots__ = ("anchor", "key", "key_offset", "marks", "merged", "nodes_before", "tag", "tree")

    def __init__(self, offset: int, anchor: str | None, tag: str, nodes_before: int) -> None:
        self.tree: dict[str, Tree] = {}
        self.marks = FieldMarks(offset, {})
        self.anchor = anchor
        self.tag = tag
        self.nodes_before = nodes_before
        self.key: str | None = None
        self.key_offset = 0
        self.merged: list[tuple[Tree, Marks]] | None = None

    def put(self, tree: Tree, marks: Marks, offset: int, builder: TreeBuilder) -> None:
        """Take a key, or the value of the key taken before; `offset` is where it stands (for an alias, the alias)."""
        key = self.key
        if key is None:
            self.key_offset = offset
            self.key = tree if tree and isinstance(tree, str) else self._key(tree, offset, builder)
            return
        self.key = None
        if key is _UNUSABLE:
            return
        if key in self.tree:
            first, _ = self.marks.fields[key]
            builder.finding(f"`{key}` is given twice", self.key_offset, expected="each key once", related=(first,))
        elif key == _MERGE and isinstance(key, Plain):
            self._put_merged(tree, marks, builder)
        else:
            name = str(key)
            self.tree[name] = tree
            self.marks.fields[name] = (self.key_offset, marks)

    def complete(self) -> None:
        """Add the fields of merged mappings that neither this mapping nor one merged before it has."""
        for tree, marks in self.merged or ():
            assert isinstance(tree, dict)
            assert isinstance(marks, FieldMarks)
            for key, value in tree.items():
                if key not in self.tree:
                    self.tree[key] = value
                    self.marks.fields[key] = marks.fields[key]

    def _key(self, key: Tree, offset: int, builder: TreeBuilder) -> str:
        if not isinstance(key, str):
            kind = "mapping" if isinstance(key, dict) else "list"
            expected = "quotes around a text that begins with `{{`" if _looks_templated(key) else "text"
            builder.finding(f"a {kind} is used as a key", offset, expected=expected)
            return _UNUSABLE
        if key == "" and isinstance(key, Plain):
            builder.finding("a key is empty", offset, expected='a name before the `:`, or ""')
            return _UNUSABLE
        return key

    def _put_merged(self, tree: Tree, marks: Marks, builder: TreeBuilder) -> None:
        found = [(tree, marks)]
        if isinstance(tree, list) and isinstance(marks, ItemMarks):
            found = list(zip(tree, marks.items, strict=True))
        if self.merged is not None:
            builder.finding("`<<` is given twice", self.key_offset, expected="one `<<` with a list of mappings")
        elif not all(isinstance(tree, dict) for tree, _ in found):
            expected = "a mapping, or a list of mappings"
            builder.finding("`<<` merges something that is no mapping", self.key_offset, expected=expected)
        else:
            self.merged = found


_MERGE = "<<"
_UNUSABLE = Plain("")


class TreeBuilder:
    """Takes the events of one file in order; `documents` and `findings` grow.

    Raises `Invalid` only where going on makes no sense: too deep, too large, an alias of nothing.
    """

    def __init__(self, text: Text) -> None:
        self.text = text
        self.documents: list[Document] = []
        self.findings: list[Finding] = []
        self._stack: list[_OpenList | _OpenMapping] = []
        self._anchors: dict[str, _Anchored] = {}
        self._nodes = 0
        self._offset = 0

    def begin_document(self, offset: int) -> None:
        self._offset = offset
        self._anchors.clear()

    def open_mapping(self, offset: int, anchor: str | None = None, tag: str = "") -> None:
        self._open(_OpenMapping(offset, anchor, tag, self._nodes))

    def open_sequence(self, offset: int, anchor: str | None = None, tag: str = "") -> None:
        self._open(_OpenList(offset, anchor, tag, self._nodes))

    def close(self) -> None:
        """The innermost open list or mapping is complete."""
        frame = self._stack.pop()
        frame.complete()
        tree, marks = _tagged(frame.tag, frame.tree, frame.marks)
        if frame.anchor is not None:
            self._anchors[frame.anchor] = _Anchored(tree, marks, self._nodes - frame.nodes_before)
        self._put(tree, marks, frame.marks.offset)

    def scalar(self, value: str, offset: int, anchor: str | None = None, tag: str = "") -> None:
        """A scalar, `Plain` where it was written without quotes."""
        self._nodes += 1
        if not tag and anchor is None and self._stack and self._nodes <= MAX_NODES:  # as nearly all are
            self._stack[-1].put(value, offset, offset, self)
            return
        self._count(0, offset)
        tree, marks = _tagged(tag, value, offset)
        if anchor is not None:
            self._anchors[anchor] = _Anchored(tree, marks, 1)
        self._put(tree, marks, offset)

    def alias(self, name: str, offset: int) -> None:
        found = self._anchors.get(name)
        if found is None:
            recursive = any(frame.anchor == name for frame in self._stack)
            what = "refers to what it is part of" if recursive else "refers to nothing"
            raise self.failed(f"alias `*{name}` {what}", offset, expected=f"`&{name}` on an earlier value")
        self._count(found.nodes, offset)
        self._put(found.tree, found.marks, offset)

    def finding(self, message: str, offset: int, *, expected: str = "", related: tuple[int, ...] = ()) -> None:
        places = tuple(self.text.place(other) for other in related)
        self.findings.append(Finding(message, self.text.place(offset), expected, related=places))

    def failed(self, message: str, offset: int, *, expected: str = "", related: tuple[int, ...] = ()) -> Invalid:
        """What to raise when the rest of the file cannot be read: this, after all that was found before."""
        self.finding(message, offset, expected=expected, related=related)
        return Invalid(tuple(self.findings))

    def _open(self, frame: _OpenList | _OpenMapping) -> None:
        offset = frame.marks.offset
        if len(self._stack) == MAX_DEPTH:
            raise self.failed("nested too deeply", offset, expected=f"at most {MAX_DEPTH} levels")
        self._stack.append(frame)
        self._count(1, offset)

    def _count(self, nodes: int, offset: int) -> None:
        self._nodes += nodes
        if self._nodes > MAX_NODES:
            raise self.failed(
                "the file holds too much", offset, expected=f"at most {MAX_NODES} keys and values, aliases written out"
            )

    def _put(self, tree: Tree, marks: Marks, offset: int) -> None:
        if self._stack:
            self._stack[-1].put(tree, marks, offset, self)
        elif tree != "" or not isinstance(tree, Plain):  # an empty document says nothing
            self.documents.append(Document(tree, marks, self._offset))


def _tagged(tag: str, tree: Tree, marks: Marks) -> tuple[Tree, Marks]:
    """A value under a tag that nobody here knows: a mapping of the tag to the value."""
    if not tag:
        return tree, marks
    offset = marks if isinstance(marks, int) else marks.offset
    return {tag: tree}, FieldMarks(offset, {tag: (offset, marks)})


def _looks_templated(key: Tree) -> bool:
    """`{{ name }}` without quotes is, in YAML, a mapping whose key is a mapping."""
    return isinstance(key, dict) and len(key) == 1 and next(iter(key.values())) == ""
