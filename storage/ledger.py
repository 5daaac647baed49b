"""Tokens and money: reserved before a model call under the resolution's lock, settled after it."""

from dataclasses import dataclass
from decimal import Decimal

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from core.errors import BudgetExceededError
from core.ports import Limits, Reservation
from core.resolution import ResolutionId
from core.usage import Usage
from storage.database import connected

_DAY_LOCK = 7_214_020
SINCE_MIDNIGHT = "at >= date_trunc('day', now() AT TIME ZONE 'UTC') AT TIME ZONE 'UTC'"
"""What was set aside and never settled counts whole: the call may have been made and paid for."""


@dataclass(frozen=True, slots=True)
class PostgresLedger:
    """Implements core.ports.Ledger."""

    engine: AsyncEngine

    async def reserve(
        self, resolution_id: ResolutionId, *, agent: str, tokens: int, cost_usd: Decimal, limits: Limits
    ) -> Reservation:
        async with connected(self.engine) as connection:
            await connection.execute(
                text("SELECT 1 FROM resolution WHERE id = CAST(:id AS uuid) FOR UPDATE"), {"id": resolution_id}
            )
            await connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _DAY_LOCK})
            used = (
                await connection.execute(
                    text(
                        "SELECT coalesce(sum(tokens), 0) AS incident,"
                        " coalesce(sum(tokens) FILTER (WHERE agent = :agent), 0) AS agent"
                        " FROM reservation WHERE resolution_id = CAST(:id AS uuid)"
                    ),
                    {"id": resolution_id, "agent": agent},
                )
            ).one()
            spent = Decimal(await connection.scalar(text(_TODAY)) or 0)
            _require("incident", int(used.incident), tokens, limits.incident_tokens - limits.reserve_tokens)
            _require("agent", int(used.agent), tokens, limits.agent_tokens - limits.reserve_tokens)
            if spent + cost_usd > limits.day_usd:
                raise BudgetExceededError(f"{spent:.2f} of {limits.day_usd} USD of today are spent.")
            number = await connection.scalar(
                text(
                    "INSERT INTO reservation (resolution_id, agent, tokens, cost_usd, at)"
                    " VALUES (CAST(:id AS uuid), :agent, :tokens, :cost, clock_timestamp()) RETURNING id"
                ),
                {"id": resolution_id, "agent": agent, "tokens": tokens, "cost": cost_usd},
            )
        return Reservation(int(number or 0), tokens)

    async def settle(self, reservation: Reservation, *, tokens: int, cost_usd: Decimal) -> Usage:
        async with connected(self.engine) as connection:
            owner = await connection.scalar(
                text(
                    "UPDATE reservation SET tokens = :tokens, cost_usd = :cost, is_settled = true WHERE id = :id"
                    " RETURNING resolution_id::text"
                ),
                {"id": reservation.id, "tokens": tokens, "cost": cost_usd},
            )
        return await self.usage(ResolutionId(str(owner)))

    async def usage(self, resolution_id: ResolutionId) -> Usage:
        async with connected(self.engine) as connection:
            row = (await connection.execute(text(USAGE), {"id": resolution_id})).one()
        return Usage(int(row.tokens), Decimal(row.cost), int(row.token_limit or 100_000))

    async def spent_today_usd(self) -> Decimal:
        async with connected(self.engine) as connection:
            return Decimal(await connection.scalar(text(_TODAY)) or 0)

    async def warn_once(self, resolution_id: ResolutionId) -> bool:
        async with connected(self.engine) as connection:
            first = await connection.scalar(
                text(
                    "UPDATE resolution SET is_budget_warned = true"
                    " WHERE id = CAST(:id AS uuid) AND NOT is_budget_warned RETURNING 1"
                ),
                {"id": resolution_id},
            )
        return first is not None


USAGE = """
SELECT coalesce(sum(v.tokens) FILTER (WHERE v.is_settled), 0) AS tokens,
       coalesce(sum(v.cost_usd) FILTER (WHERE v.is_settled), 0) AS cost,
       (SELECT (request ->> 'token_limit')::bigint FROM resolution WHERE id = CAST(:id AS uuid)) AS token_limit
FROM reservation v WHERE v.resolution_id = CAST(:id AS uuid)
"""
_TODAY = f"SELECT coalesce(sum(cost_usd), 0) FROM reservation WHERE {SINCE_MIDNIGHT}"


def _require(what: str, used: int, wanted: int, limit: int) -> None:
    if used + wanted > limit:
        raise BudgetExceededError(
            f"The {what}'s tokens are spent: {used} of {limit} used, {wanted} more are needed for the next call."
        )
