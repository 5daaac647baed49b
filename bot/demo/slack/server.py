"""Opens the local Slack on a port of this machine."""

import asyncio
import secrets
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
from aiohttp import web
from aiohttp.typedefs import Middleware

from bot.demo.slack.control import Control
from bot.demo.slack.courier import ChosenCourier
from bot.demo.slack.doorway import Doorway
from bot.demo.slack.faults import Faults
from bot.demo.slack.journal import Journal
from bot.demo.slack.local_slack import LocalSlack
from bot.demo.slack.people_acts import PeopleActs
from bot.demo.slack.socket_mode import ACK_SECONDS, SocketMode
from bot.demo.slack.subscriptions import RETRY_PAUSES_SECONDS, Subscriptions
from bot.demo.slack.web_api import WebApi
from bot.demo.slack.workspace import Clock, Workspace

BODY_LIMIT = 8 * 1024 * 1024
STOP_SECONDS = 2.0
EVENTS = ("app_mention", "message", "agent_session_stopped")


@asynccontextmanager
async def open_local_slack(  # noqa: PLR0913 - all by name, each with the value of the real thing
    port: int = 0,
    *,
    page: Path | None = None,
    app_name: str = "Incident Resolver",
    events: Collection[str] = EVENTS,
    ack_seconds: float = ACK_SECONDS,
    retry_pauses_seconds: Sequence[float] = RETRY_PAUSES_SECONDS,
    clock: Clock = time.time,  # noqa: TID251 - a stand-in for an outside service has a clock of its own
) -> AsyncIterator[LocalSlack]:
    """A Slack on 127.0.0.1 until the block ends. `page` is the folder that `page.build_page()` gave; port 0: any."""
    with Doorway(port) as doorway:
        port = doorway.port
        workspace = Workspace(clock=clock, app_name=app_name, url=f"http://127.0.0.1:{port}")
        journal = Journal(workspace.now, on_entry=workspace.note_change)
        sockets = SocketMode(app_id=workspace.app_id, journal=journal, ack_seconds=ack_seconds)
        courier = ChosenCourier(sockets)
        acts = PeopleActs(workspace, courier)
        faults = Faults()
        tokens = (f"xoxb-{secrets.token_hex(12)}", f"xapp-1-{secrets.token_hex(12)}")
        api = WebApi(workspace, tokens=tokens, faults=faults, journal=journal, acts=acts)
        api.new_socket_url = lambda: f"ws://127.0.0.1:{port}/link/?ticket={sockets.new_ticket()}&app_id=local"
        subscriptions = Subscriptions(
            workspace, courier, subscribed=frozenset(events), pauses_seconds=retry_pauses_seconds
        )
        async with aiohttp.ClientSession() as session:
            slack = LocalSlack(
                workspace,
                tokens=tokens,
                signing_secret=secrets.token_hex(16),
                session=session,
                sockets=sockets,
                courier=courier,
                journal=journal,
                faults=faults,
                acts=acts,
                doorway=doorway,
            )
            app = _application(api, sockets, Control(slack, page), port)
            app.cleanup_ctx.append(_running(subscriptions))
            runner = web.AppRunner(app, access_log=None, shutdown_timeout=STOP_SECONDS)
            await runner.setup()
            try:
                await doorway.serve(runner)
                yield slack
            finally:
                await runner.cleanup()


def _application(api: WebApi, sockets: SocketMode, control: Control, port: int) -> web.Application:
    app = web.Application(client_max_size=BODY_LIMIT, middlewares=[_only_for_itself(port)])
    app.router.add_route("GET", "/api/{method}", api.call)
    app.router.add_route("POST", "/api/{method}", api.call)
    app.router.add_post("/response/{name}", api.respond)
    app.router.add_get("/link/", sockets.accept)
    app.router.add_get("/control/state", control.state)
    app.router.add_get("/control/events", control.events)
    app.router.add_get("/control/journal", control.journal)
    app.router.add_post("/control/{act}", control.act)
    app.router.add_get("/", control.page)
    app.router.add_get("/page/{file}", control.page)

    async def stop(_: web.Application) -> None:
        control.close()
        await sockets.close()

    app.on_shutdown.append(stop)
    return app


def _only_for_itself(port: int) -> Middleware:
    """Refuses what a foreign web page in the same browser could send: another Host (rebinding) or Origin."""
    hosts = {f"127.0.0.1:{port}", f"localhost:{port}"}

    @web.middleware
    async def guard(
        request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
    ) -> web.StreamResponse:
        origin = request.headers.get("Origin")
        if request.host not in hosts:
            raise web.HTTPForbidden(text=f"This server answers to {' and '.join(sorted(hosts))} only.")
        if origin is not None and origin not in {f"http://{host}" for host in hosts}:
            raise web.HTTPForbidden(text=f"Requests from pages of {origin} are refused.")
        return await handler(request)

    return guard


def _running(subscriptions: Subscriptions) -> Callable[[web.Application], AsyncIterator[None]]:
    async def run(_: web.Application) -> AsyncIterator[None]:
        async with asyncio.TaskGroup() as group:
            task = group.create_task(subscriptions.run())
            yield
            task.cancel()

    return run
