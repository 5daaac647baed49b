"""The composition root: a parts list in the order of assembly. The only place that knows all rooms."""

import os
import secrets
import socket
import time
import uuid
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from importlib.metadata import version

from aiohttp import web
from prometheus_client import CollectorRegistry

from bot.configured import approval_engine, load_policy_file, make_data_folder, signing_key, snapshot_key
from bot.identities import open_ways
from bot.rest import auth
from bot.rest.app import rest_app, serve_rest
from bot.rest.endpoints import Endpoints
from bot.rest.figures import Figures
from bot.rest.health import Dependency, Health
from bot.rest.openapi import docs_routes
from bot.service import Part, Service
from bot.settings import Settings
from bot.slack.buttons import Signer
from bot.slack.cards import Rendering
from bot.slack.door import SlackAccess, SlackDoor
from bot.work import Surroundings, open_flow
from bot.worker import Worker
from core.approvals import ApprovalEngine
from core.cluster.client import KubernetesCluster
from core.errors import InvalidInputError, ResolverError, UnavailableError
from core.intake import Intake
from core.ports import Source
from core.rollback import RollbackManager
from core.sources.graph import Graph, open_graph
from core.sources.platform import open_platform
from storage import figures as storage_figures
from storage import hints, schema
from storage.api_keys import ApiKeys
from storage.cards import PostgresCards
from storage.database import open_engine, translated
from storage.embedded import keep_up, open_embedded
from storage.heartbeat import Heartbeat
from storage.snapshots import Resealing, Sweeper
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


async def upgrade_tables(settings: Settings, url: str) -> None:
    """At start the tables are brought up to date, unless another login owns them: then their version is checked."""
    engine = open_engine(url)
    try:
        async with translated():
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
            async with translated():
                found = await schema.current(engine)
                if not await schema.is_current(engine) and may_upgrade:
                    await schema.upgrade(engine)
        finally:
            await engine.dispose()
    return found


@asynccontextmanager
async def _open_graph(settings: Settings) -> AsyncIterator[Graph]:
    password = settings.neo4j_password.get_secret_value() if settings.neo4j_password else ""
    async with open_graph(settings.neo4j_uri, user=settings.neo4j_user, password=password) as graph:
        yield graph


@asynccontextmanager
async def open_sources(settings: Settings) -> AsyncIterator[tuple[Source, ...]]:
    """The sources beside Kubernetes, for `check`."""
    proxy = settings.proxy_for(settings.platform_url or "")
    async with open_platform(settings.platform_url, proxy=proxy) as platform, _open_graph(settings) as graph:
        yield (*platform, graph)


@dataclass(frozen=True, slots=True)
class Assembled:
    """The service, the two parts of it that the demo asks directly, and what the cluster enforces, in sentences."""

    service: Service
    intake: Intake
    slack: SlackDoor | None
    enforced: tuple[str, ...]


