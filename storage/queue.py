"""The lease queue: a resolution's row is its state, its timer and its lock."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from core.resolution import Person, Resolution, ResolutionId
from storage.codec import read
from storage.database import connected
from storage.rows import RESOLUTION, resolution_of

_CLAIM = text(f"""
UPDATE resolution r SET lease_owner = :owner, lease_until = now() + make_interval(secs => CAST(:lease AS float8)),
       epoch = r.epoch + 1
WHERE r.id IN (
    SELECT id FROM resolution WHERE wake_at <= now() AND (lease_until IS NULL OR lease_until < now())
    ORDER BY wake_at LIMIT :limit FOR NO KEY UPDATE SKIP LOCKED)
RETURNING {RESOLUTION}
""")
_MINE = "WHERE id = CAST(:id AS uuid) AND epoch = :epoch"


@dataclass(frozen=True, slots=True)
class LeaseQueue:
    """Claims, releases and postpones. Leases last `lease_seconds` by the database's clock."""

    engine: AsyncEngine
    lease_seconds: float

    async def claim(self, owner: str, *, limit: int) -> Sequence[Resolution]:
        async with connected(self.engine) as connection:
            values = {"owner": owner, "lease": self.lease_seconds, "limit": limit}
            return [resolution_of(row) for row in await connection.execute(_CLAIM, values)]

    async def release(self, resolution: Resolution) -> None:
        sql = f"UPDATE resolution SET lease_owner = NULL, lease_until = NULL {_MINE}"
        async with connected(self.engine) as connection:
            await connection.execute(text(sql), {"id": resolution.id, "epoch": resolution.epoch})

    async def retry_later(self, resolution: Resolution, *, seconds: float) -> None:
        sql = (
            "UPDATE resolution SET attempts = attempts + 1, lease_owner = NULL, lease_until = NULL,"
            f" wake_at = now() + make_interval(secs => CAST(:seconds AS float8)) {_MINE}"
        )
        async with connected(self.engine) as connection:
            values = {"id": resolution.id, "epoch": resolution.epoch, "seconds": seconds}
            await connection.execute(text(sql), values)

    async def is_held(self, resolution: Resolution) -> bool:
        sql = f"SELECT 1 FROM resolution {_MINE} AND state = :state AND lease_until > now()"
        async with connected(self.engine) as connection:
            values = {"id": resolution.id, "epoch": resolution.epoch, "state": resolution.state.value}
            return await connection.scalar(text(sql), values) is not None

    async def stop_asked(self, resolution_id: ResolutionId) -> tuple[Person, str] | None:
        sql = (
            "SELECT interrupt_by::text AS by, interrupt_reason FROM resolution"
            " WHERE id = CAST(:id AS uuid) AND interrupt_by IS NOT NULL"
        )
        async with connected(self.engine) as connection:
            row = (await connection.execute(text(sql), {"id": resolution_id})).one_or_none()
        return None if row is None else (read(Person, row.by), row.interrupt_reason or "")
