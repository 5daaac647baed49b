"""PostgresStorage: everything that is kept, behind the ports of core."""

import uuid
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from decimal import Decimal
from typing import Any

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from core.approval import Approval
from core.assessment import RiskAssessment
from core.execution import CommandRecord, Outcome
from core.findings import IncidentContext
from core.history import RecordedEntry
from core.overview import Overview, Pause
from core.ports import HistoryFilter
from core.resolution import ApprovalId, Request, ResolutionId
from core.resources import Resource
from core.snapshot import UndoReport
from core.usage import Usage
from storage import history as chain
from storage.codec import from_json
from storage.database import connected, open_engine, translated
from storage.executions import Executions
from storage.queue import LeaseQueue
from storage.rows import APPROVAL, RESOLUTION, approval_of, resolution_of
from storage.sealing import Sealer
from storage.transaction import PostgresTransaction

_OVERVIEW = f"""
SELECT {RESOLUTION}, r.history_seq, r.context::text AS context, r.assessment::text AS assessment,
       r.outcome::text AS outcome, r.undo::text AS undo, (r.request ->> 'token_limit')::bigint AS token_limit,
       (SELECT pause::text FROM service WHERE id = 1) AS pause,
       (SELECT count(*) FROM snapshot_entry e WHERE e.snapshot_id = r.snapshot_id) AS changes,
       (SELECT coalesce(sum(v.tokens), 0) FROM reservation v WHERE v.resolution_id = r.id AND v.is_settled) AS tokens,
       (SELECT coalesce(sum(v.cost_usd), 0) FROM reservation v WHERE v.resolution_id = r.id AND v.is_settled) AS cost
FROM resolution r
"""


class PostgresStorage:
    """Implements core.ports.Store; `open_storage` makes one."""

    def __init__(self, engine: AsyncEngine, *, snapshot_key: bytes | None, lease_seconds: float) -> None:
        self.engine = engine
        self.lease_seconds = lease_seconds
        queue = LeaseQueue(engine, lease_seconds)
        executions = Executions(engine, Sealer(snapshot_key))
        self.claim = queue.claim
        self.release = queue.release
        self.retry_later = queue.retry_later
        self.is_held = queue.is_held
        self.stop_asked = queue.stop_asked
        self.add_command = executions.add_command
        self.end_command = executions.end_command
        self.add_snapshot_entries = executions.add_snapshot_entries
        self.update_snapshot_entries = executions.update_snapshot_entries
        self.snapshot = executions.snapshot

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[PostgresTransaction]:
        async with connected(self.engine) as connection:
            tx = PostgresTransaction(connection)
            yield tx
            await tx.finish()

    async def overview(self, resolution_id: ResolutionId) -> Overview | None:
        found = await self._overviews("WHERE r.id = CAST(:id AS uuid)", {"id": resolution_id})
        return found[0] if found else None

    async def pending(self, client_id: str | None) -> Sequence[Overview]:
        where = (
            "WHERE (r.state = 'awaiting_approval' OR EXISTS (SELECT 1 FROM approval a WHERE a.resolution_id = r.id"
            " AND a.subject IN ('rollback', 'command') AND a.state = 'pending' AND a.deadline > now()))"
            " AND (CAST(:client AS text) IS NULL OR r.request ->> 'client_id' = :client)"
        )
        return await self._overviews(f"{where} ORDER BY r.created_at", {"client": client_id})

    async def history(self, wanted: HistoryFilter) -> Sequence[Overview]:
        where, values = _narrowed(wanted)
        return await self._overviews(f"{where} ORDER BY r.created_at DESC, r.id DESC LIMIT :limit", values)

    async def _overviews(self, where: str, values: dict[str, Any]) -> list[Overview]:
        async with connected(self.engine) as connection:
            rows = list(await connection.execute(text(f"{_OVERVIEW} {where}"), values))
            ids = [uuid.UUID(row.id) for row in rows]
            approvals = await _grouped(
                connection,
                f"SELECT {APPROVAL} FROM approval a WHERE a.resolution_id = ANY(:ids) ORDER BY a.number",
                ids,
            )
            commands = await _grouped(
                connection,
                "SELECT resolution_id::text AS resolution_id, seq, line, verdict, rule, reason, is_executed, asked_at,"
                " ended_at, exit_code, output FROM command WHERE resolution_id = ANY(:ids) ORDER BY seq",
                ids,
            )
        return [_overview(row, approvals.get(row.id, []), commands.get(row.id, [])) for row in rows]

    async def approval(self, approval_id: ApprovalId) -> Approval | None:
        async with connected(self.engine) as connection:
            sql = f"SELECT {APPROVAL} FROM approval a WHERE a.id = CAST(:id AS uuid)"
            row = (await connection.execute(text(sql), {"id": approval_id})).one_or_none()
        return None if row is None else approval_of(row)

    async def context(self, resolution_id: ResolutionId) -> IncidentContext | None:
        async with connected(self.engine) as connection:
            found = await connection.scalar(
                text("SELECT context::text FROM resolution WHERE id = CAST(:id AS uuid)"), {"id": resolution_id}
            )
        return from_json(IncidentContext, found)

    async def entries(self, resolution_id: ResolutionId, *, after_seq: int = 0) -> Sequence[RecordedEntry]:
        async with connected(self.engine) as connection:
            return await chain.entries_of(connection, resolution_id, after_seq=after_seq)

    async def pause(self) -> Pause | None:
        async with connected(self.engine) as connection:
            return from_json(Pause, await connection.scalar(text("SELECT pause::text FROM service WHERE id = 1")))

    async def failed_lately(self, request: Request, target: Resource | None) -> int:
        name = None if target is None else target.name
        async with connected(self.engine) as connection:
            count = await connection.scalar(
                text(
                    "SELECT count(*) FROM resolution r"
                    " WHERE r.state IN ('failed', 'rolled_back', 'rollback_failed')"
                    " AND r.created_at > now() - interval '7 days'"
                    " AND r.request ->> 'action_type' = :action AND r.request ->> 'namespace' = :namespace"
                    " AND r.outcome IS NOT NULL AND (CAST(:name AS text) IS NULL"
                    "  OR r.context -> 'affected' @> jsonb_build_array(jsonb_build_object('resource',"
                    "     jsonb_build_object('name', CAST(:name AS text)))))"
                ),
                {"action": request.action_type.value, "namespace": request.namespace, "name": name},
            )
        return int(count or 0)

    async def ping(self) -> None:
        """UnavailableError when the database does not answer."""
        async with connected(self.engine) as connection:
            await connection.execute(text("SELECT 1"))

    async def verify_history(self) -> chain.Verification:
        async with translated(), self.engine.connect() as connection:
            return await chain.verify(connection)


