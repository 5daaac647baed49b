"""The part of the composition root that the small commands share with the service: database, tables, keys, pause."""

import uuid
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime

from bot.configured import approval_engine, load_policy_file, make_data_folder, snapshot_key
from bot.settings import Settings
from core.errors import InvalidInputError, UnavailableError
from core.intake import Intake
from storage import schema
from storage.api_keys import ApiKeys
from storage.database import AWAY, open_engine, translated
from storage.embedded import open_embedded
from storage.snapshots import Resealing
from storage.store import PostgresStorage, open_storage

TABLES = schema.HEAD
"""The version of the tables that this program needs."""


def utc_now() -> datetime:
    """The clock of the whole program."""
    return datetime.now(UTC)  # noqa: TID251  here is where the clock is passed in from


def new_id() -> str:
    return str(uuid.uuid4())


@asynccontextmanager
async def open_database(settings: Settings) -> AsyncIterator[str]:
    """The database's address, its server running: DATABASE_URL's, or the embedded one under DATA."""
    if settings.database_url is not None:
        yield settings.database_url
        return
    make_data_folder(settings.data)
    with open_embedded(settings.data) as url:
        yield url


@asynccontextmanager
async def _first_asked(settings: Settings) -> AsyncIterator[None]:
    """At a start nobody waits for a database that is away: the error says where to look."""
    try:
        async with translated():
            yield
    except UnavailableError as error:
        if str(error) != AWAY:
            raise
        where = "Is it up, and reachable from here as DATABASE_URL says (host, port, sslmode)?"
        where = where if settings.database_url else f"Its log is {settings.data}/postgresql/server.log."
        raise UnavailableError(f"{AWAY} {where}") from error


async def upgrade_tables(settings: Settings, url: str) -> None:
    """At start the tables are brought up to date, unless another login owns them: then their version is checked."""
    engine = open_engine(url)
    try:
        async with _first_asked(settings):
            if settings.database_url is None or settings.database_migration_url is None:
                await schema.upgrade(engine)
            elif not await schema.is_current(engine):
                raise InvalidInputError("The tables are not of this version; run: incident-resolver db upgrade")
    finally:
        await engine.dispose()


@dataclass(frozen=True, slots=True)
class Administration:
    """What the command line's small commands need: no cluster, no Slack, no snapshot."""

    intake: Intake
    keys: ApiKeys
    store: PostgresStorage


@asynccontextmanager
async def open_administration(settings: Settings) -> AsyncIterator[Administration]:
    async with AsyncExitStack() as using:
        url = await using.enter_async_context(open_database(settings))
        await upgrade_tables(settings, url)
        store = await using.enter_async_context(
            open_storage(url, snapshot_key=None, lease_seconds=settings.lease_seconds)
        )
        engine = approval_engine(settings, load_policy_file(settings))
        intake = Intake(store=store, engine=engine, rollback=None, clock=utc_now, new_id=new_id)
        yield Administration(intake, ApiKeys(store.engine), store)


@asynccontextmanager
async def open_resealing(settings: Settings) -> AsyncIterator[Resealing]:
    key = snapshot_key(settings)
    async with open_database(settings) as url:
        await upgrade_tables(settings, url)
        engine = open_engine(url)
        try:
            yield Resealing(engine, key)
        finally:
            await engine.dispose()


async def tables_version(settings: Settings, *, may_upgrade: bool) -> str | None:
    """The tables' version before; with `may_upgrade` they come up to TABLES. InvalidInputError for a later one."""
    if may_upgrade and settings.database_migration_url is not None:
        settings = settings.model_copy(update={"database_url": settings.database_migration_url})
    async with open_database(settings) as url:
        engine = open_engine(url)
        try:
            async with _first_asked(settings):
                found = await schema.current(engine)
                if not await schema.is_current(engine) and may_upgrade:
                    await schema.upgrade(engine)
        finally:
            await engine.dispose()
    return found
