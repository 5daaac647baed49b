"""Snapshots at rest: AES-256-GCM, bound to the resolution, the snapshot, the entry and the side."""

import hashlib
import json
import os
from dataclasses import dataclass
from typing import Any

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from core.errors import RollbackFailedError
from core.snapshot import Manifest

_NONCE = 12


@dataclass(frozen=True, slots=True)
class Sealer:
    """Encrypts with one 32-byte key; `key_id` names it without telling it."""

    key: bytes

    @property
    def key_id(self) -> str:
        return hashlib.sha256(b"ir-key-id" + self.key).hexdigest()[:16]

    def seal(self, manifest: Manifest | None, *, bound_to: str) -> bytes | None:
        if manifest is None:
            return None
        nonce = os.urandom(_NONCE)
        plain = json.dumps(manifest, separators=(",", ":")).encode()
        return nonce + AESGCM(self.key).encrypt(nonce, plain, bound_to.encode())

    def unseal(self, sealed: bytes | None, *, bound_to: str, key_id: str) -> dict[str, Any] | None:
        """RollbackFailedError for an edited or foreign snapshot, or one of another key."""
        if sealed is None:
            return None
        if key_id != self.key_id:
            raise RollbackFailedError(
                "The snapshot was encrypted with another key than INCIDENT_RESOLVER_SNAPSHOT_KEY."
            )
        try:
            plain = AESGCM(self.key).decrypt(sealed[:_NONCE], sealed[_NONCE:], bound_to.encode())
        except InvalidTag as error:
            raise RollbackFailedError("The snapshot was altered or belongs elsewhere; it is refused.") from error
        manifest: dict[str, Any] = json.loads(plain)
        return manifest


def binding(resolution_id: str, snapshot_id: str, *, seq: int, side: str) -> str:
    """What an encrypted side is bound to; moved anywhere else it does not open."""
    return f"ir-snapshot-v1|{resolution_id}|{snapshot_id}|{seq}|{side}"
