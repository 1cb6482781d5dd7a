"""Public keys as bytes and as text."""

from __future__ import annotations

import base64

import pytest

from agent.contract.openpgp import NotAKey, armoured, binary

TEXT = """-----BEGIN PGP PUBLIC KEY BLOCK-----

mDMEawBG9BYJKwYBBAHaRw8BAQdAgnVntOAI38KYkQ7I+hI+xfmgMi8BdUc97J9O
nUI3IPq0FHJlcG8gPHJAZXhhbXBsZS5vcmc+iJAEExYIADgWIQSrbvnmjDGe9okD
DEFpVtN6nPfrugUCawBG9AIbAwULCQgHAgYVCgkICwIEFgIDAQIeAQIXgAAKCRBp
VtN6nPfrurEeAP4uJ2ALxjtK4p35/huzCfklVf715Vtv6qbjM9mIO6vMLwEA63SZ
dKbxSkJ7Ou97vxB7Xa4FOCIPPd7s4D2RLfWQtAs=
=rzTq
-----END PGP PUBLIC KEY BLOCK-----
"""
"""As gpg wrote it."""
KEY = binary(TEXT.encode())


def test_text_and_bytes_are_one_key() -> None:
    assert KEY.startswith(b"\x98\x33\x04")
    assert armoured(KEY).decode() == TEXT
    assert armoured(TEXT.encode()).decode() == TEXT


@pytest.mark.parametrize(
    "text",
    [
        TEXT.replace("\n", "\r\n"),
        TEXT.replace("\n\n", "\nVersion: GnuPG v1\nComment: a key\n\n", 1),
        TEXT.replace("=rzTq\n", ""),
        f"# of the vendor\n{TEXT}\n",
    ],
)
def test_other_forms_of_the_same_text(text: str) -> None:
    assert binary(text.encode()) == KEY


def test_several_keys_in_one_text_stay_together() -> None:
    assert binary((TEXT + TEXT).encode()) == KEY + KEY


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"", "it does not begin with a public key"),
        (b"<html>not found</html>", "it does not begin with a public key"),
        (base64.b64decode("lFgEawBG9BYJKwYB"), "it is a private key"),
        (TEXT.replace("PUBLIC", "PRIVATE").encode(), "it is a private key"),
        (TEXT.encode()[:200], "it is no armoured public key"),
        (TEXT.replace("mDME", "m?ME").encode(), "its armour is damaged"),
        (b"-----BEGIN PGP SIGNATURE-----\n\niQ==\n-----END PGP SIGNATURE-----\n", "it is no armoured public key"),
    ],
)
def test_what_is_no_public_key(data: bytes, why: str) -> None:
    with pytest.raises(NotAKey, match=why):
        binary(data)
