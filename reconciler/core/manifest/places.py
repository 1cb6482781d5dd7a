"""Where the parts of a document are, found only when somebody asks."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

from reconciler.core.manifest.syntax import parse
from reconciler.core.manifest.tree import FieldMarks, ItemMarks, Marks
from reconciler.core.problem import Place

if TYPE_CHECKING:
    from reconciler.core.manifest.tree import TreeBuilder

Loc: TypeAlias = tuple[str | int, ...]
"""A path into a tree: keys and list positions."""


class Places:
    """The places of one document of a file that `read` has read; `index` counts its documents from 0.

    `start` is where the document begins: its `---`, or its first content. Any other question needs what `read` built,
    which takes much memory and is asked for by nearly no document: it is kept until `forget`, and built again then.
    """

    def __init__(
        self, data: bytes, path: str, index: int = 0, start: Place | None = None, built: TreeBuilder | None = None
    ) -> None:
        self.path = path
        self.start = start or Place(path)
        self._data = data
        self._index = index
        self._kept = built

    def forget(self) -> None:
        """Let go of what can be built again."""
        self._kept = None

    def of(self, loc: Loc = (), *, key: bool = False) -> Place:
        """Where the value at `loc` begins, or with `key` its key; of a missing part, the innermost that is there."""
        marks: Marks = self._built.documents[self._index].marks
        key_offset = offset = _offset(marks)
        for step in loc:
            if isinstance(marks, FieldMarks) and step in marks.fields:
                key_offset, marks = marks.fields[str(step)]
            elif isinstance(marks, ItemMarks) and isinstance(step, int) and 0 <= step < len(marks.items):
                marks = marks.items[step]
                key_offset = _offset(marks)
            else:
                break
            offset = _offset(marks)
        return self._built.text.place(key_offset if key else offset)

    @property
    def _built(self) -> TreeBuilder:
        if self._kept is None:
            self._kept = parse(self._data, self.path)
        return self._kept


def _offset(marks: Marks) -> int:
    return marks if isinstance(marks, int) else marks.offset
