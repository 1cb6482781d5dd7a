"""Ed25519 and X25519 through ctypes, on the libcrypto that Python's own ssl has loaded; SSHSIG on top.

The standard library has no signatures, but the interpreter has OpenSSL mapped already: nothing is installed, nothing
is started, and the distribution's security updates reach us.
"""

from __future__ import annotations

import _ssl  # the part of `ssl` that has the library; the rest takes five times as long to import
import base64
import binascii
import contextlib
import ctypes
import functools
import os
from typing import Any, Iterator, List

from agent.contract import sshsig
from agent.contract.sshsig import BadSignature
from agent.contract.wire import Signed

_ED25519, _X25519 = 1087, 1034  # OpenSSL's NIDs
_KEY_BYTES, _SIGNATURE_BYTES = 32, 64


class CryptoUnavailable(Exception):
    """This Python's OpenSSL cannot be reached, or refuses Ed25519 (FIPS); the message says which."""


class Signer:
    """An Ed25519 private key that signs payloads in SSHSIG namespaces."""

    def __init__(self, secret: bytes) -> None:
        self._secret = secret
        self._public = b""

    @property
    def public(self) -> bytes:
        """The public key; worked out when it is asked for first, for a pass without a server never does."""
        self._public = self._public or public_of(self._secret)
        return self._public

    def sign(self, namespace: str, payload: bytes) -> Signed:
        signature = sign(self._secret, sshsig.message_to_sign(payload, namespace))
        blob = sshsig.blob(self.public, namespace, signature)
        return Signed(base64.b64encode(payload).decode(), base64.b64encode(blob).decode())

    def __repr__(self) -> str:
        return "Signer(%s)" % sshsig.public_text(self.public)


def opened(signed: Signed, public: bytes, namespace: str) -> bytes:
    """The payload, once its signature by `public` in `namespace` holds. Raises BadSignature; parse nothing else."""
    try:
        payload = base64.b64decode(signed.payload, validate=True)
        parts = sshsig.parts(base64.b64decode(signed.sig, validate=True))
    except (binascii.Error, ValueError) as error:
        raise BadSignature("what is signed is not base64: %s" % error) from error
    if parts.public != public:
        raise BadSignature("signed by another key (%s)" % sshsig.public_text(parts.public))
    if parts.namespace != namespace:
        raise BadSignature("signed for %r, not for %r" % (parts.namespace, namespace))
    if not verify(public, sshsig.message_to_sign(payload, namespace), parts.signature):
        raise BadSignature("the signature does not hold")
    return payload


def new_key() -> bytes:
    """A fresh private key, for Ed25519 or X25519: both are 32 random bytes."""
    return os.urandom(_KEY_BYTES)


def public_of(secret: bytes) -> bytes:
    """The Ed25519 public key of a private key."""
    return _public(_ED25519, secret)


def sealing_public_of(secret: bytes) -> bytes:
    """The X25519 public key of a private key."""
    return _public(_X25519, secret)


def sign(secret: bytes, message: bytes) -> bytes:
    """The raw 64-byte Ed25519 signature."""
    library = _libcrypto()
    key = _private(_ED25519, secret)
    context = library.EVP_MD_CTX_new()
    try:
        _must(library.EVP_DigestSignInit(context, None, None, None, key) == 1, "Ed25519 cannot sign")
        signature = ctypes.create_string_buffer(_SIGNATURE_BYTES)
        length = ctypes.c_size_t(_SIGNATURE_BYTES)
        done = library.EVP_DigestSign(context, signature, ctypes.byref(length), message, len(message))
        _must(done == 1 and length.value == _SIGNATURE_BYTES, "Ed25519 cannot sign")
        return signature.raw
    finally:
        library.EVP_MD_CTX_free(context)
        library.EVP_PKEY_free(key)


def verify(public: bytes, message: bytes, signature: bytes) -> bool:
    """Whether a raw Ed25519 signature holds. Anything malformed does not."""
    if len(public) != _KEY_BYTES or len(signature) != _SIGNATURE_BYTES:
        return False
    library = _libcrypto()
    key = library.EVP_PKEY_new_raw_public_key(_ED25519, None, public, len(public))
    _must(key, "Ed25519 is not available")
    context = library.EVP_MD_CTX_new()
    try:
        _must(library.EVP_DigestVerifyInit(context, None, None, None, key) == 1, "Ed25519 cannot verify")
        return bool(library.EVP_DigestVerify(context, signature, len(signature), message, len(message)) == 1)
    finally:
        library.EVP_MD_CTX_free(context)
        library.EVP_PKEY_free(key)
        # Python's ssl reads the same thread's error queue: leave nothing of ours in it.
        library.ERR_clear_error()


