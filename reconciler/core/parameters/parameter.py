"""A parameter as a file declares it, a version of it, and what a reference names."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, NamedTuple, Protocol, TypeAlias

from reconciler.core.parameters.names import absolute
from reconciler.core.problem import Place

if TYPE_CHECKING:
    from reconciler.core.manifest import Loc

Type: TypeAlias = Literal["String", "StringList", "SecureString"]
SECURE: Type = "SecureString"
STANDARD_CHARACTERS = 4096
ADVANCED_CHARACTERS = 8192


class Placing(Protocol):
    """Tells where the parts of a file are."""

    def of(self, loc: Loc = ()) -> Place:
        """Where the value at `loc` begins."""


@dataclass(frozen=True, slots=True)
class Parameter:
    """One parameter. `value` is as SSM keeps it: a StringList's items with commas, a SecureString's ciphertext.

    `path` is the file that declares it, `loc` where in it. Two are equal where a reference to them means the same.
    """

    name: str
    type: Type
    value: str = field(repr=False)
    path: str
    places: Placing | None = field(default=None, compare=False, repr=False)
    loc: Loc = field(default=(), compare=False)
    file: bytes = field(default=b"", compare=False, repr=False)
    """The whole file of a SecureString: SOPS opens no value by itself."""

    @property
    def place(self) -> Place:
        """Where its value begins. Computed when somebody asks."""
        return self.places.of(self.loc) if self.places is not None else Place(self.path)

    @property
    def resolved(self) -> str | list[str]:
        """What a reference to it stands for: a list of texts for a StringList."""
        return self.value.split(",") if self.type == "StringList" else self.value


@dataclass(frozen=True, slots=True)
class Version:
    """A value that a parameter once had: the `number`th since it was made.

    `commit` gave it, at that instant in Unix milliseconds, by that author.
    """

    number: int
    parameter: Parameter
    commit: str = ""
    at: int = 0
    author: str = ""


class Selector(NamedTuple):
    """A name, and which version of it: a number, a label, or nothing for the newest."""

    name: str
    version: str = ""

    @classmethod
    def parse(cls, text: str) -> Selector:
        """SSM's `name`, `name:version` or `name:label`."""
        name, _, version = text.partition(":")
        return cls(absolute(name), version)

    def __str__(self) -> str:
        return f"{self.name}:{self.version}" if self.version else self.name
