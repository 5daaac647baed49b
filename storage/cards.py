"""Slack cards: where each stands, and one leased sender per card."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from core.card_slots import CardSlot
from core.resolution import ResolutionId
from storage.database import connected

_LEASE_SECONDS = 30.0
_SECONDS = "make_interval(secs => CAST(:seconds AS float8))"


@dataclass(frozen=True, slots=True)
class PostgresCards:
    """Implements core.card_slots.CardStore. A card is due while its resolution has newer history than was sent."""

    engine: AsyncEngine

    async def claim_cards(self, owner: str, *, limit: int) -> Sequence[CardSlot]:  # noqa: ARG002  the epoch claims
        async with connected(self.engine) as connection:
            await connection.execute(
                text(
                    "INSERT INTO card (resolution_id, nonce, channel)"
                    " SELECT id, gen_random_uuid()::text, thread_channel FROM resolution r"
                    " WHERE NOT EXISTS (SELECT 1 FROM card WHERE resolution_id = r.id) ON CONFLICT DO NOTHING"
                )
            )
            rows = await connection.execute(
                text(f"""
                WITH due AS (
                    SELECT k.resolution_id, k.lease_until IS NOT NULL AS is_uncertain
                    FROM card k JOIN resolution o ON o.id = k.resolution_id
                    WHERE o.history_seq > k.sent_seq AND k.next_at <= now()
                      AND (k.ts IS NOT NULL OR o.state <> 'gathering' OR o.created_at < now() - interval '1 second')
                      AND (k.lease_until IS NULL OR k.lease_until < now())
                    ORDER BY (o.wake_at IS NULL), k.next_at LIMIT :limit FOR UPDATE OF k SKIP LOCKED)
                UPDATE card c SET epoch = c.epoch + 1, lease_until = now() + {_SECONDS}
                FROM due, resolution r WHERE r.id = c.resolution_id AND due.resolution_id = c.resolution_id
                RETURNING due.is_uncertain,
                          c.resolution_id::text AS id, c.epoch, c.nonce, c.channel, c.ts, c.sent_seq, c.thread_seq,
                          c.nudges, CASE WHEN c.channel = r.thread_channel THEN r.thread_ts END AS thread_ts
                """),
                {"limit": limit, "seconds": _LEASE_SECONDS},
            )
            return [
                CardSlot(
                    resolution_id=ResolutionId(row.id),
                    epoch=row.epoch,
                    nonce=row.nonce,
                    channel=row.channel,
                    ts=row.ts,
                    reply_to=row.thread_ts,
                    sent_seq=row.sent_seq,
                    thread_seq=row.thread_seq,
                    is_uncertain=row.is_uncertain,
                    nudges=row.nudges,
                )
                for row in rows
            ]

    async def card_sent(self, slot: CardSlot, *, next_in_seconds: float) -> bool:
        async with connected(self.engine) as connection:
            sent = await connection.scalar(
                text(
                    f"UPDATE card SET channel = :channel, ts = :ts, thread_seq = :thread,"
                    " sent_seq = CASE WHEN nudges = :nudges THEN :sent ELSE 0 END,"
                    f" lease_until = NULL, next_at = now() + {_SECONDS}"
                    " WHERE resolution_id = CAST(:id AS uuid) AND epoch = :epoch RETURNING 1"
                ),
                {
                    "id": slot.resolution_id,
                    "epoch": slot.epoch,
                    "channel": slot.channel,
                    "ts": slot.ts,
                    "sent": slot.sent_seq,
                    "nudges": slot.nudges,
                    "thread": slot.thread_seq,
                    "seconds": next_in_seconds,
                },
            )
            if sent is None:
                await connection.execute(
                    text("UPDATE card SET sent_seq = 0 WHERE resolution_id = CAST(:id AS uuid)"),
                    {"id": slot.resolution_id},
                )
            return sent is not None

    async def card_failed(self, slot: CardSlot, *, retry_in_seconds: float) -> None:
        """What was already posted stays recorded: channel, ts and thread_seq of the slot are kept.

        The lease runs out at once instead of being given back: the next sender sees that more may be posted.
        """
        async with connected(self.engine) as connection:
            await connection.execute(
                text(
                    f"UPDATE card SET channel = coalesce(:channel, channel), ts = coalesce(:ts, ts),"
                    f" thread_seq = greatest(thread_seq, :thread), lease_until = now(), next_at = now() + {_SECONDS}"
                    " WHERE resolution_id = CAST(:id AS uuid) AND epoch = :epoch"
                ),
                {
                    "id": slot.resolution_id,
                    "epoch": slot.epoch,
                    "channel": slot.channel,
                    "ts": slot.ts,
                    "thread": slot.thread_seq,
                    "seconds": retry_in_seconds,
                },
            )

    async def card_place(self, resolution_id: ResolutionId) -> tuple[str, str] | None:
        async with connected(self.engine) as connection:
            found = await connection.execute(
                text("SELECT channel, ts FROM card WHERE resolution_id = CAST(:id AS uuid) AND ts IS NOT NULL"),
                {"id": resolution_id},
            )
            row = found.one_or_none()
        return None if row is None else (row.channel, row.ts)

    async def resolution_at(self, channel: str, ts: str) -> ResolutionId | None:
        async with connected(self.engine) as connection:
            found = await connection.scalar(
                text(
                    "SELECT r.id::text FROM resolution r LEFT JOIN card c ON c.resolution_id = r.id"
                    " WHERE (c.channel = :channel AND c.ts = :ts)"
                    " OR (r.thread_channel = :channel AND r.thread_ts = :ts)"
                    " ORDER BY r.created_at DESC LIMIT 1"
                ),
                {"channel": channel, "ts": ts},
            )
        return None if found is None else ResolutionId(found)
