"""API keys of REST callers: stored as hashes, shown once."""

import hashlib
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from core.actor import Right
from core.errors import InvalidInputError, NotFoundError
from storage.database import connected


@dataclass(frozen=True, slots=True)
class ApiKey:
    """A key by its name; the key itself is known to its holder only."""

    name: str
    rights: frozenset[Right]
    created_at: datetime
    revoked_at: datetime | None


@dataclass(frozen=True, slots=True)
class ApiKeys:
    """The keys in the database. A key has 32 random bytes, so a plain SHA-256 is hash enough."""

    engine: AsyncEngine

    async def create(self, name: str, rights: frozenset[Right]) -> str:
        """The new key, told this once. It may follow a revoked one of its name, since a person keeps theirs.

        InvalidInputError where there is a valid one.
        """
        key = f"ir_{secrets.token_urlsafe(32)}"
        async with connected(self.engine) as connection:
            made = await connection.scalar(
                text(
                    "INSERT INTO api_key (name, hash, rights) VALUES (:name, :hash, :rights)"
                    " ON CONFLICT (name) DO UPDATE SET hash = excluded.hash, rights = excluded.rights,"
                    " created_at = now(), revoked_at = NULL WHERE api_key.revoked_at IS NOT NULL RETURNING 1"
                ),
                {"name": name, "hash": _hash(key), "rights": sorted(right.value for right in rights)},
            )
        if made is None:
            raise InvalidInputError(f"There is a key named {name!r} already; revoke it first, or choose another name.")
        return key

    async def find(self, key: str) -> tuple[str, frozenset[Right]] | None:
        async with connected(self.engine) as connection:
            found = await connection.execute(
                text("SELECT name, rights FROM api_key WHERE hash = :hash AND revoked_at IS NULL"), {"hash": _hash(key)}
            )
            row = found.one_or_none()
        return None if row is None else (row.name, frozenset(Right(one) for one in row.rights))

    async def all(self) -> Sequence[ApiKey]:
        async with connected(self.engine) as connection:
            rows = await connection.execute(
                text("SELECT name, rights, created_at, revoked_at FROM api_key ORDER BY name")
            )
            return [
                ApiKey(row.name, frozenset(Right(one) for one in row.rights), row.created_at, row.revoked_at)
                for row in rows
            ]

    async def revoke(self, name: str) -> None:
        async with connected(self.engine) as connection:
            done = await connection.scalar(
                text("UPDATE api_key SET revoked_at = now() WHERE name = :name AND revoked_at IS NULL RETURNING 1"),
                {"name": name},
            )
        if done is None:
            raise NotFoundError(f"There is no key named {name!r} that could be revoked.")


def _hash(key: str) -> bytes:
    return hashlib.sha256(key.encode("utf-8", "replace")).digest()
