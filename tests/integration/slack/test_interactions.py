"""Clicks, commands and modals with the real Bolt: what the app is told, and what its answers do."""

import pytest
from slack_bolt.async_app import AsyncApp
from slack_sdk.errors import SlackApiError
from slack_sdk.webhook.async_client import AsyncWebhookClient

from bot.demo.slack.refusal import SlackRefusal
from tests.integration.slack.apps import BUTTONS, FORM, HEADER, SPEED, entry, in_socket_mode, mrkdwn, plain, section

ERRORS = {"response_action": "errors", "errors": {"reason_block": "Say more."}}
FILLED = {"reason": "not during the sale", "severity": "low", "after": ["page"]}


class Recorder:
    """Acknowledges with what a test sets, and keeps what it was told."""

    def __init__(self):
        self.told, self.answer = [], {}

    async def on_anything(self, ack, body):
        self.told.append(body)
        await ack(**self.answer)


@pytest.fixture
async def app(slack, client):
    recorder = Recorder()
    app = AsyncApp(client=client)
    for action in ("approve", "reject", "speed", "more"):
        app.action(action)(recorder.on_anything)
    app.command("/incident")(recorder.on_anything)
    app.view("reject_form")(recorder.on_anything)
    app.view_closed("reject_form")(recorder.on_anything)
    async with in_socket_mode(app, slack):
        yield recorder


@pytest.fixture
def ada(slack):
    return slack.people["ada"]


async def post(slack, client, *blocks, **more):
    sent = await client.chat_postMessage(channel=slack.channel_id, text="a card", blocks=list(blocks), **more)
    return sent["ts"]


async def error_of(call):
    with pytest.raises(SlackApiError) as error:
        await call
    return error.value.response["error"]


@pytest.fixture
async def clicked(slack, client, app, ada):
    """What a click told the app: its trigger id and response URL are fresh."""

    async def click(action="approve"):
        ts = await post(slack, client, HEADER, BUTTONS)
        await slack.click(ada, ts, action)
        return app.told[-1]

    return click


# Clicks


async def test_a_click_tells_who_what_where_and_shows_the_message_as_it_was(slack, client, app, ada):
    root = await post(slack, client, HEADER)
    ts = await post(slack, client, HEADER, BUTTONS, thread_ts=root)

    answer = await slack.click(ada, ts, "approve")

    assert answer.is_acked
    (told,) = app.told
    (action,) = told["actions"]
    block_id = slack.message(ts)["blocks"][1]["block_id"]
    assert (told["user"]["id"], told["team"]["id"], told["api_app_id"]) == (ada, "T0LOCAL01", "A0LOCAL01")
    assert told["container"] == {
        "type": "message",
        "message_ts": ts,
        "channel_id": slack.channel_id,
        "is_ephemeral": False,
        "thread_ts": root,
    }
    assert (action["block_id"], action["value"], action["type"]) == (block_id, "signed", "button")
    assert float(action["action_ts"]) > float(ts)
    assert told["message"]["blocks"] == slack.message(ts)["blocks"]
    assert "metadata" not in told["message"]


async def test_a_select_is_told_with_its_state_and_the_next_click_still_knows_it(slack, client, app, ada):
    ts = await post(slack, client, {"type": "section", "text": mrkdwn("How fast?"), "accessory": SPEED}, BUTTONS)

    await slack.click(ada, ts, "speed", value="slow")
    await slack.click(ada, ts, "approve")

    assert app.told[0]["actions"][0]["selected_option"]["value"] == "slow"
    (chosen,) = [one["speed"] for one in app.told[1]["state"]["values"].values() if "speed" in one]
    assert chosen["selected_option"]["value"] == "slow"
    with pytest.raises(SlackRefusal, match="option_not_found"):
        await slack.click(ada, ts, "speed", value="warp")


async def test_an_element_that_is_no_longer_on_the_message_cannot_be_clicked(slack, client, app, ada):
    ts = await post(slack, client, HEADER, BUTTONS)
    await client.chat_update(channel=slack.channel_id, ts=ts, text="decided", blocks=[HEADER])

    with pytest.raises(SlackRefusal, match="element_not_found"):
        await slack.click(ada, ts, "approve")
    await client.chat_delete(channel=slack.channel_id, ts=ts)
    with pytest.raises(SlackRefusal, match="message_not_found"):
        await slack.click(ada, ts, "approve")
    assert app.told == []


async def test_a_button_of_a_block_that_was_replaced_cannot_be_clicked_by_its_old_block_id(slack, client, app, ada):
    ts = await post(slack, client, {**BUTTONS, "block_id": "before"})
    await client.chat_update(channel=slack.channel_id, ts=ts, text="x", blocks=[{**BUTTONS, "block_id": "after"}])

    with pytest.raises(SlackRefusal, match="element_not_found"):
        await slack.click(ada, ts, "approve", block_id="before")
    assert (await slack.click(ada, ts, "approve", block_id="after")).is_acked


