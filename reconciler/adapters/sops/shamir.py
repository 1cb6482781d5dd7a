"""Shamir's secret sharing as SOPS has it: byte by byte over GF(2^8) modulo x^8+x^4+x^3+x+1.

A share is the values of the polynomials at its x, with x as the last byte.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

_POLYNOMIAL = 0x11B
LARGEST = 255


def split(secret: bytes, shares: int, threshold: int, random: Callable[[int], bytes]) -> list[bytes]:
    """`shares` shares of which any `threshold` give the secret. Raises `ValueError` where the numbers make no sense."""
    if not 2 <= threshold <= shares <= LARGEST:
        raise ValueError(f"{threshold} of {shares} shares: expected 2 <= threshold <= shares <= {LARGEST}")
    polynomials = [bytes([byte]) + random(threshold - 1) for byte in secret]
    return [bytes([_at(x, each) for each in polynomials] + [x]) for x in range(1, shares + 1)]


def combine(shares: Sequence[bytes]) -> bytes:
    """The secret of enough shares. Raises `ValueError` where they do not belong together."""
    if len({len(share) for share in shares}) != 1 or len(shares[0]) < 2:
        raise ValueError("the shares of the data key differ in length")
    points = [share[-1] for share in shares]
    if len(set(points)) != len(points) or 0 in points:
        raise ValueError("two shares of the data key are the same")
    weights = [_weight(x, points) for x in points]
    return bytes(
        _sum(_times(weight, share[position]) for weight, share in zip(weights, shares, strict=True))
        for position in range(len(shares[0]) - 1)
    )


def _at(x: int, coefficients: bytes) -> int:
    value = 0
    for coefficient in reversed(coefficients):
        value = _times(value, x) ^ coefficient
    return value


def _weight(x: int, points: Sequence[int]) -> int:
    """Lagrange's factor of the point x, for the value at 0."""
    weight = 1
    for other in points:
        if other != x:
            weight = _times(weight, _times(other, _inverse(x ^ other)))
    return weight


def _sum(values: Iterable[int]) -> int:
    total = 0
    for value in values:
        total ^= value
    return total


def _times(a: int, b: int) -> int:
    product = 0
    while b:
        if b & 1:
            product ^= a
        a <<= 1
        if a & 0x100:
            a ^= _POLYNOMIAL
        b >>= 1
    return product


def _inverse(a: int) -> int:
    """a to the power of 254."""
    result, power = 1, a
    for bit in (0, 1, 1, 1, 1, 1, 1, 1):
        if bit:
            result = _times(result, power)
        power = _times(power, power)
    return result