def _public(kind: int, secret: bytes) -> bytes:
    library = _libcrypto()
    key = _private(kind, secret)
    try:
        raw = ctypes.create_string_buffer(_KEY_BYTES)
        length = ctypes.c_size_t(_KEY_BYTES)
        _must(library.EVP_PKEY_get_raw_public_key(key, raw, ctypes.byref(length)) == 1, "no public key")
        return raw.raw
    finally:
        library.EVP_PKEY_free(key)


def _private(kind: int, secret: bytes) -> Any:
    if len(secret) != _KEY_BYTES:
        raise ValueError("a private key is %d bytes, this is %d" % (_KEY_BYTES, len(secret)))
    key = _libcrypto().EVP_PKEY_new_raw_private_key(kind, None, secret, len(secret))
    _must(key, "Ed25519 and X25519 are not available (is OpenSSL in FIPS mode?)")
    return key


def _must(done: Any, otherwise: str) -> None:
    if not done:
        _libcrypto().ERR_clear_error()
        raise CryptoUnavailable("%s in %s" % (otherwise, _ssl.OPENSSL_VERSION))


@functools.lru_cache(maxsize=None)
def _libcrypto() -> Any:
    tried: List[str] = []
    for name in _candidates():
        tried.append(name)
        with contextlib.suppress(OSError, AttributeError):  # the next name may be that of the right one
            library = ctypes.CDLL(name)
            library.OpenSSL_version_num.restype = ctypes.c_ulong
            if library.OpenSSL_version_num() == _ssl.OPENSSL_VERSION_NUMBER:
                return _declared(library)
    raise CryptoUnavailable(
        "cannot find the libcrypto of this Python's ssl (%s); tried %s"
        % (_ssl.OPENSSL_VERSION, ", ".join(tried) or "nothing")
    )


def _candidates() -> Iterator[str]:
    """Where libcrypto may be: what this process has mapped first, then ssl's own extension, which may hold it."""
    try:
        with open("/proc/self/maps", encoding="utf-8", errors="surrogateescape") as maps:
            columns = [line.rstrip("\n").split(None, 5) for line in maps]
    except OSError:
        columns = []
    paths = [row[5] for row in columns if len(row) == 6]
    for path in sorted({path for path in paths if "libcrypto" in os.path.basename(path)}):
        yield path
        # After an upgrade the mapped file is "PATH (deleted)": the loader finds it by its soname all the same.
        yield os.path.basename(path).replace(" (deleted)", "")
    if getattr(_ssl, "__file__", None):
        yield _ssl.__file__
    yield from ("libcrypto.so.3", "libcrypto.so.1.1", "libcrypto.dylib")


def _declared(library: ctypes.CDLL) -> ctypes.CDLL:
    pointer, text, size, number = ctypes.c_void_p, ctypes.c_char_p, ctypes.c_size_t, ctypes.c_int
    size_out = ctypes.POINTER(ctypes.c_size_t)
    signatures = {
        "EVP_PKEY_new_raw_private_key": (pointer, [number, pointer, text, size]),
        "EVP_PKEY_new_raw_public_key": (pointer, [number, pointer, text, size]),
        "EVP_PKEY_get_raw_public_key": (number, [pointer, pointer, size_out]),
        "EVP_PKEY_free": (None, [pointer]),
        "EVP_MD_CTX_new": (pointer, []),
        "EVP_MD_CTX_free": (None, [pointer]),
        "EVP_DigestSignInit": (number, [pointer, pointer, pointer, pointer, pointer]),
        "EVP_DigestSign": (number, [pointer, pointer, size_out, text, size]),
        "EVP_DigestVerifyInit": (number, [pointer, pointer, pointer, pointer, pointer]),
        "EVP_DigestVerify": (number, [pointer, text, size, text, size]),
        "ERR_clear_error": (None, []),
    }
    for name, (result, arguments) in signatures.items():
        function = getattr(library, name)
        function.restype, function.argtypes = result, arguments
    return library