async def test_nobody_clicks_in_a_channel_they_are_not_in(slack, client, app):
    sent = await client.chat_postMessage(channel="C0GENERAL1", text="x", blocks=[BUTTONS])

    with pytest.raises(SlackRefusal, match="not_in_channel"):
        await slack.click(slack.people["gus"], sent["ts"], "approve")
    with pytest.raises(SlackRefusal, match="not_in_channel"):
        await slack.say(slack.people["gus"], "hello", channel="C0GENERAL1")


# Trigger ids


async def test_a_trigger_id_opens_one_modal_for_who_clicked(slack, client, clicked, ada):
    trigger = (await clicked())["trigger_id"]

    opened = await client.views_open(trigger_id=trigger, view=FORM)

    assert slack.view(ada)["id"] == opened["view"]["id"]
    assert slack.view(slack.people["linus"]) is None
    assert await error_of(client.views_open(trigger_id=trigger, view=FORM)) == "exchanged_trigger_id"
    assert await error_of(client.views_open(trigger_id="1.2.3", view=FORM)) == "invalid_trigger_id"


async def test_a_trigger_id_lives_three_seconds(slack, client, clicked):
    early, late = (await clicked())["trigger_id"], (await clicked())["trigger_id"]

    slack.advance(1.5)  # a loaded machine takes time of its own
    await client.views_open(trigger_id=early, view=FORM)
    slack.advance(1.6)

    assert await error_of(client.views_open(trigger_id=late, view=FORM)) == "expired_trigger_id"


# Response URLs


async def test_a_response_url_serves_five_times(slack, clicked, http):
    url = (await clicked())["response_url"]
    hook = AsyncWebhookClient(url, session=http)

    answers = [await hook.send(text=str(number)) for number in range(6)]

    assert [one.status_code for one in answers] == [200] * 5 + [404]
    assert '"used_url"' in answers[-1].body
    assert [one["text"] for one in slack.ephemerals(slack.people["ada"])] == ["0", "1", "2", "3", "4"]


async def test_a_response_url_lives_thirty_minutes(slack, clicked, http):
    hook = AsyncWebhookClient((await clicked())["response_url"], session=http)
    slack.advance(29 * 60)
    assert (await hook.send(text="in time")).status_code == 200
    slack.advance(2 * 60)
    assert '"expired_url"' in (await hook.send(text="late")).body


async def test_a_response_url_replaces_deletes_or_adds_for_everybody(slack, client, app, ada, http):
    ts = await post(slack, client, HEADER, BUTTONS)
    await slack.click(ada, ts, "approve")
    hook = AsyncWebhookClient(app.told[-1]["response_url"], session=http)

    await hook.send(text="decided", replace_original=True, blocks=[section("decided")])
    assert slack.message(ts)["blocks"][0]["text"]["text"] == "decided"
    await hook.send(text="by Ada", response_type="in_channel")
    assert slack.messages()[-1]["text"] == "by Ada"
    await hook.send(delete_original=True)
    assert ts not in [one["ts"] for one in slack.messages()]


async def test_an_ephemeral_message_is_changed_by_its_response_url_alone(slack, client, app, ada, http):
    sent = await client.chat_postEphemeral(channel=slack.channel_id, user=ada, text="x", blocks=[BUTTONS])
    await slack.click(ada, sent["message_ts"], "approve")

    assert "message" not in app.told[-1]
    assert app.told[-1]["container"]["is_ephemeral"]
    await AsyncWebhookClient(app.told[-1]["response_url"], session=http).send(text="changed", replace_original=True)
    assert [one["text"] for one in slack.ephemerals(ada)] == ["changed"]
    with pytest.raises(SlackRefusal):
        await slack.click(slack.people["linus"], sent["message_ts"], "approve")


async def test_the_answer_of_a_command_is_for_its_person_unless_it_says_otherwise(slack, app, ada):
    app.answer = {"text": "only you"}
    await slack.command(ada, "/incident", "help")
    app.answer = {"text": "everybody", "response_type": "in_channel"}
    await slack.command(ada, "/incident", "help")

    assert [one["text"] for one in slack.ephemerals(ada)] == ["only you"]
    assert [one["text"] for one in slack.messages()] == ["everybody"]
    assert (app.told[0]["command"], app.told[0]["channel_id"]) == ("/incident", slack.channel_id)


# Views


@pytest.fixture
async def form(client, clicked):
    """A modal on Ada's screen."""
    opened = await client.views_open(trigger_id=(await clicked())["trigger_id"], view=FORM)
    return opened["view"]


