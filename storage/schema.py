"""Brings the tables up to this version: Alembic, under an advisory lock, in one transaction."""

from pathlib import Path

from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine

from core.errors import InvalidInputError

KNOWN = ("0001",)
"""The versions of the tables that there have been, oldest first."""
HEAD = KNOWN[-1]
_LOCK = 7_214_018


async def upgrade(engine: AsyncEngine, *, to: str = "head") -> None:
    """Several processes may start at once: one migrates, the others wait and find it done."""
    if to == "head" and await is_current(engine):
        return
    async with engine.begin() as connection:
        await connection.execute(text("SET LOCAL lock_timeout = '25s'"))
        await connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _LOCK})
        await connection.execute(text("SET LOCAL lock_timeout TO DEFAULT"))
        await connection.run_sync(_migrate, to)


async def is_current(engine: AsyncEngine) -> bool:
    """False where an upgrade is due. InvalidInputError where the tables are of a version that came after this one."""
    found = await current(engine)
    if found is not None and found not in KNOWN:
        raise InvalidInputError(
            f"The tables are at version {found}, which this program does not know (it has {HEAD}): it is older than "
            "they are. Run the newer version of incident-resolver."
        )
    return found == HEAD


async def current(engine: AsyncEngine) -> str | None:
    """The version the tables have, None where there are none."""
    try:
        async with engine.connect() as connection:
            found = await connection.scalar(text("SELECT to_regclass('alembic_version') IS NOT NULL"))
            return await connection.scalar(text("SELECT version_num FROM alembic_version")) if found else None
    except DBAPIError as error:
        if getattr(error.orig, "sqlstate", None) == "42P01":
            return None
        raise


def _migrate(connection: Connection, to: str) -> None:
    from alembic import command  # noqa: PLC0415  costs 0.3 s, and most starts need no migration
    from alembic.config import Config  # noqa: PLC0415

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    config.attributes["connection"] = connection
    if to == "base":
        command.downgrade(config, "base")
    else:
        command.upgrade(config, to)
