"""The control routes that the page uses, and the journal."""

import aiohttp
import pytest
from slack_bolt.async_app import AsyncApp
from slack_sdk.errors import SlackApiError

from tests.integration.slack.apps import BUTTONS, FORM, in_socket_mode


@pytest.fixture
async def told(slack, client):
    """A connected app that opens a form when its button is pressed."""
    heard = []
    app = AsyncApp(client=client)

    async def on_click(ack, body):
        heard.append(body)
        await client.views_open(trigger_id=body["trigger_id"], view=FORM)
        await ack()

    async def on_other(ack, body):
        heard.append(body)
        await ack()

    app.action("approve")(on_click)
    app.command("/incident")(on_other)
    app.view("reject_form")(on_other)
    async with in_socket_mode(app, slack):
        yield heard


@pytest.fixture
def act(slack, http):
    async def acting(name, /, **given):
        async with http.post(f"{slack.page_url}control/{name}", json=given) as answer:
            return answer.status, await answer.json()

    return acting


async def test_a_person_says_commands_clicks_and_submits_through_the_routes(slack, client, act, told):
    ada = slack.people["ada"]
    sent = await client.chat_postMessage(channel=slack.channel_id, text="x", blocks=[BUTTONS])

    assert (await act("say", user=ada, text="hello"))[1]["ts"] == slack.messages()[-1]["ts"]
    assert (await act("command", user=ada, command="/incident", text="help"))[1]["acked"]
    assert (await act("click", user=ada, ts=sent["ts"], action_id="approve"))[1]["acked"]
    values = {"reason": "not now", "severity": "low", "after": ["page"]}
    assert (await act("submit", user=ada, values=values))[1]["acked"]

    assert [one.get("type", "command") for one in told] == ["command", "block_actions", "view_submission"]
    assert slack.view(ada) is None


async def test_closing_a_modal_and_reloading_forget_what_only_that_person_saw(slack, client, act, told):
    ada = slack.people["ada"]
    sent = await client.chat_postMessage(channel=slack.channel_id, text="x", blocks=[BUTTONS])
    await client.chat_postEphemeral(channel=slack.channel_id, user=ada, text="only you")
    await act("click", user=ada, ts=sent["ts"], action_id="approve")

    await act("close_view", user=ada)
    await act("reload", user=ada)

    assert slack.view(ada) is None
    assert slack.ephemerals(ada) == []


@pytest.mark.parametrize(
    ("name", "given", "error"),
    [
        ("click", {"user": "U0ADAONCAL", "ts": "1.1", "action_id": "approve"}, "message_not_found"),
        ("click", {"user": "U0ADAONCAL"}, "invalid_arguments"),
        ("submit", {"user": "U0ADAONCAL"}, "not_found"),
        ("say", {"user": "U0NOBODY", "text": "x"}, "user_not_found"),
        ("say", {"user": "U0ADAONCAL", "text": "x", "channel": "C0NOWHERE"}, "channel_not_found"),
        ("play", {"user": "U0ADAONCAL", "name": "none"}, "incident_not_found"),
        ("fault", {"method": "*", "kind": "explode"}, "invalid_arguments"),
        ("fault", {"method": "*", "kind": "429", "value": "soon"}, "invalid_arguments"),
        ("fault", {"method": "*", "kind": "error"}, "invalid_arguments"),
        ("disconnect", {"reason": "boredom"}, "invalid_arguments"),
        ("advance", {"seconds": "-1"}, "invalid_arguments"),
    ],
)
async def test_what_a_person_may_not_do_is_400_with_slacks_word(act, name, given, error):
    status, answer = await act(name, **given)

    assert (status, answer["ok"], answer["error"]) == (400, False, error)


async def test_faults_sockets_and_the_clock_are_ordered_through_the_routes(slack, client, act, told):
    await act("fault", method="auth.test", kind="error", value="token_revoked", times=2)
    with pytest.raises(SlackApiError, match="token_revoked"):
        await client.auth_test()
    await act("clear_faults")
    await client.auth_test()

    before = slack.workspace.now()
    await act("advance", seconds=600)
    assert slack.workspace.now() - before >= 600
    assert (await act("drop_sockets"))[1]["count"] == 1
    await slack.connected(seconds=20)
    assert (await act("disconnect", reason="warning"))[0] == 200


async def test_the_journal_has_every_call_delivery_and_act_and_no_token(slack, client, http, act, told):
    ada = slack.people["ada"]
    sent = await client.chat_postMessage(channel=slack.channel_id, text="x", blocks=[BUTTONS], token=slack.bot_token)
    await act("click", user=ada, ts=sent["ts"], action_id="approve")

    async with http.get(f"{slack.page_url}control/journal") as answer:
        text = await answer.text()
        entries = (await answer.json())["entries"]

    names = [(one["direction"], one["name"]) for one in entries]
    wanted = [("call", "chat.postMessage"), ("call", "views.open"), ("delivery", "interactive"), ("control", "click")]
    assert [one for one in names if one in wanted] == wanted
    assert entries[names.index(("delivery", "interactive"))]["answer"]["acked"]
    assert slack.bot_token not in text
    assert slack.app_token not in text


async def test_the_state_is_what_one_person_sees(slack, client, http):
    await client.chat_postEphemeral(channel=slack.channel_id, user=slack.people["ada"], text="only you")

    async def seen_by(name):
        async with http.get(f"{slack.page_url}control/state", params={"user": slack.people[name]}) as answer:
            return await answer.json()

    assert [one["text"] for one in (await seen_by("ada"))["messages"]] == ["only you"]
    assert (await seen_by("linus"))["messages"] == []
    assert [one["name"] for one in (await seen_by("gus"))["channels"]] == ["incidents"]


async def test_a_reset_leaves_people_and_channels_and_nothing_else(slack, client, act):
    await client.chat_postMessage(channel=slack.channel_id, text="x")
    slack.fault("*", "error", "internal_error")

    await act("reset")

    assert slack.messages() == []
    assert [one.name for one in slack.journal.entries] == ["reset"]
    assert (await client.auth_test())["ok"]


async def test_a_page_of_somebody_else_can_do_nothing(slack, http):
    url = f"{slack.page_url}control/say"
    said = {"user": slack.people["ada"], "text": "x"}

    async with http.post(url, json=said, headers={"Origin": "https://evil.example"}) as answer:
        assert answer.status == 403
    async with http.post(url, json=said, headers={"Host": "evil.example"}) as answer:
        assert answer.status == 403
    async with http.post(url, data='{"user": "U0ADAONCAL"}', headers={"Content-Type": "text/plain"}) as answer:
        assert answer.status == 415
    async with http.post(f"{slack.page_url}control/unknown", json={}) as answer:
        assert answer.status == 404
    assert slack.messages() == []


async def test_state_is_pushed_after_each_change(slack, client, http):
    url = f"{slack.page_url}control/events"
    async with http.get(url, params={"user": slack.people["ada"]}, timeout=aiohttp.ClientTimeout(5)) as stream:
        assert '"messages": []' in (await stream.content.readline()).decode()
        await client.chat_postMessage(channel=slack.channel_id, text="news of a crash")
        while "news of a crash" not in (await stream.content.readline()).decode():
            pass
