"""Authenticated encryption at rest (AES-256-GCM) with key ids, and keyed hashes for exact search.

A sealed value is `version(1) ‖ len(key id)(1) ‖ key id ‖ nonce(12) ‖ ciphertext+tag`. The associated data names what
the value belongs to (a company and a column), so that a sealed value moved to another row does not open.
There is no default key: the demo and the tests make their own.
"""

import base64
import hmac
import json
import os
import secrets
from dataclasses import dataclass
from typing import Any

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

VERSION = 1


class CannotDecrypt(Exception):
    """The value was sealed with a key we do not have, for another owner, or was changed."""


@dataclass(frozen=True)
class Keyring:
    """Keys by id; the first seals, all open."""

    keys: tuple[tuple[str, bytes], ...]

    @classmethod
    def parse(cls, text: str) -> "Keyring":
        """`id:base64,id:base64`, newest first. Raises ValueError naming what is wrong, never the key."""
        found: list[tuple[str, bytes]] = []
        for part in filter(None, (part.strip() for part in text.split(","))):
            name, colon, encoded = part.partition(":")
            # Without the colon the "id" is a key, so it is not repeated in the words.
            if not colon or not name or len(name) > 32 or not name.isascii():
                raise ValueError("each encryption key is `id:base64`, the id at most 32 plain characters")
            if name in dict(found):
                raise ValueError(f"two encryption keys are called {name!r}")
            key = base64.b64decode(encoded, validate=True)
            if len(key) != 32:
                raise ValueError(f"encryption key {name!r} must be 32 bytes, base64-encoded")
            found.append((name, key))
        if not found:
            raise ValueError("no encryption key is set; make one with `shipcrowd keys new`")
        return cls(tuple(found))

    @property
    def current(self) -> str:
        return self.keys[0][0]

    def seal(self, plain: bytes, about: str) -> bytes:
        name, key = self.keys[0]
        nonce = os.urandom(12)
        label = name.encode()
        return bytes([VERSION, len(label)]) + label + nonce + AESGCM(key).encrypt(nonce, plain, about.encode())

    def open(self, sealed: bytes, about: str) -> bytes:
        """Raises CannotDecrypt."""
        name, rest = _split(sealed)
        for known, key in self.keys:
            if known == name:
                try:
                    return AESGCM(key).decrypt(rest[:12], rest[12:], about.encode())
                except InvalidTag as error:
                    raise CannotDecrypt(f"sealed for something else than {about}, or changed") from error
        raise CannotDecrypt(f"no key {name!r}")

    def is_current(self, sealed: bytes) -> bool:
        return _split(sealed)[0] == self.current

    def seal_json(self, value: Any, about: str) -> bytes:
        return self.seal(json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode(), about)

    def open_json(self, sealed: bytes, about: str) -> Any:
        return json.loads(self.open(sealed, about))


def _split(sealed: bytes) -> tuple[str, bytes]:
    if len(sealed) < 2 or sealed[0] != VERSION or len(sealed) < 2 + sealed[1] + 12 + 16:
        raise CannotDecrypt("not a sealed value")
    return sealed[2 : 2 + sealed[1]].decode("ascii", "replace"), sealed[2 + sealed[1] :]


class _Keys:
    ring: Keyring | None = None
    search: bytes | None = None


def use_keys(encryption_keys: str, search_key: str) -> None:
    """Set the process's keys from their settings' text. Raises ValueError."""
    _Keys.ring = Keyring.parse(encryption_keys)
    search = base64.b64decode(search_key, validate=True)
    if len(search) != 32:
        raise ValueError("the search key must be 32 bytes, base64-encoded")
    _Keys.search = search


def keyring() -> Keyring:
    if _Keys.ring is None:
        raise RuntimeError("no encryption key is set: SHIPCROWD_ENCRYPTION_KEYS (make one with `shipcrowd keys new`)")
    return _Keys.ring


def search_hash(value: str, about: str) -> bytes:
    """A keyed hash of a normalised value, equal for equal values of the same company and kind (`about`)."""
    if _Keys.search is None:
        raise RuntimeError("no search key is set: SHIPCROWD_SEARCH_KEY")
    return hmac.digest(_Keys.search, f"{about}\0{value}".encode(), "sha256")[:16]


def new_key() -> str:
    """32 random bytes in base64."""
    return base64.b64encode(secrets.token_bytes(32)).decode()
