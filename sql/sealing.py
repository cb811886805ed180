"""Payloads at rest: sealed on the way in, opened on the way out, in the one place that either has.

A process sets its keys once, at its start: the first one seals, all of them open. Without a key payloads are
stored as they are. AES-256-GCM, a fresh nonce each.
"""

import hashlib
import os
from collections.abc import Sequence
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

NONCE_BYTES: Final = 12
_ring: dict[str, AESGCM] = {}
_current: list[str] = []


def use_keys(keys: Sequence[bytes]) -> None:
    """Sets this process's keys of 32 bytes each, the one that seals first; none: nothing is sealed."""
    _ring.clear()
    _ring.update({key_id(key): AESGCM(key) for key in keys})
    _current[:] = [key_id(keys[0])] if keys else []


def key_id(key: bytes) -> str:
    """The name of a key, which tells nothing of it."""
    return hashlib.sha256(b"counterfoil payload key" + key).hexdigest()[:12]


def current_key_id() -> str | None:
    """The name of the key that seals; None for none."""
    return _current[0] if _current else None


def seal(data: bytes) -> tuple[bytes, str | None]:
    """The bytes to store, and the name of the key that opens them; None where they are as they were."""
    name = current_key_id()
    if name is None:
        return data, None
    nonce = os.urandom(NONCE_BYTES)
    return nonce + _ring[name].encrypt(nonce, data, None), name


def unseal(stored: bytes | None, key_name: str | None) -> bytes | None:
    """The bytes as they were; None where they are scrubbed, or this process has not their key."""
    if stored is None or key_name is None:
        return stored
    cipher = _ring.get(key_name)
    if cipher is None:
        return None
    try:
        return cipher.decrypt(bytes(stored[:NONCE_BYTES]), bytes(stored[NONCE_BYTES:]), None)
    except InvalidTag:
        return None
