"""The door to Slack: connects, registers the clerks, publishes; connects again when Slack was away."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field, replace

import structlog
from aiohttp import web
from slack_bolt.adapter.socket_mode.aiohttp import AsyncSocketModeHandler
from slack_bolt.app.async_app import AsyncApp

from bot.publisher import Publisher
from bot.slack.app import EVENTS_PATH, answer_request, slack_app
from bot.slack.cards import Rendering
from bot.slack.clicks import Clicks
from bot.slack.connection import Workspace, open_socket, open_workspace
from bot.slack.listeners import Clerk
from bot.slack.people import People
from bot.slack.rollback_window import RollbackWindow
from bot.slack.sender import CardSender
from core.approvals import ApprovalEngine
from core.card_slots import CardStore
from core.errors import UnavailableError
from core.intake import Intake
from core.ports import Clock, Store

log = structlog.get_logger()
RECONNECT_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class SlackAccess:
    """Tokens and places. Without `app_token` Slack sends signed requests (HTTP mode), which need `signing_secret`."""

    bot_token: str
    api_url: str
    app_token: str | None
    signing_secret: str | None
    channel: str | None


@dataclass(slots=True)
class SlackDoor:
    """`run` keeps the connection; `problem` says why there is none; `hint` wakes the publisher."""

    access: SlackAccess
    intake: Intake
    engine: ApprovalEngine
    store: Store
    cards: CardStore
    rendering: Rendering
    clock: Clock
    monotonic: Callable[[], float]
    owner: str
    token_limit: int
    hint: asyncio.Event = field(default_factory=asyncio.Event)
    _app: AsyncApp | None = None
    _socket: AsyncSocketModeHandler | None = None
    _publisher: Publisher | None = None
    _problem: str | None = "not connected yet"

    async def run(self) -> None:
        """Until cancelled. InvalidInputError when Slack refuses a token: trying again would not help."""
        while True:
            try:
                await self._connected()
            except UnavailableError as error:
                self._problem = str(error)
                log.warning("slack_unavailable", error=str(error), again_in_seconds=RECONNECT_SECONDS)
            await asyncio.sleep(RECONNECT_SECONDS)

    async def _connected(self) -> None:
        async with open_workspace(token=self.access.bot_token, api_url=self.access.api_url) as workspace:
            app = self._application(workspace)
            publisher = self._publisher_for(workspace)
            if self.access.app_token is None:
                await self._serve(app, publisher)
                return
            async with open_socket(app, workspace, app_token=self.access.app_token) as socket:
                self._socket = socket
                await self._serve(app, publisher)

    async def _serve(self, app: AsyncApp, publisher: Publisher) -> None:
        self._app, self._publisher, self._problem = app, publisher, None
        log.info("slack_connected", mode="http" if self.access.app_token is None else "socket")
        try:
            await publisher.run()
        finally:
            self._app = self._socket = self._publisher = None
            self._problem = "disconnected"

    def _application(self, workspace: Workspace) -> AsyncApp:
        people = People(
            workspace.client,
            workspace.team_id,
            tuple(one for one in self.engine.all_approvers if one.startswith("S")),
            self.monotonic,
        )
        window = RollbackWindow(self.intake, workspace.client, self.rendering.signer)
        clerk = Clerk(
            intake=self.intake,
            engine=self.engine,
            cards=self.cards,
            people=people,
            client=workspace.client,
            window=window,
            token_limit=self.token_limit,
            home=self.access.channel,
        )
        clicks = Clicks(
            intake=self.intake,
            engine=self.engine,
            people=people,
            client=workspace.client,
            signer=self.rendering.signer,
            window=window,
            clock=self.clock,
            enforced=self.rendering.enforced,
        )
        return slack_app(workspace.client, signing_secret=self.access.signing_secret, clerks=[clerk, clicks])

    def _publisher_for(self, workspace: Workspace) -> Publisher:
        rendering = replace(self.rendering, may_requesters_approve=self.engine.policy.may_requesters_approve)
        sender = CardSender(workspace.client, self.store, rendering, self.access.channel)
        return Publisher(self.cards, sender, self.owner, hint=self.hint)

    async def problem(self) -> str | None:
        """For /readyz: None while the connection stands and cards go out."""
        if self._problem is not None:
            return self._problem
        if self._socket is not None and not await self._socket.client.is_connected():
            return "the socket is closed and being opened again"
        return self._publisher.problem if self._publisher else None

    def routes(self) -> list[web.RouteDef]:
        """HTTP mode's route; none in Socket Mode."""
        return [] if self.access.app_token is not None else [web.post(EVENTS_PATH, self._events)]

    async def _events(self, request: web.Request) -> web.StreamResponse:
        if self._app is None:
            raise UnavailableError("The connection to Slack is not ready yet.")
        return await answer_request(self._app, request)
