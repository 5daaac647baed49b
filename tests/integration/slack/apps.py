"""A small real Bolt app in Socket Mode, connected to a local Slack that serves its page."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from slack_bolt.adapter.socket_mode.aiohttp import AsyncSocketModeHandler
from slack_bolt.async_app import AsyncAck, AsyncApp
from slack_sdk.web.async_client import AsyncWebClient

from bot.demo.slack.local_slack import LocalSlack
from bot.demo.slack.server import open_local_slack

Json = dict[str, Any]
ACK_SECONDS = 1.0


@dataclass
class SmallApp:
    """Records what it is told. `Reject…` opens a form; `Approve` is answered when `may_answer` is set."""

    slack: LocalSlack
    client: AsyncWebClient
    told: list[Json] = field(default_factory=list)
    may_answer: asyncio.Event = field(default_factory=asyncio.Event)

    async def post(self, *blocks: Json, text: str = "a card", **more: str) -> str:
        sent = await self.client.chat_postMessage(
            channel=self.slack.channel_id, text=text, blocks=list(blocks) or None, **more
        )
        return str(sent["ts"])

    async def on_command(self, ack: AsyncAck, command: Json) -> None:
        self.told.append(command)
        await ack(f"You asked: {command['text']}")

    async def on_approve(self, ack: AsyncAck, body: Json) -> None:
        self.told.append(body)
        await self.may_answer.wait()
        await ack()

    async def on_reject(self, ack: AsyncAck, body: Json) -> None:
        self.told.append(body)
        await self.client.views_open(trigger_id=body["trigger_id"], view=FORM)
        await ack()

    async def on_other(self, ack: AsyncAck, body: Json) -> None:
        self.told.append(body)
        await ack()


def plain(text: str) -> Json:
    return {"type": "plain_text", "text": text}


def mrkdwn(text: str) -> Json:
    return {"type": "mrkdwn", "text": text}


def section(text: str) -> Json:
    return {"type": "section", "text": mrkdwn(text)}


def option(value: str) -> Json:
    return {"text": plain(value.capitalize()), "value": value}


def entry(action_id: str, label: str, kind: str, **more: object) -> Json:
    element = {"type": kind, "action_id": action_id, **more}
    return {"type": "input", "block_id": f"{action_id}_block", "label": plain(label), "element": element}


HEADER = {"type": "header", "text": plain("Approval needed")}
BUTTONS = {
    "type": "actions",
    "elements": [
        {
            "type": "button",
            "action_id": "approve",
            "style": "primary",
            "text": plain("Approve"),
            "value": "signed",
            "confirm": {
                "title": plain("Approve this?"),
                "text": mrkdwn("It *restarts* checkout."),
                "confirm": plain("Approve"),
                "deny": plain("Back"),
            },
        },
        {"type": "button", "action_id": "reject", "style": "danger", "text": plain("Reject…"), "value": "signed"},
    ],
}
SPEED = {"type": "static_select", "action_id": "speed", "options": [option("fast"), option("slow")]}
FORM = {
    "type": "modal",
    "callback_id": "reject_form",
    "title": plain("Reject"),
    "submit": plain("Reject"),
    "close": plain("Back"),
    "blocks": [
        entry("reason", "Reason", "plain_text_input", multiline=True, min_length=5),
        entry("severity", "Severity", "static_select", options=[option("low"), option("high")]),
        entry("after", "And then", "checkboxes", options=[option("page"), option("freeze")]),
        entry("when", "Until", "datepicker", initial_date="2026-03-01"),
    ],
}


@asynccontextmanager
async def open_small_app(page: Path) -> AsyncIterator[SmallApp]:
    async with open_local_slack(page=page, ack_seconds=ACK_SECONDS) as slack:
        client = AsyncWebClient(slack.bot_token, base_url=slack.api_url)
        small = SmallApp(slack, client)
        app = AsyncApp(client=client)
        app.command("/incident")(small.on_command)
        app.action("approve")(small.on_approve)
        app.action("reject")(small.on_reject)
        app.action("speed")(small.on_other)
        app.view("reject_form")(small.on_other)
        app.event("message")(small.on_other)
        app.event("app_mention")(small.on_other)
        handler = AsyncSocketModeHandler(app, slack.app_token)
        await handler.connect_async()
        try:
            await slack.connected()
            yield small
        finally:
            small.may_answer.set()
            await handler.close_async()


@asynccontextmanager
async def in_socket_mode(app: AsyncApp, slack: LocalSlack) -> AsyncIterator[None]:
    """The app connected over one more socket."""
    before = slack.sockets.connections
    handler = AsyncSocketModeHandler(app, slack.app_token, ping_interval=1)
    try:
        await handler.connect_async()
        async with asyncio.timeout(10):
            while slack.sockets.connections == before:
                await asyncio.sleep(0.01)
        yield
    finally:
        await handler.close_async()
