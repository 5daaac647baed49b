"""One transaction: facts, moves and their history entries commit together or not at all."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from core.approval import Approval, ApprovalState
from core.assessment import RiskAssessment
from core.errors import UnavailableError, UnprocessableError
from core.execution import Outcome
from core.findings import IncidentContext
from core.history import Entry, Happened
from core.overview import Pause
from core.permit import Permit
from core.resolution import ApprovalId, Person, Resolution, ResolutionId, State, may_move
from core.snapshot import UndoReport
from storage import history
from storage.codec import from_json, plain, to_json
from storage.database import CHANNEL, STOP
from storage.rows import APPROVAL, RESOLUTION, approval_of, resolution_of

_AGENTS_LOCK = 7_214_019
_WRITING = frozenset({State.EXECUTING, State.VERIFYING, State.ROLLING_BACK})
_REDRAW = "UPDATE card SET sent_seq = 0, nudges = nudges + 1 FROM resolution r WHERE r.id = card.resolution_id"
_NEVER_WAKES = frozenset({State.REJECTED, State.EXPIRED, State.CANCELLED, State.ROLLED_BACK})


@dataclass(slots=True)
class PostgresTransaction:
    """Implements core.ports.Transaction on one connection. `finish` appends what happened, as the last statement."""

    connection: AsyncConnection
    _entries: list[Entry] = field(default_factory=list)

    async def finish(self) -> None:
        if not self._entries:
            return
        await history.append(self.connection, self._entries)
        for one in {entry.resolution_id or "" for entry in self._entries}:
            await self._run("SELECT pg_notify(:channel, :id)", channel=CHANNEL, id=one)

    async def _run(self, sql: str, **values: object) -> Any:  # noqa: ANN401  a cursor result
        return await self.connection.execute(text(sql), values)

    async def add_resolution(
        self, resolution: Resolution, *, dedupe_key: str | None, thread: tuple[str, str] | None = None
    ) -> Resolution:
        channel, ts = thread or (None, None)
        added = await self._run(
            """
            INSERT INTO resolution (id, state, request, requested_by, created_at, updated_at, wake_at, auto_rollback,
                                    dedupe_key, thread_channel, thread_ts)
            VALUES (CAST(:id AS uuid), :state, CAST(:request AS jsonb), CAST(:by AS jsonb), now(), now(), now(),
                    :auto, :key, :channel, :ts)
            ON CONFLICT DO NOTHING RETURNING id
            """,
            id=resolution.id,
            state=resolution.state.value,
            request=to_json(resolution.request),
            by=to_json(resolution.requested_by),
            auto=resolution.auto_rollback,
            key=dedupe_key,
            channel=channel,
            ts=ts,
        )
        if added.one_or_none() is not None:
            return resolution
        found = await self._run(
            f"SELECT {RESOLUTION} FROM resolution r WHERE dedupe_key = :key AND state = ANY(:open)"
            " ORDER BY created_at DESC LIMIT 1",
            key=dedupe_key,
            open=[state.value for state in State if state not in _ENDED],
        )
        row = found.one_or_none()
        if row is None:
            raise UnavailableError("The open resolution with this key ended just now; ask again.")
        return resolution_of(row)

    async def resolution(self, resolution_id: ResolutionId) -> Resolution | None:
        found = await self._run(
            f"SELECT {RESOLUTION} FROM resolution r WHERE r.id = CAST(:id AS uuid) FOR UPDATE", id=resolution_id
        )
        row = found.one_or_none()
        return None if row is None else resolution_of(row)

    async def approval(self, approval_id: ApprovalId) -> Approval | None:
        found = await self._run(
            f"SELECT {APPROVAL} FROM approval a WHERE a.id = CAST(:id AS uuid) FOR UPDATE", id=approval_id
        )
        row = found.one_or_none()
        return None if row is None else approval_of(row)

    async def now(self) -> datetime:
        now: datetime | None = await self.connection.scalar(text("SELECT clock_timestamp()"))
        if now is None:
            raise ValueError("The database has no time.")
        return now

    async def move(
        self,
        resolution: Resolution,
        *,
        to: State,
        because: Entry,
        wake_in_seconds: float | None = None,
        summary: str | None = None,
    ) -> bool:
        if not may_move(resolution.state, to):
            raise ValueError(f"{resolution.state.value} → {to.value} is not an allowed move.")
        moved = await self._run(
            """
            UPDATE resolution SET state = :to, attempts = 0, summary = coalesce(:summary, summary),
                   waiting_for = NULL, updated_at = now(),
                   wake_at = CASE WHEN :wakes THEN now() + make_interval(secs => CAST(:wake AS float8)) END
            WHERE id = CAST(:id AS uuid) AND state = :origin AND epoch = :epoch RETURNING id
            """,
            id=resolution.id,
            origin=resolution.state.value,
            to=to.value,
            epoch=resolution.epoch,
            wakes=wake_in_seconds is not None and to not in _NEVER_WAKES,
            wake=wake_in_seconds or 0.0,
            summary=plain(summary),
        )
        if moved.one_or_none() is None:
            return False
        if to is State.CANCELLED:
            await self._tell_stop(resolution.id)
        self._entries.append(because)
        return True

    async def append(self, entry: Entry) -> None:
        self._entries.append(entry)

    async def save_context(self, resolution_id: ResolutionId, context: IncidentContext) -> None:
        await self._set(resolution_id, "context", to_json(context))

    async def save_assessment(self, resolution_id: ResolutionId, assessment: RiskAssessment) -> None:
        """Its card is drawn again where this changes it: an entry of history may come much later."""
        changed = await self._run(
            "UPDATE resolution SET assessment = CAST(:value AS jsonb)"
            " WHERE id = CAST(:id AS uuid) AND assessment IS DISTINCT FROM CAST(:value AS jsonb) RETURNING 1",
            id=resolution_id,
            value=to_json(assessment),
        )
        if changed.scalar() is not None:
            await self._run(f"{_REDRAW} AND r.id = CAST(:id AS uuid)", id=resolution_id)

    async def save_outcome(self, outcome: Outcome, *, transcript: str) -> None:
        await self._set(outcome.resolution_id, "outcome", to_json(outcome, Outcome))
        await self._run(
            "UPDATE resolution SET transcript = :transcript WHERE id = CAST(:id AS uuid)",
            id=outcome.resolution_id,
            transcript=plain(transcript),
        )

    async def save_undo(self, resolution_id: ResolutionId, report: UndoReport) -> None:
        await self._set(resolution_id, "undo", to_json(report))

    async def _set(self, resolution_id: str, column: str, value: str | None) -> None:
        """`column` is one of ours, never foreign text."""
        await self._run(
            f"UPDATE resolution SET {column} = CAST(:value AS jsonb) WHERE id = CAST(:id AS uuid)",
            id=resolution_id,
            value=value,
        )

    async def add_approval(self, approval: Approval) -> None:
        await self._insert_approval(approval)
        await self._run(
            "UPDATE resolution SET approval_id = CAST(:approval AS uuid) WHERE id = CAST(:id AS uuid)",
            approval=approval.id,
            id=approval.resolution_id,
        )

    async def _insert_approval(self, approval: Approval) -> None:
        await self._run(
            """
            INSERT INTO approval (id, resolution_id, subject, state, permit, digest, asked_at, deadline,
                                  decided_by, decided_at, reason)
            VALUES (CAST(:id AS uuid), CAST(:resolution_id AS uuid), :subject, :state, CAST(:permit AS jsonb), :digest,
                    :asked_at, :deadline, CAST(:decided_by AS jsonb), :decided_at, :reason)
            """,
            id=approval.id,
            resolution_id=approval.resolution_id,
            subject=approval.subject.value,
            state=approval.state.value,
            permit=to_json(approval.permit),
            digest=approval.permit.digest,
            asked_at=approval.asked_at,
            deadline=approval.deadline,
            decided_by=to_json(approval.decided_by),
            decided_at=approval.decided_at,
            reason=approval.reason,
        )

    async def add_question(self, resolution: Resolution, approval: Approval) -> bool:
        held = await self._run(
            """
            UPDATE resolution SET waiting_for = 'approval'
            WHERE id = CAST(:id AS uuid) AND epoch = :epoch AND lease_until > now() AND interrupt_by IS NULL
              AND state = 'executing' RETURNING id
            """,
            id=resolution.id,
            epoch=resolution.epoch,
        )
        if held.one_or_none() is None:
            return False
        await self._insert_approval(approval)
        return True

    async def end_approval(
        self, approval_id: ApprovalId, *, state: ApprovalState, by: Person | None, reason: str | None
    ) -> None:
        await self._run(
            """
            UPDATE approval SET state = :state, decided_by = CAST(:by AS jsonb), decided_at = clock_timestamp(),
                   reason = :reason
            WHERE id = CAST(:id AS uuid) AND state = 'pending'
            """,
            id=approval_id,
            state=state.value,
            by=to_json(by),
            reason=plain(reason),
        )
        await self._run(
            "UPDATE resolution r SET waiting_for = NULL FROM approval a"
            " WHERE a.id = CAST(:id AS uuid) AND a.subject = 'command' AND r.id = a.resolution_id",
            id=approval_id,
        )

    async def revise_approval(self, approval_id: ApprovalId, *, permit: Permit, deadline: datetime) -> None:
        await self._run(
            """
            UPDATE approval SET permit = CAST(:permit AS jsonb), digest = :digest, asked_at = clock_timestamp(),
                   deadline = :deadline
            WHERE id = CAST(:id AS uuid) AND state = 'pending'
            """,
            id=approval_id,
            permit=to_json(permit),
            digest=permit.digest,
            deadline=deadline,
        )

    async def ask_interrupt(self, resolution_id: ResolutionId, *, by: Person, reason: str) -> bool:
        asked = await self._run(
            """
            UPDATE resolution SET interrupt_by = CAST(:by AS jsonb), interrupt_reason = :reason
            WHERE id = CAST(:id AS uuid) AND interrupt_by IS NULL RETURNING id
            """,
            id=resolution_id,
            by=to_json(by),
            reason=plain(reason),
        )
        if asked.one_or_none() is None:
            return False
        await self._tell_stop(resolution_id)
        return True

    async def _tell_stop(self, resolution_id: ResolutionId) -> None:
        """Whoever works on it hears, at the commit, that it is to stop."""
        await self._run("SELECT pg_notify(:channel, :told)", channel=CHANNEL, told=f"{STOP} {resolution_id}")

    async def wait_for(self, resolution: Resolution, what: str | None, *, wake_in_seconds: float | None) -> None:
        await self._run(
            "UPDATE resolution SET waiting_for = :what, attempts = 0,"
            " wake_at = CASE WHEN :wakes THEN now() + make_interval(secs => CAST(:wake AS float8)) END"
            " WHERE id = CAST(:id AS uuid) AND state = :state",
            id=resolution.id,
            state=resolution.state.value,
            what=what,
            wakes=wake_in_seconds is not None,
            wake=wake_in_seconds or 0.0,
        )

    async def set_pause(self, pause: Pause | None) -> None:
        await self._run("UPDATE service SET pause = CAST(:pause AS jsonb) WHERE id = 1", pause=to_json(pause))
        await self._run(f"{_REDRAW} AND (r.wake_at IS NOT NULL OR r.updated_at > now() - interval '1 day')")

    async def pause(self) -> Pause | None:
        found = await self._run("SELECT pause::text AS pause FROM service WHERE id = 1 FOR SHARE")
        return from_json(Pause, found.scalar_one())

    async def agents_at_work(self, besides: ResolutionId) -> int:
        """Until somebody took it over, an agent counts, its lease renewed in time or not."""
        await self._hold_starts()
        found = await self._run(
            "SELECT count(*) FROM resolution WHERE id <> CAST(:id AS uuid) AND (state = 'executing'"
            " OR (state = 'gathering' AND lease_owner IS NOT NULL AND EXISTS (SELECT 1 FROM history h"
            "     WHERE h.resolution_id = resolution.id AND h.facts ->> 'what' = :planning)))",
            id=besides,
            planning=Happened.PLANNING_STARTED.value,
        )
        return int(found.scalar_one())

    async def _hold_starts(self) -> None:
        """Nobody else starts, or counts who is at work, until this transaction has ended."""
        await self._run("SELECT pg_advisory_xact_lock(:lock)", lock=_AGENTS_LOCK)

    async def permits_at_work(self, besides: ResolutionId) -> tuple[Permit, ...]:
        await self._hold_starts()
        found = await self._run(
            f"SELECT {APPROVAL} FROM approval a JOIN resolution r ON r.id = a.resolution_id"
            " WHERE r.state = ANY(:states) AND r.id <> CAST(:id AS uuid)"
            " AND (r.approval_id = a.id OR (a.subject = 'command' AND a.state = 'approved'))",
            states=[state.value for state in _WRITING],
            id=besides,
        )
        return tuple(approval_of(row).permit for row in found)

    async def postpone(self, resolution: Resolution, *, seconds: float) -> None:
        await self._run(
            "UPDATE resolution SET wake_at = now() + make_interval(secs => CAST(:seconds AS float8))"
            " WHERE id = CAST(:id AS uuid) AND epoch = :epoch",
            id=resolution.id,
            epoch=resolution.epoch,
            seconds=seconds,
        )

    async def answered_before(self, key: str, *, client: str, body_digest: str) -> str | None:
        """Locks the key only where there is no answer yet; many at once may wait longer than locks usually may."""
        row = await self._kept(key, client)
        if row is None:
            await self._run("SET LOCAL lock_timeout = '10s'")
            await self._run("SELECT pg_advisory_xact_lock(hashtextextended(:name, 0))", name=f"{client}\n{key}")
            await self._run("SET LOCAL lock_timeout TO DEFAULT")
            row = await self._kept(key, client)
        if row is None:
            return None
        if row.body_digest != body_digest:
            raise UnprocessableError("This Idempotency-Key was used for another request within the last 24 hours.")
        return str(row.answer)

    async def _kept(self, key: str, client: str) -> Any:  # noqa: ANN401  a row
        found = await self._run(
            "SELECT body_digest, answer FROM kept_answer"
            " WHERE client = :client AND key = :key AND at > now() - interval '24 hours'",
            client=client,
            key=key,
        )
        return found.one_or_none()

    async def keep_answer(self, key: str, *, client: str, body_digest: str, answer: str) -> None:
        await self._run(
            """
            INSERT INTO kept_answer (client, key, body_digest, answer) VALUES (:client, :key, :digest, :answer)
            ON CONFLICT (client, key) DO UPDATE
            SET body_digest = excluded.body_digest, answer = excluded.answer, at = now()
            """,
            client=client,
            key=key,
            digest=body_digest,
            answer=answer,
        )


_ENDED = frozenset(
    {
        State.REJECTED,
        State.EXPIRED,
        State.CANCELLED,
        State.COMPLETED,
        State.FAILED,
        State.INTERRUPTED,
        State.ROLLING_BACK,
        State.ROLLED_BACK,
        State.ROLLBACK_FAILED,
    }
)
