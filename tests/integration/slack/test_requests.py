"""HTTP mode: signed requests to a real Bolt app, false ones, and tries again."""

import asyncio
from contextlib import asynccontextmanager

import pytest
from aiohttp import web

from bot.slack.app import EVENTS_PATH, answer_request, slack_app
from tests.integration.slack.apps import BUTTONS


@asynccontextmanager
async def served(handler):
    """The handler at the app's request URL on this machine."""
    server = web.Application()
    server.router.add_post(EVENTS_PATH, handler)
    runner = web.AppRunner(server, access_log=None, shutdown_timeout=1)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        yield f"http://127.0.0.1:{runner.addresses[0][1]}{EVENTS_PATH}"
    finally:
        await runner.cleanup()


@pytest.fixture
async def told():
    return []


@pytest.fixture(autouse=True)
def environment(request, monkeypatch):
    for name in getattr(request, "param", ()):
        monkeypatch.setenv(name, "of-another-app")


@pytest.fixture
async def requests(slack, client, told):
    """The way to a Bolt app that checks signatures; events, commands and clicks are all recorded."""

    class Listeners:
        def register(self, app):
            app.command("/incident")(note)
            app.action("approve")(note)
            app.event("app_mention")(note_event)

    async def note(ack, body):
        told.append(body)
        await ack()

    async def note_event(body):
        told.append(body)

    app = slack_app(client, signing_secret=slack.signing_secret, clerks=[Listeners()])

    async def handler(request):
        return await answer_request(app, request)

    async with served(handler) as url:
        yield slack.deliver_by_http(url)


async def until(condition):
    async with asyncio.timeout(5):
        while not condition():
            await asyncio.sleep(0.01)


COMMAND = {"command": "/incident", "text": "help", "user_id": "U0ADAONCAL", "team_id": "T0LOCAL01"}


OAUTH = ("SLACK_CLIENT_ID", "SLACK_CLIENT_SECRET")


@pytest.mark.parametrize("environment", [(), OAUTH, (*OAUTH, "SLACK_BOT_TOKEN")], indirect=True, ids=" ".join)
async def test_commands_clicks_and_events_arrive_with_signatures_that_bolt_accepts(slack, client, requests, told):
    ada = slack.people["ada"]
    sent = await client.chat_postMessage(channel=slack.channel_id, text="x", blocks=[BUTTONS])

    assert (await slack.command(ada, "/incident", "status & <more> é")).is_acked
    assert (await slack.click(ada, sent["ts"], "approve")).is_acked
    slack.workspace.events.put_nowait({"type": "app_mention", "text": "x", "user": ada})
    await until(lambda: len(told) == 3)

    assert told[0]["text"] == "status & <more> é"
    assert told[1]["actions"][0]["value"] == "signed"
    assert told[2]["event"]["type"] == "app_mention"


@pytest.mark.parametrize(
    ("false", "status"),
    [({}, 200), ({"seconds_old": 240}, 200), ({"seconds_old": 360}, 401), ({"secret": "another"}, 401)],
    ids=["right", "four minutes old", "six minutes old", "another secret"],
)
async def test_only_a_fresh_request_with_the_right_signature_is_let_in(requests, told, false, status):
    assert (await requests.send("slash_commands", COMMAND, **false))[0] == status
    assert bool(told) is (status == 200)


@pytest.mark.parametrize(
    "headers",
    [
        {"X-Slack-Signature": ""},
        {"X-Slack-Signature": "v0=" + "0" * 64},
        {"X-Slack-Request-Timestamp": ""},
        {"X-Slack-Request-Timestamp": "soon"},
        {"X-Slack-Request-Timestamp": "9" * 5_000},
        {"X-Slack-Request-Timestamp": "-1"},
    ],
)
async def test_a_request_without_signature_or_time_is_refused(slack, requests, told, headers):
    """A time that is no number, too: nothing of such a request reaches a listener or the channel."""
    command = {**COMMAND, "channel_id": slack.channel_id}

    assert (await requests.send("slash_commands", command, headers=headers))[0] == 401
    assert told == []
    assert slack.journal.calls("chat.postEphemeral") == []


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("application/json", b"{"),
        ("application/json", b"[1]"),
        ("application/json", b"\xff"),
        ("application/json; charset=none", b"{}"),
        ("application/x-www-form-urlencoded", b"payload=%7B"),
        ("application/x-www-form-urlencoded", b"payload=1"),
        ("text/plain", b""),
    ],
)
async def test_a_body_that_slack_never_sends_is_refused_without_a_word(slack, requests, http, told, kind, body):
    async with http.post(requests.url, data=body, headers={"Content-Type": kind}) as answer:
        assert answer.status == 401
    assert told == []


async def test_the_challenge_of_a_new_request_url_is_answered(requests):
    status, _, text = await requests.send("events_api", {"type": "url_verification", "challenge": "c-1"})

    assert status == 200
    assert "c-1" in text


async def test_an_event_is_tried_again_with_its_number_and_reason(slack):
    seen = []

    async def failing(request):
        seen.append((request.headers.get("X-Slack-Retry-Num"), request.headers.get("X-Slack-Retry-Reason")))
        return web.Response(status=200 if len(seen) == 3 else 500)

    async with served(failing) as url:
        slack.deliver_by_http(url)
        slack.workspace.events.put_nowait({"type": "app_mention", "text": "x"})
        await until(lambda: len(seen) == 3)

    assert seen == [(None, None), ("1", "http_error"), ("2", "http_error")]


async def test_a_server_that_is_not_there_is_told_to_the_person(slack):
    slack.deliver_by_http("http://127.0.0.1:9/slack/events")

    answer = await slack.command(slack.people["ada"], "/incident", "help")

    assert (answer.is_acked, answer.reason) == (False, "connection_failed")
    assert "dispatch_failed" in slack.notice(slack.people["ada"])


async def test_requests_leave_this_machine_never(slack):
    for url in ("http://192.0.2.1/slack/events", "https://example.com/slack/events"):
        with pytest.raises(ValueError, match="this machine only"):
            slack.deliver_by_http(url)
