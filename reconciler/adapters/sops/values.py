"""Values as SOPS counts them: a kind and the bytes that are encrypted and hashed, and how Go writes numbers."""

from __future__ import annotations

from decimal import Decimal
from typing import Literal, NamedTuple, TypeAlias

Kind: TypeAlias = Literal["str", "int", "float", "bool", "bytes", "time", "comment"]
KINDS: frozenset[str] = frozenset({"str", "int", "float", "bool", "bytes", "time", "comment"})

LARGEST_INT = 2**63 - 1
SMALLEST_INT = -(2**63)


class Value(NamedTuple):
    """A scalar that is not null. `data` is what the MAC takes and what is encrypted."""

    kind: Kind
    data: bytes

    def __repr__(self) -> str:
        return f"Value({self.kind})"

    @property
    def text(self) -> str:
        """The bytes as text. Raises `UnicodeDecodeError` where they are none."""
        return self.data.decode()

    def same(self, other: Value) -> bool:
        """Whether writing one for the other would change nothing: in a text, `1` may be either sort of number."""
        return self.data == other.data and self.family == other.family

    @property
    def family(self) -> str:
        """The kinds that texts do not tell apart, under one name."""
        return {"int": "number", "float": "number", "bytes": "str"}.get(self.kind, self.kind)


def of_text(text: str) -> Value:
    """A string."""
    return Value("str", text.encode())


def of_bool(value: bool) -> Value:
    """A boolean."""
    return Value("bool", b"True" if value else b"False")


def of_int(value: int) -> Value:
    """An integer."""
    return Value("int", str(value).encode())


def of_float(value: float) -> Value:
    """A floating-point number, written out in full as Go's `strconv.FormatFloat(f, 'f', -1, 64)` does."""
    return Value("float", go_float(value).encode())


def go_float(value: float) -> str:
    """The shortest decimal that reads back as `value`, without an exponent."""
    if value != value:  # NaN alone differs from itself
        return "NaN"
    if value in (float("inf"), float("-inf")):
        return "+Inf" if value > 0 else "-Inf"
    return format(Decimal(repr(value)), "f").removesuffix(".0")


def as_decrypted(kind: Kind, data: bytes) -> Value:
    """The value that a plaintext of a kind stands for. Raises `ValueError` where it stands for none of that kind."""
    if kind == "int":
        return of_int(int(data))
    if kind == "float":
        return of_float(float(data))
    if kind == "bool":
        if data not in (b"True", b"true", b"False", b"false", b"1", b"0", b"T", b"F", b"t", b"f", b"TRUE", b"FALSE"):
            raise ValueError("no boolean")
        return of_bool(data[:1] in b"Tt1")
    return Value(kind, data)
