"""The connection to Slack: one client with retries, Socket Mode or signed requests, and whether it stands."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import aiohttp
from slack_bolt.adapter.socket_mode.aiohttp import AsyncSocketModeHandler
from slack_bolt.app.async_app import AsyncApp
from slack_sdk.errors import SlackApiError
from slack_sdk.http_retry.builtin_async_handlers import AsyncRateLimitErrorRetryHandler
from slack_sdk.web.async_client import AsyncWebClient

from core.errors import InvalidInputError, UnavailableError

PING_SECONDS = 3
CONNECT_SECONDS = 15.0
_REFUSED = frozenset(
    {"invalid_auth", "not_authed", "account_inactive", "token_revoked", "token_expired", "not_allowed_token_type"}
)


@dataclass(frozen=True, slots=True)
class Workspace:
    """Whom the token belongs to. `scopes` are those Slack says the token has."""

    client: AsyncWebClient
    team_id: str
    bot_user_id: str
    scopes: frozenset[str]


@asynccontextmanager
async def open_workspace(*, token: str, api_url: str) -> AsyncIterator[Workspace]:
    """InvalidInputError when Slack refuses the token, UnavailableError when it does not answer."""
    async with aiohttp.ClientSession() as session:
        client = AsyncWebClient(
            token=token,
            base_url=api_url,
            session=session,
            timeout=15,
            # The SDK would also repeat a POST whose answer was lost, and so post twice; the publisher looks first.
            retry_handlers=[AsyncRateLimitErrorRetryHandler(max_retry_count=3)],
        )
        try:
            told = await client.auth_test()
        except SlackApiError as error:
            raise _refusal(error, "SLACK_BOT_TOKEN") from error
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            raise UnavailableError(
                f"Slack does not answer at {api_url}. Is the address reachable from here?"
            ) from error
        scopes = frozenset(one.strip() for one in told.headers.get("x-oauth-scopes", "").split(",") if one.strip())
        yield Workspace(client, str(told["team_id"]), str(told["user_id"]), scopes)


async def try_app_token(workspace: Workspace, app_token: str) -> None:
    """InvalidInputError when Slack refuses it, UnavailableError when it does not answer. Opens nothing."""
    try:
        await workspace.client.apps_connections_open(app_token=app_token)
    except SlackApiError as error:
        raise _refusal(error, "SLACK_APP_TOKEN") from error
    except (aiohttp.ClientError, OSError, TimeoutError) as error:
        raise UnavailableError("Slack does not answer to apps.connections.open.") from error


async def why_no_card(workspace: Workspace, channel: str) -> str | None:
    """Why nothing could be posted there, and what to do; None where it could."""
    try:
        found = (await workspace.client.conversations_info(channel=channel))["channel"]
    except SlackApiError as error:
        if error_code(error) == "channel_not_found":
            return (
                f"there is no channel {channel} that the app can see: check the id (not the name), invite the bot there"
            )
        return f"Slack answered {error_code(error)} about SLACK_CHANNEL {channel}"
    except (aiohttp.ClientError, OSError, TimeoutError):
        return f"Slack does not answer about SLACK_CHANNEL {channel}"
    if found.get("is_archived"):
        return f"the channel {channel} is archived: choose another for SLACK_CHANNEL"
    if found.get("is_member") is False:
        return f"the bot is not in the channel {channel}: /invite it there"
    return None


@asynccontextmanager
async def open_socket(app: AsyncApp, workspace: Workspace, *, app_token: str) -> AsyncIterator[AsyncSocketModeHandler]:
    """Socket Mode, connected when this is entered; the token is tried once first, since a bad one retries for ever."""
    await try_app_token(workspace, app_token)
    handler = AsyncSocketModeHandler(app, app_token, ping_interval=PING_SECONDS, web_client=workspace.client)
    try:
        async with asyncio.timeout(CONNECT_SECONDS):
            await handler.connect_async()  # type: ignore[no-untyped-call]  # bolt's
        yield handler
    except TimeoutError as error:
        raise UnavailableError("Slack's socket did not open in time.") from error
    finally:
        await handler.close_async()  # type: ignore[no-untyped-call]  # bolt's


def error_code(error: SlackApiError) -> str:
    """Slack's word for it; the HTTP status where something between here and Slack answered without JSON."""
    data = getattr(error.response, "data", None)
    told = data.get("error") if isinstance(data, dict) else None
    status = getattr(error.response, "status_code", None) or getattr(error.response, "status", "?")
    return str(told or f"HTTP {status}")


def _refusal(error: SlackApiError, setting: str) -> Exception:
    code = error_code(error)
    if code in _REFUSED:
        return InvalidInputError(
            f"Slack refuses {setting} ({code}). Take a new one from the app's page: OAuth & Permissions for xoxb-…, "
            "Basic Information → App-Level Tokens (connections:write) for xapp-…."
        )
    return UnavailableError(f"Slack answered {code} to the first question; {setting} may lack a scope.")
