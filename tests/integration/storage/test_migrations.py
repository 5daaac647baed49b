"""The tables are brought up, down and up again, by several at once, and by the command."""

import asyncio
import itertools
import os
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path

import asyncpg
import pytest
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from core.errors import InvalidInputError, UnavailableError
from storage import schema
from storage.database import connected, open_engine, translated
from storage.heartbeat import connection_arguments
from storage.schema import HEAD
from tests.postgres import database_named

ROOT = Path(__file__).parent.parent.parent.parent
_numbers = itertools.count(1)


@pytest.fixture
async def empty_url(template_url) -> str:
    name = f"empty_{next(_numbers)}"
    connection = await asyncpg.connect(**connection_arguments(database_named(template_url, "postgres")))
    try:
        await connection.execute(f"CREATE DATABASE {name}")
    finally:
        await connection.close()
    return database_named(template_url, name)


@pytest.fixture
async def engine(empty_url) -> AsyncIterator[AsyncEngine]:
    opened = open_engine(empty_url)
    yield opened
    await opened.dispose()


async def shape(engine: AsyncEngine) -> list[tuple[str, ...]]:
    """Every column, index, constraint and trigger of ours, in words."""
    parts = (
        """SELECT 'column', table_name::text, column_name::text,
                  data_type::text || is_nullable || coalesce(column_default, '')
           FROM information_schema.columns WHERE table_schema = 'public'""",
        "SELECT 'index', tablename::text, indexname::text, indexdef FROM pg_indexes WHERE schemaname = 'public'",
        """SELECT 'constraint', conrelid::regclass::text, conname::text, pg_get_constraintdef(oid)
           FROM pg_constraint WHERE connamespace = 'public'::regnamespace""",
        """SELECT 'trigger', tgrelid::regclass::text, tgname::text, tgenabled::text
           FROM pg_trigger WHERE NOT tgisinternal""",
        "SELECT 'function', proname::text, '', prosrc FROM pg_proc WHERE pronamespace = 'public'::regnamespace",
    )
    found: list[tuple[str, ...]] = []
    async with connected(engine) as connection:
        for sql in parts:
            found += [tuple(row) for row in await connection.execute(text(sql))]
    return sorted(found)


async def test_up_down_and_up_again_give_the_same_tables(engine):
    assert await schema.current(engine) is None
    await schema.upgrade(engine)
    first = await shape(engine)
    assert await schema.current(engine) == HEAD

    await schema.upgrade(engine, to="base")
    assert await schema.current(engine) is None
    assert {one[1] for one in await shape(engine)} == {"alembic_version"}

    await schema.upgrade(engine)
    assert await shape(engine) == first


async def test_upgrading_what_is_up_to_date_changes_nothing(engine):
    await schema.upgrade(engine)
    async with connected(engine) as connection:
        await connection.execute(text("INSERT INTO api_key (name, hash, rights) VALUES ('k', 'x', '{}')"))

    await schema.upgrade(engine)

    async with connected(engine) as connection:
        assert await connection.scalar(text("SELECT count(*) FROM api_key")) == 1


async def test_an_upgrade_that_fails_half_way_leaves_nothing_behind(engine):
    async with connected(engine) as connection:
        await connection.execute(text("CREATE TABLE head (n integer)"))  # in the way of the twelfth table

    with pytest.raises(Exception, match="already exists"):
        await schema.upgrade(engine)

    assert await schema.current(engine) is None
    assert {one[1] for one in await shape(engine)} == {"head"}


async def test_tables_of_a_later_version_are_left_alone_and_the_error_says_which(engine):
    await schema.upgrade(engine)
    async with connected(engine) as connection:
        await connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))

    with pytest.raises(InvalidInputError, match="at version 9999, which this program does not know"):
        await schema.upgrade(engine)


def test_every_migration_is_known_in_order():
    config = Config()
    config.set_main_option("script_location", str(Path(schema.__file__).parent / "migrations"))
    found = [one.revision for one in ScriptDirectory.from_config(config).walk_revisions()]

    assert tuple(reversed(found)) == schema.KNOWN


