"""The Bolt app: our clerks on it, one error handler, and the answers of HTTP mode."""

import re
from collections.abc import Sequence
from typing import Any, Protocol
from uuid import uuid4

import aiohttp
import structlog
from aiohttp import web
from slack_bolt.adapter.aiohttp import to_aiohttp_response, to_bolt_request
from slack_bolt.app.async_app import AsyncApp
from slack_sdk.errors import SlackApiError
from slack_sdk.web.async_client import AsyncWebClient

from bot.settings import hidden_slack_environment

log = structlog.get_logger()
EVENTS_PATH = "/slack/events"
_TIME = re.compile(r"[0-9]{1,12}")


class Registering(Protocol):
    """Something that puts its listeners on an app."""

    def register(self, app: AsyncApp) -> None: ...


def slack_app(client: AsyncWebClient, *, signing_secret: str | None, clerks: Sequence[Registering]) -> AsyncApp:
    """With a signing secret every HTTP request is checked; Socket Mode needs none."""
    with hidden_slack_environment():
        app = AsyncApp(
            client=client,
            signing_secret=signing_secret or "socket-mode-takes-no-requests",
            request_verification_enabled=signing_secret is not None,
        )
    for clerk in clerks:
        clerk.register(app)

    async def failed(error: Exception, body: dict[str, Any]) -> None:
        """One of the three places for any error: the person gets a number that the log has too."""
        number = uuid4().hex
        log.error("slack_listener_failed", error_id=number, exc_info=error)
        channel = (body.get("channel") or {}).get("id") or body.get("channel_id")
        user = (body.get("user") or {}).get("id") or body.get("user_id")
        if channel and user:
            try:
                text = f"⚠️ Something went wrong here, nothing was decided. Quote {number} to the operator."
                await client.chat_postEphemeral(channel=channel, user=user, text=text)
            except (SlackApiError, aiohttp.ClientError, OSError, TimeoutError):
                log.warning("ephemeral_failed", error_id=number)

    app.error(failed)
    return app


async def answer_request(app: AsyncApp, request: web.Request) -> web.StreamResponse:
    """HTTP mode: one of Slack's signed requests.

    Bolt parses a body, and reads the time as a number, before it looks at the signature: where it stumbles there, the
    request is not Slack's and must not come as far as the error handler, which answers in a channel.
    """
    if not _TIME.fullmatch(request.headers.get("X-Slack-Request-Timestamp", "")):
        return web.Response(status=401, text="This is not a request of Slack's.")
    try:
        asked = await to_bolt_request(request)
    except (ValueError, LookupError, AttributeError, TypeError):
        return web.Response(status=401, text="This is not a request of Slack's.")
    return await to_aiohttp_response(await app.async_dispatch(asked))
