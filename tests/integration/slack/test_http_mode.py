"""The product without an app token: Slack's signed requests come to the service's own /slack/events."""

import asyncio
import base64
from contextlib import asynccontextmanager

import aiohttp
import pytest

from bot.demo.play import Wanted, open_stage
from bot.slack.app import EVENTS_PATH
from core.resolution import State
from tests.postgres import SNAPSHOT_KEY
from tests.scenario.conftest import Play, buttons_of

SECRET = "the signing secret of the app"


@asynccontextmanager
async def playing_by_http(database_url):
    """The demo's stage in HTTP mode, and the way in which the local Slack sends to it."""
    stop, key = asyncio.Event(), base64.b64encode(SNAPSHOT_KEY).decode()
    changed = {
        "database_url": database_url,
        "snapshot_key": key,
        "signing_key": key,
        "slack_app_token": None,
        "slack_signing_secret": SECRET,
    }
    wanted = Wanted(port=0, slack_port=0, page=None, changed=changed)
    async with open_stage(wanted) as stage, aiohttp.ClientSession() as http, asyncio.TaskGroup() as group:
        group.create_task(stage.assembled.service.run(stop))
        try:
            stage.slack.signing_secret = SECRET
            way = stage.slack.deliver_by_http(stage.assembled.service.url + EVENTS_PATH)
            play = Play(stage, http)
            await until_ready(play)
            yield play, way
        finally:
            stop.set()


async def until_ready(play):
    async with asyncio.timeout(20):
        while (await play.get("/readyz"))[0] != 200:
            await asyncio.sleep(0.05)


@pytest.fixture
async def at_http(database_url):
    async with playing_by_http(database_url) as running:
        yield running


async def test_a_command_a_click_and_a_form_come_as_signed_requests_and_do_what_they_do_by_socket(at_http):
    play, _ = at_http
    await play.ask("crashloop")
    card = await play.card("Approval needed")
    await play.click(card, "reject")
    await play.slack.submit_view(play.ada, {"reason": "not during the sale"})
    card = await play.card("Rejected")
    assert "not during the sale" in str(card["blocks"])

    await play.click(card, "ask_again")
    card = await play.card("Approval needed")
    answer = await play.click(card, "approve")
    await play.thread_with(card, "Resolved")

    assert answer.is_acked
    assert play.slack.sockets.connections == 0
    assert play.slack.journal.calls("apps.connections.open") == []
    assert (await play.newest()).resolution.state is State.COMPLETED


async def test_a_mention_comes_as_an_event_and_is_read_as_it_was_typed(at_http):
    play, _ = at_http
    bot = play.slack.bot_user_id

    await play.slack.say(play.ada, f"<@{bot}> resolve pod_restart shop checkout: errors &gt; 5 &amp; rising")
    await play.slack.until(lambda: [one for one in play.slack.workspace.messages if one.blocks], seconds=15)

    assert (await play.newest()).resolution.request.action_description == "checkout: errors > 5 & rising"
    (card,) = [one for one in play.slack.workspace.messages if one.blocks and one.blocks[0]["type"] == "header"]
    assert "errors &gt; 5 &amp; rising" in str(card.blocks)


async def test_false_requests_are_401_and_change_nothing(at_http):
    play, way = at_http
    await play.ask("crashloop")
    card = await play.card("Approval needed")
    (approve,) = [
        one
        for block in card["blocks"]
        if block["type"] == "actions"
        for one in block["elements"]
        if one["action_id"] == "approve"
    ]
    click = {
        "type": "block_actions",
        "user": {"id": play.ada},
        "team": {"id": "T0LOCAL01"},
        "container": {"channel_id": play.slack.channel_id, "message_ts": card["ts"]},
        "channel": {"id": play.slack.channel_id},
        "actions": [{"type": "button", "action_id": "approve", "block_id": "b", "value": approve["value"]}],
    }

    for false in (
        {"secret": "another secret"},
        {"seconds_old": 360},
        {"headers": {"X-Slack-Signature": ""}},
        {"headers": {"X-Slack-Request-Timestamp": "soon"}},
    ):
        status, _, _ = await way.send("interactive", click, **false)
        assert status == 401, false
    assert (await play.newest()).resolution.state is State.AWAITING_APPROVAL
    assert play.slack.ephemerals(play.ada)[1:] == []

    assert (await way.send("interactive", click))[0] == 200
    assert (await play.newest()).approval.decided_by.name == "ada"


async def test_the_same_click_sent_twice_decides_once_and_the_second_is_told_so(at_http):
    play, _ = at_http
    await play.ask("crashloop")
    card = await play.card("Approval needed")

    async with asyncio.TaskGroup() as group:
        for name in ("ada", "grace"):
            group.create_task(play.click(card, "approve", by=name))

    told = [text for name in ("ada", "grace") for text in play.slack.ephemerals(play.slack.people[name])]
    assert ["already approved by" in one["text"] for one in told if "⚠️" in one["text"]] == [True]
    await play.thread_with(card, "Resolved")
    assert "approve" not in buttons_of(play.slack.message(card["ts"]))


async def test_the_route_is_there_in_http_mode_only(at_http):
    play, _ = at_http

    async with play.http.get(play.stage.assembled.service.url + EVENTS_PATH) as answer:
        assert answer.status == 405
