"""The composition root: a parts list in the order of assembly. The only place that knows all rooms."""

import os
import secrets
import socket
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from functools import partial
from importlib.metadata import version

from aiohttp import web
from prometheus_client import CollectorRegistry

from bot.administration import new_id, open_database, upgrade_tables, utc_now
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
from storage import hints
from storage.api_keys import ApiKeys
from storage.cards import PostgresCards
from storage.embedded import keep_up
from storage.heartbeat import Heartbeat
from storage.snapshots import Sweeper
from storage.store import PostgresStorage, open_storage


@asynccontextmanager
async def _open_graph(settings: Settings) -> AsyncIterator[Graph]:
    password = settings.neo4j_password.get_secret_value() if settings.neo4j_password else ""
    async with open_graph(settings.neo4j_uri, user=settings.neo4j_user, password=password) as graph:
        yield graph


@asynccontextmanager
async def open_sources(settings: Settings) -> AsyncIterator[tuple[Source, ...]]:
    """The sources beside Kubernetes, for `check`."""
    proxy = settings.proxy_for(settings.platform_url)
    async with open_platform(settings.platform_url, proxy=proxy) as platform, _open_graph(settings) as graph:
        yield (*platform, graph)


@dataclass(frozen=True, slots=True)
class Assembled:
    """The service, the parts of it that are asked directly, and what the cluster enforces, in sentences."""

    service: Service
    intake: Intake
    engine: ApprovalEngine
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
        yield Assembled(Service(rest, parts), intake, engine, slack, ways.told)


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