async def test_a_submission_carries_every_input_and_closes_the_modal(slack, app, form, ada):
    await slack.submit_view(ada, FILLED)

    told = app.told[-1]
    values = told["view"]["state"]["values"]
    assert (told["type"], told["view"]["id"], told["view"]["callback_id"]) == (
        "view_submission",
        form["id"],
        "reject_form",
    )
    assert values["reason_block"]["reason"] == {"type": "plain_text_input", "value": "not during the sale"}
    assert values["severity_block"]["severity"]["selected_option"]["value"] == "low"
    assert [one["value"] for one in values["after_block"]["after"]["selected_options"]] == ["page"]
    assert values["when_block"]["when"]["selected_date"] == "2026-03-01"
    assert slack.view(ada) is None


async def test_what_is_missing_never_reaches_the_app(slack, app, form, ada):
    with pytest.raises(SlackRefusal, match="incomplete"):
        await slack.submit_view(ada, {"reason": "no"})

    assert [one["type"] for one in app.told] == ["block_actions"]
    assert slack.view(ada)["errors"] == {
        "reason_block": "Please enter at least 5 characters.",
        "severity_block": "Please complete this required field.",
        "after_block": "Please complete this required field.",
    }


async def test_errors_stand_at_their_inputs_and_the_modal_stays(slack, app, form, ada):
    app.answer = ERRORS
    await slack.submit_view(ada, FILLED)
    assert slack.view(ada)["errors"] == {"reason_block": "Say more."}

    app.answer = {}
    await slack.submit_view(ada, FILLED)
    assert slack.view(ada) is None


async def test_an_update_replaces_the_modal_and_a_push_lies_upon_it(slack, app, form, ada):
    app.answer = {"response_action": "update", "view": {**FORM, "title": plain("Again")}}
    await slack.submit_view(ada, FILLED)
    assert (slack.view(ada)["id"], slack.view(ada)["title"]["text"]) == (form["id"], "Again")

    app.answer = {"response_action": "push", "view": {**FORM, "title": plain("Sure?")}}
    await slack.submit_view(ada, FILLED)
    assert (slack.view(ada)["previous_view_id"], slack.view(ada)["root_view_id"]) == (form["id"], form["id"])

    app.answer = {"response_action": "clear"}
    await slack.submit_view(ada, FILLED)
    assert slack.view(ada) is None


async def test_three_views_lie_upon_each_other_and_no_fourth(slack, client, clicked, form, ada):
    for number in (2, 3):
        view = {**FORM, "title": plain(str(number))}
        await client.views_push(trigger_id=(await clicked())["trigger_id"], view=view)
    assert slack.view(ada)["title"]["text"] == "3"

    fourth = client.views_push(trigger_id=(await clicked())["trigger_id"], view=FORM)
    assert await error_of(fourth) == "push_limit_reached"
    await slack.close_view(ada)
    assert slack.view(ada)["title"]["text"] == "2"


async def test_an_update_with_an_old_hash_is_refused(client, form):
    update = {"view_id": form["id"], "view": FORM}

    changed = await client.views_update(**update, hash=form["hash"])
    assert changed["view"]["hash"] != form["hash"]
    assert await error_of(client.views_update(**update, hash=form["hash"])) == "hash_conflict"
    assert await error_of(client.views_update(view_id="V0NOWHERE", view=FORM)) == "not_found"


async def test_closing_is_told_only_to_an_app_that_asked_for_it(slack, client, app, form, clicked, ada):
    await slack.close_view(ada)
    assert "view_closed" not in [one["type"] for one in app.told]

    view = {**FORM, "notify_on_close": True}
    await client.views_open(trigger_id=(await clicked())["trigger_id"], view=view)
    await slack.close_view(ada)
    assert (app.told[-1]["type"], app.told[-1]["is_cleared"]) == ("view_closed", False)


async def test_a_button_in_a_modal_is_told_with_what_was_entered_so_far(slack, client, app, clicked, ada):
    more = {"type": "actions", "elements": [{"type": "button", "action_id": "more", "text": plain("More")}]}
    view = {**FORM, "blocks": [entry("reason", "Reason", "plain_text_input"), more]}
    await client.views_open(trigger_id=(await clicked())["trigger_id"], view=view)

    await slack.click_in_view(ada, "more", values={"reason": "half a sent"})

    told = app.told[-1]
    assert told["container"] == {"type": "view", "view_id": slack.view(ada)["id"]}
    assert told["view"]["state"]["values"]["reason_block"]["reason"]["value"] == "half a sent"
    assert (await client.views_push(trigger_id=told["trigger_id"], view=FORM))["ok"]


async def test_a_notice_without_submit_cannot_be_submitted(slack, client, clicked, ada):
    notice = {"type": "modal", "title": plain("Notice"), "blocks": [section("No.")]}
    await client.views_open(trigger_id=(await clicked())["trigger_id"], view=notice)

    with pytest.raises(SlackRefusal, match="no_submit"):
        await slack.submit_view(ada)