@asynccontextmanager
async def open_service(settings: Settings, *, door: auth.LocalDoor | None = None) -> AsyncIterator[Assembled]:
    """Everything, ready to run; leaving it stops what was started, in the reverse order.

    `door` replaces the API keys (the demo). InvalidInputError where a setting does not fit.
    """
    engine = approval_engine(settings, load_policy_file(settings))
    owner = f"{socket.gethostname()}-{os.getpid()}-{secrets.token_hex(3)}"
    async with AsyncExitStack() as using:
        url = await using.enter_async_context(open_database(settings))
        await upgrade_tables(settings, url)
        make_data_folder(settings.data)
        store = await using.enter_async_context(
            open_storage(url, snapshot_key=snapshot_key(settings), lease_seconds=settings.lease_seconds)
        )
        ways = await using.enter_async_context(open_ways(settings, database_url=url, clock=utc_now))
        graph = await using.enter_async_context(_open_graph(settings))
        rollback = RollbackManager(ways.keeper, store.update_snapshot_entries, utc_now)
        intake = Intake(store=store, engine=engine, rollback=rollback, clock=utc_now, new_id=new_id)
        flow = await using.enter_async_context(
            open_flow(
                Surroundings(settings, utc_now, new_id),
                store=store,
                ways=ways,
                graph=graph,
                engine=engine,
                rollback=rollback,
            )
        )
        heartbeat = Heartbeat(url, lease_seconds=settings.lease_seconds)
        worker = Worker(flow, store, heartbeat.hold, owner)
        slack = _slack_door(settings, ways.told, store=store, intake=intake, engine=engine, owner=owner)
        app = _application(
            settings,
            store,
            ways.reader,
            intake=intake,
            slack=slack,
            door=door,
            pass_age_seconds=worker.pass_age_seconds,
        )
        rest = await using.enter_async_context(serve_rest(app, host=settings.host, port=settings.port))

        def wake() -> None:
            worker.wake()
            if slack is not None:
                slack.hint.set()

        sweeper = Sweeper(store.engine, settings.retention_days)
        listening = partial(hints.listen, url, wake, flow.watcher.stop)
        parts: list[Part] = [heartbeat.run, listening, worker.run, sweeper.run, *ways.parts]
        parts += [partial(keep_up, settings.data)] if settings.database_url is None else []
        parts += [slack.run] if slack is not None else []
        yield Assembled(Service(rest, parts), intake, slack, ways.told)


def _slack_door(
    settings: Settings,
    enforced: tuple[str, ...],
    *,
    store: PostgresStorage,
    intake: Intake,
    engine: ApprovalEngine,
    owner: str,
) -> SlackDoor | None:
    """None without a bot token: the service is REST-only."""
    if settings.slack_bot_token is None:
        return None
    app_token = settings.slack_app_token.get_secret_value() if settings.slack_app_token else None
    secret = settings.slack_signing_secret.get_secret_value() if settings.slack_signing_secret else None
    if app_token is None and secret is None:
        raise InvalidInputError(
            "SLACK_BOT_TOKEN is set; set SLACK_APP_TOKEN too (Socket Mode), or SLACK_SIGNING_SECRET (HTTP mode)."
        )
    access = SlackAccess(
        bot_token=settings.slack_bot_token.get_secret_value(),
        api_url=settings.slack_api_url,
        app_token=app_token,
        signing_secret=secret,
        channel=settings.slack_channel,
    )
    return SlackDoor(
        access,
        intake=intake,
        engine=engine,
        store=store,
        cards=PostgresCards(store.engine),
        rendering=Rendering(
            Signer(signing_key(settings)), engine.all_approvers, engine.why_nobody(), enforced=enforced
        ),
        clock=utc_now,
        monotonic=time.monotonic,
        owner=owner,
        token_limit=settings.token_limit,
    )


def _application(  # noqa: PLR0913  the parts that it serves
    settings: Settings,
    store: PostgresStorage,
    cluster: KubernetesCluster,
    *,
    intake: Intake,
    slack: SlackDoor | None,
    door: auth.LocalDoor | None,
    pass_age_seconds: Callable[[], float],
) -> web.Application:
    async def database() -> str | None:
        try:
            await store.ping()
        except UnavailableError as error:
            return str(error)
        return None

    async def kubernetes() -> str | None:
        try:
            await cluster.uid()
        except ResolverError as error:
            return str(error)
        return None

    async def no_slack() -> str | None:
        return "off: SLACK_BOT_TOKEN is not set; REST only"

    dependencies = {
        "database": Dependency(database),
        "slack": Dependency(slack.problem if slack else no_slack, is_needed=slack is not None),
        "cluster": Dependency(kubernetes),
    }
    registry = CollectorRegistry()
    health = Health(dependencies, registry, Figures(storage_figures.Figures(store.engine).by_word, pass_age_seconds))
    endpoints = Endpoints(intake, door or auth.KeyDoor(ApiKeys(store.engine).find), settings.token_limit)
    routes = [
        *endpoints.routes(),
        *health.routes(),
        *docs_routes(version("incident-resolver")),
        *(slack.routes() if slack else []),
    ]
    return rest_app(routes, registry=registry)
