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
    """Encrypts with `key` (32 bytes) and opens what it or one of the `older` keys sealed; None does neither.

    `key_id` names a key without telling it.
    """

    key: bytes | None
    older: tuple[bytes, ...] = ()

    @property
    def key_id(self) -> str:
        return key_id(self._present)

    def seal(self, manifest: Manifest | None, *, bound_to: str, with_key: str | None = None) -> bytes | None:
        """`with_key` is the id of a key that the other side of the entry was sealed with, None for the present one."""
        if manifest is None:
            return None
        key = self._present if with_key is None else self._named(with_key)
        nonce = os.urandom(_NONCE)
        plain = json.dumps(manifest, separators=(",", ":")).encode()
        return nonce + AESGCM(key).encrypt(nonce, plain, bound_to.encode())

    def unseal(self, sealed: bytes | None, *, bound_to: str, key_id: str) -> dict[str, Any] | None:
        """RollbackFailedError for an edited or foreign snapshot, or one of a key that is not known here."""
        if sealed is None:
            return None
        try:
            plain = AESGCM(self._named(key_id)).decrypt(sealed[:_NONCE], sealed[_NONCE:], bound_to.encode())
        except InvalidTag as error:
            raise RollbackFailedError(
                "The snapshot was altered or belongs elsewhere, so it is refused: nothing was put back. Put the "
                "objects back by hand or from a backup of the database."
            ) from error
        manifest: dict[str, Any] = json.loads(plain)
        return manifest

    @property
    def _present(self) -> bytes:
        if self.key is None:
            raise RollbackFailedError("This process was given no snapshot key.")
        return self.key

    def _named(self, wanted: str) -> bytes:
        for key in (self._present, *self.older):
            if key_id(key) == wanted:
                return key
        raise RollbackFailedError(
            "The snapshot was encrypted with another key than INCIDENT_RESOLVER_SNAPSHOT_KEY (or DATA/keys/snapshot); "
            "nothing was put back. Start the service with the former key, or run `incident-resolver encryption rotate "
            "--old-key-file FILE`, then ask for the rollback again."
        )


def key_id(key: bytes) -> str:
    return hashlib.sha256(b"ir-key-id" + key).hexdigest()[:16]


def binding(resolution_id: str, snapshot_id: str, *, seq: int, side: str) -> str:
    """What an encrypted side is bound to; moved anywhere else it does not open."""
    return f"ir-snapshot-v1|{resolution_id}|{snapshot_id}|{seq}|{side}"
