"""What an execution leaves behind: its commands and its snapshot, written only while the lease is held."""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from core.effects import Change
from core.errors import LeaseLostError, StaleError
from core.execution import CommandRecord
from core.history import Entry, Happened
from core.resolution import Resolution, SnapshotId
from core.resources import Resource
from core.snapshot import Snapshot, SnapshotEntry
from storage import history
from storage.codec import plain, read, to_json
from storage.database import CHANNEL, connected
from storage.sealing import Sealer, binding


@dataclass(frozen=True, slots=True)
class Executions:
    """Commands and snapshots of resolutions."""

    engine: AsyncEngine
    sealer: Sealer

    async def add_command(self, resolution: Resolution, record: CommandRecord) -> int:
        async with connected(self.engine) as connection:
            await _require_lease(connection, resolution, states=("executing", "gathering"))
            seq = await connection.scalar(
                text("SELECT coalesce(max(seq), 0) + 1 FROM command WHERE resolution_id = CAST(:id AS uuid)"),
                {"id": resolution.id},
            )
            await connection.execute(
                text(
                    "INSERT INTO command (resolution_id, seq, line, verdict, rule, reason, is_executed, asked_at)"
                    " VALUES (CAST(:id AS uuid), :seq, :line, :verdict, :rule, :reason, :is_executed, :asked_at)"
                ),
                {
                    "id": resolution.id,
                    "seq": seq,
                    "line": plain(record.line),
                    "verdict": record.verdict,
                    "rule": record.rule,
                    "reason": plain(record.reason),
                    "is_executed": record.is_executed,
                    "asked_at": record.asked_at,
                },
            )
            facts = {
                "seq": seq,
                "line": record.line,
                "verdict": record.verdict,
                "rule": record.rule,
                "reason": record.reason,
                "is_executed": record.is_executed,
            }
            await _tell(connection, Entry(Happened.COMMAND_JUDGED, resolution.id, None, facts))
            return int(seq or 1)

    async def end_command(
        self, resolution: Resolution, seq: int, *, exit_code: int | None, output: str, is_executed: bool
    ) -> None:
        async with connected(self.engine) as connection:
            line = await connection.scalar(
                text(
                    "UPDATE command SET ended_at = clock_timestamp(), exit_code = :exit_code, output = :output,"
                    " is_executed = :is_executed WHERE resolution_id = CAST(:id AS uuid) AND seq = :seq"
                    " AND ended_at IS NULL RETURNING line"
                ),
                {
                    "id": resolution.id,
                    "seq": seq,
                    "exit_code": exit_code,
                    "output": plain(output),
                    "is_executed": is_executed,
                },
            )
            if line is None:
                return  # its end was written already
            facts = {"seq": seq, "line": line, "exit_code": exit_code, "output": output[:4_000]}
            await _tell(connection, Entry(Happened.COMMAND_ENDED, resolution.id, None, facts))

    async def add_snapshot_entries(self, resolution: Resolution, entries: Sequence[SnapshotEntry]) -> SnapshotId:
        async with connected(self.engine) as connection:
            await _require_lease(connection, resolution, states=("executing",))
            await _require_sole_writer(connection, resolution, [entry.target for entry in entries])
            snapshot_id = await self._snapshot_id(connection, resolution)
            await connection.execute(
                text(
                    "INSERT INTO snapshot_entry"
                    " (snapshot_id, seq, target, change, state, is_after_read, key_id, before, after)"
                    " VALUES (CAST(:id AS uuid), :seq, CAST(:target AS jsonb), :change, :state, false, :key_id,"
                    "         :before, :after)"
                ),
                [
                    {
                        "id": snapshot_id,
                        "seq": entry.seq,
                        "target": to_json(entry.target),
                        "change": entry.change.value,
                        "state": entry.state,
                        "key_id": self.sealer.key_id,
                        **{
                            side: self.sealer.seal(
                                manifest, bound_to=binding(resolution.id, snapshot_id, seq=entry.seq, side=side)
                            )
                            for side, manifest in (("before", entry.before), ("after", entry.after))
                        },
                    }
                    for entry in entries
                ],
            )
            return SnapshotId(snapshot_id)

    async def _snapshot_id(self, connection: AsyncConnection, resolution: Resolution) -> str:
        """The resolution's one snapshot; made with its first entry. The lease check holds the row's lock."""
        found = await connection.scalar(
            text("SELECT id::text FROM snapshot WHERE resolution_id = CAST(:id AS uuid)"), {"id": resolution.id}
        )
        if found is not None:
            return str(found)
        made = str(uuid.uuid4())
        values = {"id": made, "resolution_id": resolution.id}
        await connection.execute(
            text("INSERT INTO snapshot VALUES (CAST(:id AS uuid), CAST(:resolution_id AS uuid), clock_timestamp())"),
            values,
        )
        await connection.execute(
            text("UPDATE resolution SET snapshot_id = CAST(:id AS uuid) WHERE id = CAST(:resolution_id AS uuid)"),
            values,
        )
        return made

    async def update_snapshot_entries(self, snapshot_id: SnapshotId, entries: Sequence[SnapshotEntry]) -> None:
        async with connected(self.engine) as connection:
            found = await connection.execute(
                text(
                    "SELECT s.resolution_id::text AS owner, e.seq, e.key_id FROM snapshot s JOIN snapshot_entry e"
                    " ON e.snapshot_id = s.id WHERE s.id = CAST(:id AS uuid) AND e.seq = ANY(:seqs)"
                    " ORDER BY e.seq FOR UPDATE OF e"
                ),
                {"id": snapshot_id, "seqs": [entry.seq for entry in entries]},
            )
            rows = {row.seq: row for row in found}
            values = []
            for entry in entries:
                row = rows[entry.seq]
                bound_to = binding(row.owner, snapshot_id, seq=entry.seq, side="after")
                sealed = self.sealer.seal(entry.after, bound_to=bound_to, with_key=row.key_id)
                read_after = {"after": sealed, "is_read": entry.is_after_read, "state": entry.state}
                values.append({"id": snapshot_id, "seq": entry.seq, **read_after})
            await connection.execute(
                text(
                    "UPDATE snapshot_entry SET after = :after, is_after_read = :is_read, state = :state"
                    " WHERE snapshot_id = CAST(:id AS uuid) AND seq = :seq"
                ),
                values,
            )

    async def snapshot(self, snapshot_id: SnapshotId) -> Snapshot | None:
        """RollbackFailedError when an entry was altered or its key is not known here."""
        async with connected(self.engine) as connection:
            values = {"id": snapshot_id}
            found = await connection.execute(
                text("SELECT resolution_id::text AS owner, taken_at FROM snapshot WHERE id = CAST(:id AS uuid)"), values
            )
            row = found.one_or_none()
            if row is None:
                return None
            rows = await connection.execute(
                text(
                    "SELECT seq, target::text AS target, change, state, is_after_read, key_id, before, after"
                    " FROM snapshot_entry WHERE snapshot_id = CAST(:id AS uuid) ORDER BY seq"
                ),
                values,
            )
            entries = tuple(self._entry(row.owner, snapshot_id, one) for one in rows)
        return Snapshot(snapshot_id, row.owner, row.taken_at, entries)

    def _entry(self, owner: str, snapshot_id: str, row) -> SnapshotEntry:  # type: ignore[no-untyped-def]  # noqa: ANN001  a row
        def side(name: str, sealed: bytes | None) -> dict[str, object] | None:
            bound_to = binding(owner, snapshot_id, seq=row.seq, side=name)
            return self.sealer.unseal(sealed, bound_to=bound_to, key_id=row.key_id)

        return SnapshotEntry(
            seq=row.seq,
            target=read(Resource, row.target),
            change=Change(row.change),
            before=side("before", row.before),
            after=side("after", row.after),
            is_after_read=row.is_after_read,
            state=row.state,
        )


