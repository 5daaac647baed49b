"""Snapshots over time: sealed anew with another key, and swept away when their time is over."""

import asyncio
from dataclasses import dataclass

import structlog
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from core.errors import UnavailableError
from storage.database import connected
from storage.sealing import Sealer, binding

log = structlog.get_logger()
SWEEP_SECONDS = 3600.0


async def reseal(engine: AsyncEngine, sealer: Sealer) -> int:
    """Seals every side that an older key of `sealer` sealed with its present one, entry by entry; says how many.

    RollbackFailedError where one was altered or its key is not known; what was done until then stays done.
    """
    count = 0
    while await _reseal_one(engine, sealer):
        count += 1
    return count


async def _reseal_one(engine: AsyncEngine, sealer: Sealer) -> bool:
    """Locks the entry: an undo that reads it waits."""
    async with connected(engine) as connection:
        found = await connection.execute(
            text(
                "SELECT e.snapshot_id::text AS snapshot_id, s.resolution_id::text AS owner, e.seq, e.key_id, e.before,"
                " e.after FROM snapshot_entry e JOIN snapshot s ON s.id = e.snapshot_id WHERE e.key_id <> :key_id"
                " ORDER BY e.snapshot_id, e.seq LIMIT 1 FOR UPDATE OF e"
            ),
            {"key_id": sealer.key_id},
        )
        row = found.one_or_none()
        if row is None:
            return False
        sides = {}
        for side, sealed in (("before", row.before), ("after", row.after)):
            bound_to = binding(row.owner, row.snapshot_id, seq=row.seq, side=side)
            manifest = sealer.unseal(sealed, bound_to=bound_to, key_id=row.key_id)
            sides[side] = sealer.seal(manifest, bound_to=bound_to)
        await connection.execute(
            text(
                "UPDATE snapshot_entry SET before = :before, after = :after, key_id = :key_id"
                " WHERE snapshot_id = CAST(:id AS uuid) AND seq = :seq"
            ),
            {**sides, "key_id": sealer.key_id, "id": row.snapshot_id, "seq": row.seq},
        )
        return True


async def sweep(engine: AsyncEngine, *, days: int) -> int:
    """Deletes the snapshots of resolutions that ended more than `days` ago; says how many. Their history stays."""
    async with connected(engine) as connection:
        found = await connection.execute(
            text(
                "UPDATE resolution r SET snapshot_id = NULL FROM snapshot s WHERE s.resolution_id = r.id"
                " AND r.state NOT IN ('gathering', 'awaiting_approval', 'approved', 'executing', 'verifying',"
                " 'rolling_back') AND r.updated_at < now() - make_interval(days => :days) RETURNING s.id"
            ),
            {"days": days},
        )
        ids = list(found.scalars())
        for table, column in (("snapshot_entry", "snapshot_id"), ("snapshot", "id")):
            await connection.execute(text(f"DELETE FROM {table} WHERE {column} = ANY(:ids)"), {"ids": ids})
        return len(ids)


@dataclass(frozen=True, slots=True)
class Resealing:
    """Renews what snapshots are sealed with; `key` is the present one."""

    engine: AsyncEngine
    key: bytes

    async def from_key(self, old: bytes) -> int:
        return await reseal(self.engine, Sealer(self.key, older=(old,)))


@dataclass(frozen=True, slots=True)
class Sweeper:
    """Sweeps at the start and each hour; several replicas may do so at once."""

    engine: AsyncEngine
    days: int

    async def run(self) -> None:
        while True:
            try:
                if count := await sweep(self.engine, days=self.days):
                    log.info("snapshots_swept", count=count, days=self.days)
            except UnavailableError as error:
                log.warning("sweep_failed", error=str(error))
            await asyncio.sleep(SWEEP_SECONDS)
