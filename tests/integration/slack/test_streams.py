"""Streams: a message that grows, for 306 seconds at most; with the SDK's own helper."""

import pytest
from slack_sdk.errors import SlackApiError
from slack_sdk.models.messages.chunk import MarkdownTextChunk, PlanUpdateChunk, TaskUpdateChunk

from tests.integration.slack.apps import section


@pytest.fixture
def to_ada(slack):
    return {
        "channel": slack.channel_id,
        "recipient_user_id": slack.people["ada"],
        "recipient_team_id": slack.workspace.team_id,
    }


@pytest.fixture
async def root(slack, client):
    return (await client.chat_postMessage(channel=slack.channel_id, text="a card"))["ts"]


async def error_of(call):
    with pytest.raises(SlackApiError) as error:
        await call
    return error.value.response["error"]


async def test_the_sdks_helper_writes_a_whole_answer(slack, client, to_ada, root):
    stream = await client.chat_stream(**to_ada, thread_ts=root, buffer_size=8)
    await stream.append(markdown_text="Two pods ")
    await stream.append(markdown_text="crash.")
    await stream.stop(blocks=[section("done")])

    (message,) = slack.thread(root)
    assert message["text"] == "Two pods crash."
    assert message["blocks"][-1]["text"]["text"] == "done"


@pytest.mark.parametrize("missing", ["recipient_user_id", "recipient_team_id"])
async def test_a_channel_needs_both_recipients(client, to_ada, root, missing):
    del to_ada[missing]

    assert await error_of(client.chat_startStream(**to_ada, thread_ts=root)) == f"missing_{missing}"


async def test_a_direct_message_needs_no_recipient(slack, client):
    opened = await client.conversations_open(users=[slack.people["ada"]])
    sent = await client.chat_postMessage(channel=opened["channel"]["id"], text="hello")

    assert (await client.chat_startStream(channel=opened["channel"]["id"], thread_ts=sent["ts"]))["ok"]


async def test_a_stream_that_was_stopped_takes_nothing_more(client, to_ada, root):
    started = await client.chat_startStream(**to_ada, thread_ts=root, markdown_text="x")
    where = {"channel": started["channel"], "ts": started["ts"]}
    await client.chat_stopStream(**where)

    assert await error_of(client.chat_appendStream(**where, markdown_text="y")) == "message_not_in_streaming_state"
    assert await error_of(client.chat_stopStream(**where)) == "message_not_in_streaming_state"


async def test_a_stream_ends_after_306_seconds_whatever_is_appended(slack, client, to_ada, root):
    started = await client.chat_startStream(**to_ada, thread_ts=root, markdown_text="x")
    where = {"channel": started["channel"], "ts": started["ts"]}
    slack.advance(305)
    await client.chat_appendStream(**where, markdown_text="y")
    assert await error_of(client.chat_update(**where, text="z")) == "streaming_state_conflict"

    slack.advance(1)

    assert await error_of(client.chat_appendStream(**where, markdown_text="z")) == "message_not_in_streaming_state"
    assert await error_of(client.chat_stopStream(**where)) == "message_not_in_streaming_state"
    await client.chat_update(**where, text="whole again")
    assert slack.message(started["ts"])["text"] == "whole again"


async def test_a_person_stops_a_stream_and_the_app_hears_of_it(slack, client, to_ada, root):
    started = await client.chat_startStream(**to_ada, thread_ts=root, markdown_text="x")
    await slack.stop_stream(slack.people["ada"], started["ts"])

    append = client.chat_appendStream(channel=started["channel"], ts=started["ts"], markdown_text="y")
    assert await error_of(append) == "stopped_by_user"
    stopped = await slack.until(
        lambda: [
            one.sent["payload"]["event"]
            for one in slack.journal.deliveries("events_api")
            if one.sent["payload"]["event"]["type"] == "agent_session_stopped"
        ]
    )
    assert (stopped[0]["thread_ts"], stopped[0]["streaming_message_ts"]) == (root, [started["ts"]])


async def test_tasks_of_a_plan_are_replaced_and_their_details_grow(slack, client, to_ada, root):
    started = await client.chat_startStream(**to_ada, thread_ts=root, task_display_mode="plan")
    where = {"channel": started["channel"], "ts": started["ts"]}
    await client.chat_appendStream(**where, chunks=[PlanUpdateChunk(title="Steps")])
    for status, details in (("in_progress", "one "), ("complete", "two")):
        chunk = TaskUpdateChunk(id="1", title=f"Look ({status})", status=status, details=details)
        await client.chat_appendStream(**where, chunks=[chunk])

    (plan,) = slack.message(started["ts"])["blocks"]
    (task,) = plan["tasks"]
    assert (plan["title"], task["title"], task["status"]) == ("Steps", "Look (complete)", "complete")
    assert "one two" in str(task["details"])


@pytest.mark.parametrize(
    ("chunk", "error"),
    [
        (MarkdownTextChunk(text="x" * 12_001), "msg_too_long"),
        ({"type": "task_update", "id": "1", "title": "x", "status": "asleep"}, "invalid_chunks"),
        ({"type": "poem"}, "invalid_chunks"),
    ],
)
async def test_a_chunk_that_slack_refuses_changes_nothing(slack, client, to_ada, root, chunk, error):
    started = await client.chat_startStream(**to_ada, thread_ts=root, markdown_text="before")

    assert (
        await error_of(client.chat_appendStream(channel=started["channel"], ts=started["ts"], chunks=[chunk])) == error
    )
    assert slack.message(started["ts"])["text"] == "before"
