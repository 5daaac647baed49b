"""A real PostgreSQL for the tests: one server without fsync, one template, one fresh database a test."""

import asyncio
import itertools
import shutil
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import asyncpg
import pytest
from sqlalchemy.engine import make_url

from storage import schema
from storage.database import open_engine
from storage.embedded import open_embedded
from storage.heartbeat import connection_arguments
from storage.store import PostgresStorage, open_storage

SNAPSHOT_KEY = bytes(range(32))
_numbers = itertools.count(1)


@pytest.fixture(scope="session")
def template_url() -> Iterator[str]:
    """A migrated database that others are copied from; nobody connects to it."""
    folder = Path(tempfile.mkdtemp(prefix="ir-test-"))
    with open_embedded(folder, is_durable=False) as url:
        asyncio.run(_sql(url, "CREATE DATABASE template_migrated"))
        template = database_named(url, "template_migrated")
        asyncio.run(_migrate(template))
        yield template
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def database_url(template_url: str) -> str:
    name = f"test_{next(_numbers)}"
    asyncio.run(
        _sql(
            database_named(template_url, "postgres"),
            f"CREATE DATABASE {name} TEMPLATE template_migrated STRATEGY file_copy",
        )
    )
    return database_named(template_url, name)


@pytest.fixture
async def store(database_url: str) -> AsyncIterator[PostgresStorage]:
    async with open_storage(database_url, snapshot_key=SNAPSHOT_KEY, lease_seconds=30) as opened:
        yield opened


def database_named(url: str, name: str) -> str:
    return make_url(url).set(database=name).render_as_string(hide_password=False)


async def _sql(url: str, statement: str) -> None:
    connection = await asyncpg.connect(**connection_arguments(url))
    try:
        await connection.execute(statement)
    finally:
        await connection.close()


async def _migrate(url: str) -> None:
    engine = open_engine(url)
    await schema.upgrade(engine)
    await engine.dispose()
