"""Seals the bodies of events that had to be set aside: they may hold personal data, and are kept encrypted until they
are taken.
"""

import base64
from collections.abc import Mapping

from cryptography.fernet import Fernet, MultiFernet


class SealingNotConfigured(RuntimeError):
    """No key was given; nothing may be set aside in the clear."""


class Seal:
    """Encrypts with the first of its keys (32 bytes each) and opens what any of them sealed."""

    def __init__(self, keys: Mapping[str, bytes] | None = None) -> None:
        self._fernets = [Fernet(base64.urlsafe_b64encode(key)) for key in (keys or {}).values()]

    def close(self, body: str) -> bytes:
        """Raises `SealingNotConfigured`."""
        return self._all().encrypt(body.encode())

    def open(self, body: bytes) -> str:
        """Raises `SealingNotConfigured`, and cryptography's `InvalidToken` when no key fits."""
        return self._all().decrypt(body).decode()

    def _all(self) -> MultiFernet:
        if not self._fernets:
            raise SealingNotConfigured("there is no key to seal events with; set ENDCAP_PAYLOAD_KEYS")
        return MultiFernet(self._fernets)