async def test_three_upgraders_at_once_all_succeed(empty_url):
    async def upgrade() -> None:
        own = open_engine(empty_url)
        try:
            await schema.upgrade(own)
            assert await schema.current(own) == HEAD
        finally:
            await own.dispose()

    async with asyncio.TaskGroup() as group:
        for _ in range(3):
            group.create_task(upgrade())


async def test_an_upgrader_waits_for_another_one_that_takes_longer_than_locks_usually_may(engine):
    async with connected(engine) as other:
        await other.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": schema._LOCK})
        async with asyncio.TaskGroup() as group:
            upgrade = group.create_task(schema.upgrade(engine))
            await asyncio.sleep(3)
            assert not upgrade.done()
            await other.rollback()

    assert await schema.current(engine) == HEAD


async def test_a_table_in_use_is_waited_for_no_longer_than_locks_usually_may(engine):
    await schema.upgrade(engine)
    async with connected(engine) as other:
        await other.execute(text("SELECT 1 FROM service"))
        with pytest.raises(UnavailableError):
            async with translated():
                await schema.upgrade(engine, to="base")

    assert await schema.current(engine) == HEAD


async def command(*words: str, **settings: str) -> "subprocess.CompletedProcess[str]":
    """`incident-resolver WORDS` with these settings and no others."""
    kept = {name: value for name, value in os.environ.items() if name in {"PATH", "HOME", "LANG"}}
    return await asyncio.to_thread(
        subprocess.run,
        [sys.executable, "-m", "bot", *words],
        cwd=ROOT,
        env=kept | settings,
        check=False,
        capture_output=True,
        text=True,
    )


async def test_the_command_upgrades_the_database_it_is_given_and_tells_its_status(empty_url):
    before = await command("db", "status", DATABASE_URL=empty_url)
    assert before.returncode == 1
    assert "tables: none" in before.stdout
    assert "incident-resolver db upgrade" in before.stdout

    first = await command("db", "upgrade", DATABASE_URL=empty_url)
    assert first.returncode == 0, first.stderr
    assert first.stdout == f"The database had no tables; it is at {HEAD} now.\n"
    again = await command("db", "upgrade", DATABASE_URL=empty_url)
    assert again.stdout == f"The database was at {HEAD}; it is at {HEAD} now.\n"

    after = await command("db", "status", DATABASE_URL=empty_url)
    assert (after.returncode, after.stderr) == (0, "")
    assert f"tables: {HEAD}" in after.stdout


async def test_the_command_upgrades_with_the_owners_login_where_there_is_one(empty_url):
    nowhere = database_named(empty_url, "nowhere")
    done = await command("db", "upgrade", DATABASE_URL=nowhere, DATABASE_MIGRATION_URL=empty_url)

    assert done.returncode == 0, done.stderr
    assert (await command("db", "status", DATABASE_URL=empty_url)).returncode == 0


async def test_the_command_upgrades_the_embedded_database_and_leaves_no_server_behind():
    with tempfile.TemporaryDirectory(prefix="ir-test-") as folder:
        Path(folder).chmod(0o711)
        data = f"{folder}/data"
        before = await command("db", "status", INCIDENT_RESOLVER_DATA=data)
        assert (before.returncode, f"embedded in {data}" in before.stdout) == (1, True)
        assert (await command("db", "upgrade", INCIDENT_RESOLVER_DATA=data)).returncode == 0
        after = await command("db", "status", INCIDENT_RESOLVER_DATA=data)
        assert (after.returncode, f"tables: {HEAD}" in after.stdout) == (0, True)
        assert not Path(f"{data}/postgresql/data/postmaster.pid").exists()


async def test_the_command_says_that_a_database_does_not_answer(empty_url):
    done = await command("db", "status", DATABASE_URL="postgresql://nobody@127.0.0.1:1/none")

    assert done.returncode == 1
    assert done.stderr.startswith("incident-resolver: The database does not answer. Is it up, and reachable from here")
    assert "DATABASE_URL" in done.stderr