@asynccontextmanager
async def open_storage(
    url: str, *, snapshot_key: bytes | None, lease_seconds: float = 30.0
) -> AsyncIterator[PostgresStorage]:
    """A storage over a postgresql:// address whose tables are up to date; without a key no snapshot is opened."""
    engine = open_engine(url)
    try:
        yield PostgresStorage(engine, snapshot_key=snapshot_key, lease_seconds=lease_seconds)
    finally:
        await engine.dispose()


async def _grouped(connection: AsyncConnection, sql: str, ids: list[uuid.UUID]) -> dict[str, list[Any]]:
    groups: dict[str, list[Any]] = {}
    if ids:
        for row in await connection.execute(text(sql), {"ids": ids}):
            groups.setdefault(row.resolution_id, []).append(row)
    return groups


def _overview(row: Any, approvals: list[Any], commands: list[Any]) -> Overview:  # noqa: ANN401  a row
    context = from_json(IncidentContext, row.context) or IncidentContext()
    return Overview(
        resolution=resolution_of(row),
        usage=Usage(int(row.tokens), Decimal(row.cost), int(row.token_limit)),
        cluster_name=context.cluster_name,
        assessment=from_json(RiskAssessment, row.assessment),
        findings=context.findings,
        gaps=context.gaps,
        approvals=tuple(approval_of(one) for one in approvals),
        commands=tuple(_command(one) for one in commands),
        outcome=from_json(Outcome, row.outcome),
        undo=from_json(UndoReport, row.undo),
        changes=row.changes,
        pause=from_json(Pause, row.pause),
        history_seq=row.history_seq,
    )


def _command(row: Any) -> CommandRecord:  # noqa: ANN401  a row
    return CommandRecord(
        seq=row.seq,
        line=row.line,
        verdict=row.verdict,
        rule=row.rule,
        reason=row.reason,
        is_executed=row.is_executed,
        asked_at=row.asked_at,
        ended_at=row.ended_at,
        exit_code=row.exit_code,
        output=row.output,
    )


def _narrowed(wanted: HistoryFilter) -> tuple[str, dict[str, Any]]:
    """WHERE with only the conditions asked for."""
    asked: list[tuple[str, str, Any]] = [
        ("client_id", "r.request ->> 'client_id' = :client_id", wanted.client_id),
        ("status", "r.state = :status", wanted.status.value if wanted.status else None),
        ("action", "r.request ->> 'action_type' = :action", wanted.action_type.value if wanted.action_type else None),
        ("namespace", "r.request ->> 'namespace' = :namespace", wanted.namespace),
        ("since", "r.created_at >= :since", wanted.since),
        ("until", "r.created_at <= :until", wanted.until),
    ]
    conditions = [condition for _, condition, value in asked if value is not None]
    values = {name: value for name, _, value in asked if value is not None}
    if wanted.before is not None:
        conditions.append("(r.created_at, r.id) < (:before_at, CAST(:before_id AS uuid))")
        values |= {"before_at": wanted.before[0], "before_id": wanted.before[1]}
    where = f"WHERE {' AND '.join(conditions)}" if conditions else ""
    return where, values | {"limit": wanted.limit}
