"""What stands between here and Slack may answer, too: pages, texts and half answers are outages, not crashes."""

import itertools
from contextlib import asynccontextmanager

import pytest
from aiohttp import web
from slack_sdk.web.async_client import AsyncWebClient

from bot.publisher import SendFailedError
from bot.slack.cards import Rendering
from bot.slack.connection import open_workspace
from bot.slack.people import People
from bot.slack.sender import CardSender
from core.card_slots import CardSlot
from core.errors import InvalidInputError, NotAllowedError, UnavailableError
from core.resolution import State
from tests.unit.bot.slack.overviews import RESOLUTION, SIGNER, overview

ANSWERS = {
    "HTTP 503, a proxy's page": (503, "text/html", "<html>no upstream</html>"),
    "HTTP 503, a proxy's words": (503, "text/plain", "upstream connect error"),
    "HTTP 200, half an answer": (200, "application/json", '{"ok": tru'),
    "HTTP 502, nothing": (502, "application/json", ""),
    "internal_error, Slack's own": (200, "application/json", '{"ok": false, "error": "internal_error"}'),
}


@asynccontextmanager
async def answering(status, kind, text):
    async def answer(_):
        return web.Response(status=status, content_type=kind, text=text)

    server = web.Application()
    server.router.add_route("*", "/api/{method}", answer)
    runner = web.AppRunner(server, access_log=None, shutdown_timeout=1)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        yield f"http://127.0.0.1:{runner.addresses[0][1]}/api/"
    finally:
        await runner.cleanup()


class OneResolution:
    """The part of the store that a sender reads."""

    async def overview(self, _):
        return overview(State.AWAITING_APPROVAL)

    async def entries(self, _, *, after_seq=0):
        return []


def sender(client, home="C0INCIDENTS"):
    return CardSender(client, OneResolution(), Rendering(SIGNER), home)


SLOT = CardSlot(RESOLUTION, epoch=1, nonce="n-1")


@pytest.mark.parametrize("name", ANSWERS)
async def test_a_card_that_could_not_be_sent_is_to_be_sent_again(http, name):
    async with answering(*ANSWERS[name]) as url:
        with pytest.raises(SendFailedError) as failed:
            await sender(AsyncWebClient("xoxb-1", base_url=url, session=http, retry_handlers=[])).send(SLOT)

    assert failed.value.slot == SLOT
    assert not failed.value.is_lasting
    assert str(failed.value) == f"Slack answered {name.split(',')[0]}."


@pytest.mark.parametrize("name", ANSWERS)
async def test_nobody_is_known_while_slack_does_not_say_who_they_are(http, name):
    people_at = itertools.count()
    async with answering(*ANSWERS[name]) as url:
        client = AsyncWebClient("xoxb-1", base_url=url, session=http, retry_handlers=[])
        people = People(client, "T0LOCAL01", (), lambda: next(people_at))
        with pytest.raises(UnavailableError, match="Slack did not say who this is"):
            await people.actor("U0ADAONCAL", channel="C0INCIDENTS")


@pytest.mark.parametrize("name", ANSWERS)
async def test_a_start_without_slack_is_tried_again(name):
    async with answering(*ANSWERS[name]) as url:
        with pytest.raises(UnavailableError):
            async with open_workspace(token="xoxb-1", api_url=url):
                pass


@pytest.mark.parametrize("error", ["invalid_auth", "token_revoked", "account_inactive"])
async def test_a_start_with_a_refused_token_says_which_and_where_to_take_another(error):
    async with answering(200, "application/json", f'{{"ok": false, "error": "{error}"}}') as url:
        with pytest.raises(InvalidInputError, match=rf"SLACK_BOT_TOKEN \({error}\)"):
            async with open_workspace(token="xoxb-1", api_url=url):
                pass


@pytest.mark.parametrize(
    "error",
    ["channel_not_found", "not_in_channel", "is_archived", "restricted_action", "missing_scope", "token_revoked"],
)
async def test_what_waiting_does_not_mend_is_tried_less_often(http, error):
    async with answering(200, "application/json", f'{{"ok": false, "error": "{error}"}}') as url:
        with pytest.raises(SendFailedError) as failed:
            await sender(AsyncWebClient("xoxb-1", base_url=url, session=http, retry_handlers=[])).send(SLOT)

    assert failed.value.is_lasting


@pytest.mark.parametrize("error", ["channel_not_found", "not_in_channel"])
async def test_who_asks_where_the_app_was_not_invited_is_told_to_invite_it(client, slack, error):
    people = People(client, slack.workspace.team_id, (), lambda: 0.0)
    slack.fault("conversations.members", "error", error)
    with pytest.raises(NotAllowedError, match="/invite me"):
        await people.actor(slack.people["ada"], channel=slack.channel_id)


async def test_a_card_without_a_channel_has_nowhere_to_go(client):
    with pytest.raises(SendFailedError, match="SLACK_CHANNEL is not set") as failed:
        await sender(client, home=None).send(SLOT)

    assert failed.value.is_lasting
