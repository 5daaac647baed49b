"""The connection to PostgreSQL: engine, transactions, and its errors in our words."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import asyncpg
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from core.errors import InvalidInputError, UnavailableError

CHANNEL = "incident_resolver"
STOP = "stop"
"""Begins a notification that tells of an interrupt; the id of the resolution follows."""
LOST = (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError)
"""What asyncpg raises where a connection is lost; the last where that happens just as a statement is sent."""
_AWAY = (OSError, TimeoutError, PoolTimeoutError, OperationalError, InterfaceError)
_REFUSALS = {
    "28000": "The database refuses the login of DATABASE_URL: its user, or where it comes from.",
    "28P01": "The database refuses the login of DATABASE_URL: user or password are wrong.",
    "3D000": "The server of DATABASE_URL has no such database; create it, or correct the name.",
    "53100": "The disk of the database is full: make room there.",
    "42501": "The database does not let the login of DATABASE_URL do this; it needs its tables, or the rights to make "
    "them (DATABASE_MIGRATION_URL for `db upgrade`).",
}
"""What a database answers for good, by SQLSTATE; the service still waits, since people mend it without a restart."""
AWAY = "The database does not answer."
_SSL_MODES = ("disable", "allow", "prefer", "require", "verify-ca", "verify-full")
_PARAMETERS = frozenset({"host", "ssl"})
_LIMITS = {
    "application_name": "incident-resolver",
    "lock_timeout": "2000",
    "idle_in_transaction_session_timeout": "15000",
}


def open_engine(url: str, *, pool_size: int = 10) -> AsyncEngine:
    """An engine for a postgresql:// address; InvalidInputError for anything else."""
    return create_async_engine(
        _address(url),
        pool_size=pool_size,
        max_overflow=10,
        pool_pre_ping=True,
        hide_parameters=True,
        pool_timeout=10,
        connect_args={"server_settings": _LIMITS, "timeout": 5, "command_timeout": 30},
    )


def _address(url: str) -> URL:
    """As the driver wants it: its word for `sslmode` is `ssl`."""
    try:
        address = make_url(url)
    except (SQLAlchemyError, ValueError) as error:
        raise InvalidInputError(
            "DATABASE_URL is not an address; write postgresql://user:password@host/name."
        ) from error
    if address.get_backend_name() not in {"postgresql", "postgres"}:
        raise InvalidInputError("DATABASE_URL must be a postgresql:// address; there is no second database.")
    query = {"ssl" if name == "sslmode" else name: value for name, value in address.query.items()}
    if unknown := query.keys() - _PARAMETERS:
        raise InvalidInputError(
            f"DATABASE_URL: the parameter {', '.join(sorted(unknown))} is not known here; there are "
            f"sslmode, {', '.join(sorted(_PARAMETERS - {'ssl'}))}."
        )
    if query.get("ssl", "disable") not in _SSL_MODES:
        raise InvalidInputError(f"DATABASE_URL: sslmode is one of {', '.join(_SSL_MODES)}.")
    return address.set(drivername="postgresql+asyncpg", query=query)


@asynccontextmanager
async def translated() -> AsyncIterator[None]:
    """UnavailableError where the database did not answer in time or went away; all else is a bug and passes."""
    try:
        yield
    except _AWAY as error:
        raise UnavailableError(AWAY) from error
    except DBAPIError as error:
        state = getattr(error.orig, "sqlstate", None) or ""
        if (refusal := _REFUSALS.get(state)) is not None:
            raise UnavailableError(refusal) from error
        if error.connection_invalidated or state.startswith(("08", "53", "57")) or state in {"55P03", "40P01"}:
            raise UnavailableError(AWAY) from error
        raise
    except LOST as error:
        raise UnavailableError(AWAY) from error


@asynccontextmanager
async def connected(engine: AsyncEngine) -> AsyncIterator[AsyncConnection]:
    """One transaction, committed at the end, with its errors translated."""
    async with translated(), engine.begin() as connection:
        yield connection
