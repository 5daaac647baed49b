"""Blocks that Slack refuses are refused here, with the place and the limit."""

import pytest
from slack_sdk.errors import SlackApiError
from slack_sdk.models.blocks import HeaderBlock, SectionBlock

from bot.demo.slack.blocks import check_blocks, check_view
from tests.integration.slack.apps import BUTTONS, FORM, HEADER, SPEED, entry, mrkdwn, option, plain, section


def button(**changed):
    return {"type": "button", "action_id": "a", "text": plain("Do it"), "value": "v", **changed}


def actions(*elements):
    return {"type": "actions", "elements": list(elements)}


CELL = {"type": "raw_text", "text": "cell"}
TABLE = {"type": "table", "rows": [[CELL]]}
BAD = {
    "no list": ({"type": "divider"}, "must be a list"),
    "51 blocks": ([{"type": "divider"}] * 51, "no more than 50 blocks in a message, these are 51"),
    "an unknown type": ([{"type": "sectoin"}], "unsupported type 'sectoin'"),
    "a block that is no object": (["divider"], "must be an object"),
    "a section of 3,001 characters": ([section("x" * 3_001)], "no more than 3000 characters, this has 3001"),
    "an empty text": ([section("")], "more than 0 characters"),
    "11 fields": ([{"type": "section", "fields": [mrkdwn("x")] * 11}], "no more than 10 items"),
    "a field of 2,001": ([{"type": "section", "fields": [mrkdwn("x" * 2_001)]}], "no more than 2000 characters"),
    "a section of nothing": ([{"type": "section"}], "text or fields"),
    "a header of 151": ([{"type": "header", "text": plain("x" * 151)}], "no more than 150 characters"),
    "a header in mrkdwn": ([{"type": "header", "text": mrkdwn("x")}], "blocks/0/text"),
    "an unknown key": ([{**HEADER, "colour": "red"}], "colour"),
    "26 buttons": ([actions(*[button(action_id=str(n)) for n in range(26)])], "no more than 25 items"),
    "no button": ([actions()], "at least one is needed"),
    "a button's text of 76": ([actions(button(text=plain("x" * 76)))], "no more than 75 characters"),
    "a button's value of 2,001": ([actions(button(value="x" * 2_001))], "no more than 2000 characters"),
    "an unknown style": ([actions(button(style="green"))], "style"),
    "a button in mrkdwn": ([actions(button(text=mrkdwn("x")))], "blocks/0"),
    "a button in a context": ([{"type": "context", "elements": [button()]}], "blocks/0"),
    "11 in a context": ([{"type": "context", "elements": [mrkdwn("x")] * 11}], "no more than 10 items"),
    "one action_id twice": ([actions(button(), button())], "action_id 'a' is used 2 times"),
    "one block_id twice": ([{**HEADER, "block_id": "b"}] * 2, "block_id 'b' is used 2 times"),
    "6 in an overflow": (
        [actions({"type": "overflow", "action_id": "o", "options": [option(str(n)) for n in range(6)]})],
        "no more than 5",
    ),
    "a select without options": ([actions({**SPEED, "options": []})], "blocks/0"),
    "two tables": ([TABLE, TABLE], "one table in a message"),
    "21 columns": ([{"type": "table", "rows": [[CELL] * 21]}], "20"),
    "markdown of 12,001 in all": (
        [{"type": "markdown", "text": "x" * 6_001}, {"type": "markdown", "text": "x" * 6_000}],
        "markdown is 12001 characters in all",
    ),
    "an alert in a message": ([{"type": "alert", "text": mrkdwn("x")}], "modals only"),
    "a pending task alone": (
        [{"type": "task_card", "task_id": "t", "title": "x", "status": "pending"}],
        "may not be pending",
    ),
}


@pytest.mark.parametrize("name", BAD)
async def test_slack_refuses(slack, client, name):
    given, told = BAD[name]

    assert told in "; ".join(check_blocks(given))
    with pytest.raises(SlackApiError) as error:
        await client.api_call("chat.postMessage", json={"channel": slack.channel_id, "text": "x", "blocks": given})
    assert error.value.response["error"] in {"invalid_blocks", "invalid_blocks_format"}
    assert slack.messages() == []
    if error.value.response["error"] == "invalid_blocks":
        assert told in "; ".join(error.value.response["response_metadata"]["messages"])


async def test_more_than_13_200_characters_of_blocks_are_too_long(slack, client):
    blocks = [section("x" * 2_900) for _ in range(4)]
    await client.chat_postMessage(channel=slack.channel_id, text="x", blocks=blocks)

    with pytest.raises(SlackApiError) as error:
        await client.chat_postMessage(channel=slack.channel_id, text="x", blocks=[*blocks, section("x" * 1_500)])

    assert error.value.response["error"] == "msg_blocks_too_long"


GOOD = {
    "a card": [HEADER, section("*Asked by* <@U0LINUSDEV>"), BUTTONS],
    "the sdk's own objects": [HeaderBlock(text="Approval needed"), SectionBlock(text="one")],
    "a section with a select": [{"type": "section", "text": mrkdwn("How fast?"), "accessory": SPEED}],
    "a plan": [
        {
            "type": "plan",
            "title": "Steps",
            "tasks": [{"type": "task_card", "task_id": "1", "title": "Look", "status": "pending"}],
        }
    ],
    "a table": [TABLE],
    "fifty": [{"type": "divider"}] * 50,
}


@pytest.mark.parametrize("name", GOOD)
async def test_slack_takes(slack, client, name):
    assert check_blocks(GOOD[name]) == []
    await client.chat_postMessage(channel=slack.channel_id, text="x", blocks=GOOD[name])
    assert len(slack.messages()) == 1


async def test_blocks_without_an_id_are_given_one_and_others_keep_theirs(slack, client):
    sent = await client.chat_postMessage(
        channel=slack.channel_id, text="x", blocks=[HEADER, {**section("x"), "block_id": "mine"}]
    )

    first, second = sent["message"]["blocks"]
    assert first["block_id"]
    assert second["block_id"] == "mine"


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"title": plain("x" * 25)}, "no more than 24 characters"),
        ({"submit": plain("x" * 25)}, "no more than 24 characters"),
        ({"callback_id": "x" * 256}, "no more than 255 characters"),
        ({"private_metadata": "x" * 3_001}, "no more than 3000 characters"),
        ({"submit": None}, "view"),
        ({"blocks": [{"type": "divider"}] * 101}, "no more than 100 blocks in a modal"),
        ({"type": "model"}, "type 'modal' or 'home'"),
    ],
)
def test_views_have_limits_of_their_own(changed, told):
    assert check_view(FORM) == []
    assert told in "; ".join(check_view({**FORM, **changed}))


def test_an_input_needs_a_submit_button():
    view = {key: value for key, value in FORM.items() if key != "submit"}

    assert "view/submit: required where a modal has an input block" in check_view(view)


def test_an_input_is_for_modals():
    assert check_blocks([entry("reason", "Reason", "plain_text_input")], "modal") == []
