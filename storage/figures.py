"""What an operator alerts on, counted from the rows: one look, within a time limit."""

import asyncio
from dataclasses import dataclass

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from core.errors import UnavailableError
from storage.database import connected
from storage.ledger import SINCE_MIDNIGHT

LOOK_SECONDS = 2.0
_ONE_ROW = text(
    "SELECT (SELECT count(*) FROM approval WHERE state = 'pending') AS questions_open,"
    " (SELECT coalesce(extract(epoch FROM now() - min(asked_at)), 0) FROM approval WHERE state = 'pending')"
    "   AS question_oldest_seconds,"
    " (SELECT count(*) FROM resolution WHERE state = 'executing') AS executions,"
    " (SELECT count(*) FROM resolution WHERE lease_until < now()) AS leases_overdue,"
    f" (SELECT coalesce(sum(tokens), 0) FROM reservation WHERE {SINCE_MIDNIGHT}) AS tokens_today,"
    f" (SELECT coalesce(sum(cost_usd), 0) FROM reservation WHERE {SINCE_MIDNIGHT}) AS cost_usd_today"
)


@dataclass(frozen=True, slots=True)
class Figures:
    """Implements what /metrics asks for."""

    engine: AsyncEngine

    async def by_word(self) -> dict[str, dict[str, float]]:
        """Counts by word: `state` of resolutions, `verdict` of command lines, and single figures under "".

        UnavailableError when the database does not answer in time.
        """
        try:
            async with asyncio.timeout(LOOK_SECONDS), connected(self.engine) as connection:
                states = await connection.execute(text("SELECT state, count(*) FROM resolution GROUP BY state"))
                verdicts = await connection.execute(text("SELECT verdict, count(*) FROM command GROUP BY verdict"))
                row = (await connection.execute(_ONE_ROW)).one()
                return {
                    "state": {word: float(count) for word, count in states},
                    "verdict": {word: float(count) for word, count in verdicts},
                    "": {name: float(value) for name, value in row._mapping.items()},  # noqa: SLF001  a row's public name
                }
        except TimeoutError as error:
            raise UnavailableError(f"The database did not answer in {LOOK_SECONDS:g} s.") from error
