"""Brings events to the app, and again where they were not acknowledged."""

import asyncio
import secrets
from collections.abc import Sequence

from bot.demo.slack.courier import Courier
from bot.demo.slack.workspace import Json, Workspace

RETRY_PAUSES_SECONDS = (0.0, 60.0, 300.0)


class Subscriptions:
    """The events API: an event goes out once, and up to three times more while nobody says that it arrived."""

    def __init__(
        self,
        workspace: Workspace,
        courier: Courier,
        *,
        subscribed: frozenset[str],
        pauses_seconds: Sequence[float] = RETRY_PAUSES_SECONDS,
    ) -> None:
        self._workspace = workspace
        self._courier = courier
        self._subscribed = subscribed
        self._pauses_seconds = pauses_seconds

    async def run(self) -> None:
        """Works off the queue of events until it is cancelled; a slow event holds up no other."""
        async with asyncio.TaskGroup() as group:
            while True:
                event = await self._workspace.events.get()
                if event["type"] in self._subscribed:
                    group.create_task(self._bring(self._callback(event)))

    async def _bring(self, callback: Json) -> None:
        answer = await self._courier.deliver("events_api", callback)
        for number, pause in enumerate(self._pauses_seconds, start=1):
            if answer.is_acked or not answer.is_reachable:
                return
            await asyncio.sleep(pause)
            answer = await self._courier.deliver(
                "events_api", callback, retry_number=number, retry_reason=answer.reason
            )

    def _callback(self, event: Json) -> Json:
        workspace = self._workspace
        return {
            "type": "event_callback",
            "token": "verification-token",
            "team_id": workspace.team_id,
            "api_app_id": workspace.app_id,
            "event": event,
            "event_id": f"Ev0{secrets.token_hex(5).upper()}",
            "event_time": int(workspace.now()),
            "event_context": secrets.token_hex(8),
            "is_ext_shared_channel": False,
            "authorizations": [
                {
                    "enterprise_id": None,
                    "team_id": workspace.team_id,
                    "user_id": workspace.bot.id,
                    "is_bot": True,
                    "is_enterprise_install": False,
                }
            ],
        }
