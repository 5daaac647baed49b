"""What a database that does not answer looks like to callers: one error, and nothing half done."""

import asyncio

import pytest
from sqlalchemy import text
from sqlalchemy.engine import make_url

from core.errors import InvalidInputError, UnavailableError
from storage.database import connected, open_engine
from tests.integration.storage.backends import terminate_unseen


async def test_an_exhausted_pool_is_a_database_that_does_not_answer(database_url):
    engine = open_engine(database_url, pool_size=1)
    engine.pool._timeout, engine.pool._max_overflow = 0.1, 0
    try:
        async with engine.connect():
            with pytest.raises(UnavailableError):
                async with connected(engine):
                    pass
        async with connected(engine) as connection:
            assert await connection.scalar(text("SELECT 1")) == 1
    finally:
        await engine.dispose()


async def test_a_connection_lost_in_a_transaction_is_unavailable_and_the_next_one_works(database_url):
    engine = open_engine(database_url)
    try:
        with pytest.raises(UnavailableError):
            async with connected(engine) as connection:
                await connection.execute(text("CREATE TABLE half_done (n integer)"))
                await connection.execute(text("SELECT pg_terminate_backend(pg_backend_pid())"))
        async with connected(engine) as connection:
            assert await connection.scalar(text("SELECT to_regclass('half_done')")) is None
    finally:
        await engine.dispose()


@pytest.mark.parametrize("looks", range(5))
async def test_a_connection_lost_just_before_a_statement_is_sent_is_unavailable(database_url, looks):
    """`looks` is how much of the server's end the loop has read by then: its last word, the end of file, or nothing."""
    engine = open_engine(database_url)
    try:
        with pytest.raises(UnavailableError):
            async with connected(engine) as connection:
                pid = await connection.scalar(text("SELECT pg_backend_pid()"))
                terminate_unseen(database_url, pid)
                for _ in range(looks):
                    await asyncio.sleep(0)
                await connection.execute(text("SELECT 1"))
        async with connected(engine) as connection:
            assert await connection.scalar(text("SELECT 1")) == 1
    finally:
        await engine.dispose()


async def test_a_row_that_stays_locked_is_unavailable_after_two_seconds(database_url):
    engine = open_engine(database_url)
    try:
        async with connected(engine) as first:
            await first.execute(text("SELECT 1 FROM service FOR UPDATE"))
            with pytest.raises(UnavailableError):
                async with connected(engine) as second:
                    await second.execute(text("SELECT 1 FROM service FOR UPDATE"))
    finally:
        await engine.dispose()


async def test_nobody_there_is_unavailable():
    engine = open_engine("postgresql://nobody@127.0.0.1:1/none")
    with pytest.raises(UnavailableError):
        async with connected(engine):
            pass


@pytest.mark.parametrize("url", ["mysql://host/name", "not an address", "sqlite:///file"])
def test_any_other_database_is_refused_with_what_to_write(url):
    with pytest.raises(InvalidInputError, match="postgresql://"):
        open_engine(url)


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("no address", "is not an address"),
        ("postgresql://u@h:port/x", "is not an address"),
        ("mysql://h/x", "must be a postgresql:// address"),
        ("postgresql://h/x?options=-c%20fsync=off", "the parameter options is not known here"),
        ("postgresql://h/x?sslmode=maybe", "sslmode is one of disable"),
    ],
)
def test_an_address_that_cannot_be_used_is_refused_in_a_sentence(url, words):
    with pytest.raises(InvalidInputError, match=words):
        open_engine(url)


async def test_the_word_sslmode_is_understood(database_url):
    engine = open_engine(f"{database_url}&sslmode=prefer")
    try:
        async with connected(engine) as connection:
            assert await connection.scalar(text("SELECT 1")) == 1
    finally:
        await engine.dispose()


@pytest.mark.parametrize(
    ("changed", "words"),
    [({"username": "stranger"}, "refuses the login"), ({"database": "nowhere"}, "has no such database")],
)
async def test_a_login_or_database_that_does_not_exist_is_told(database_url, changed, words):
    engine = open_engine(make_url(database_url).set(**changed).render_as_string(hide_password=False))
    try:
        with pytest.raises(UnavailableError, match=words):
            async with connected(engine):
                pass
    finally:
        await engine.dispose()