async def _require_lease(connection: AsyncConnection, resolution: Resolution, *, states: tuple[str, ...]) -> None:
    """Locks the row: a lease that is lost, or that nobody renews any more, may write no fact of an execution.

    Planning reads while the resolution is gathering; only an execution takes snapshots.
    """
    held = await connection.scalar(
        text(
            "SELECT 1 FROM resolution WHERE id = CAST(:id AS uuid) AND epoch = :epoch AND lease_until > now()"
            " AND interrupt_by IS NULL AND state = ANY(:states) FOR UPDATE"
        ),
        {"id": resolution.id, "epoch": resolution.epoch, "states": list(states)},
    )
    if held is None:
        raise LeaseLostError("This run may change nothing any more: it was stopped, or another worker took it over.")


async def _require_sole_writer(
    connection: AsyncConnection, resolution: Resolution, targets: Sequence[Resource]
) -> None:
    """Locks the objects' names until the transaction ends: two resolutions at work never change one object.

    In one order for everybody, so that nobody waits for somebody who waits for them.
    """
    values = {"id": resolution.id, "names": sorted({_full_name(target) for target in targets})}
    await connection.execute(
        text(
            "SELECT pg_advisory_xact_lock(one) FROM (SELECT hashtextextended(name, 0) AS one"
            " FROM unnest(CAST(:names AS text[])) AS name ORDER BY 1) AS ordered"
        ),
        values,
    )
    row = (
        await connection.execute(
            text(
                "SELECT r.id::text AS id, e.target::text AS target FROM snapshot_entry e"
                " JOIN snapshot s ON s.id = e.snapshot_id JOIN resolution r ON r.id = s.resolution_id"
                " WHERE r.id <> CAST(:id AS uuid) AND r.state IN ('executing', 'verifying', 'rolling_back')"
                " AND concat_ws('/', e.target ->> 'kind', e.target ->> 'namespace', e.target ->> 'name')"
                "     = ANY(CAST(:names AS text[])) LIMIT 1"
            ),
            values,
        )
    ).one_or_none()
    if row is not None:
        target = read(Resource, row.target)
        raise StaleError(f"Resolution {row.id} is at work on {target}; only one changes an object at a time.")


def _full_name(target: Resource) -> str:
    return "/".join(part for part in (target.kind, target.namespace, target.name) if part is not None)


async def _tell(connection: AsyncConnection, entry: Entry) -> None:
    await history.append(connection, [entry])
    values = {"channel": CHANNEL, "id": entry.resolution_id}
    await connection.execute(text("SELECT pg_notify(:channel, :id)"), values)
