"""The product's sender with the local Slack: one card, one thread, nothing twice, whatever was lost."""

import dataclasses

import pytest
from slack_sdk.http_retry.builtin_async_handlers import AsyncRateLimitErrorRetryHandler

from bot.publisher import SendFailedError
from bot.slack.cards import Rendering
from bot.slack.sender import CardSender
from core.approval import ApprovalState
from core.card_slots import CardSlot
from core.history import Happened
from core.resolution import State
from tests.unit.bot.slack.overviews import HOSTILE, RESOLUTION, SIGNER, entry, overview, with_question

SLOT = CardSlot(RESOLUTION, epoch=1, nonce="n-1")


@dataclasses.dataclass
class OneResolution:
    """The part of the store that a sender reads."""

    row: object
    history: list

    async def overview(self, resolution_id):
        return self.row if resolution_id == RESOLUTION else None

    async def entries(self, _, *, after_seq=0):
        return [one for one in self.history if one.seq > after_seq]


@pytest.fixture
def store():
    kinds = (Happened.REQUESTED, Happened.ASSESSED, Happened.COMPLETED)
    return OneResolution(overview(State.COMPLETED), [entry(what, seq=n) for n, what in enumerate(kinds, start=5)])


@pytest.fixture
def sender(slack, client, store):
    return CardSender(client, store, Rendering(SIGNER), slack.channel_id)


def texts(slack, sent):
    return [one["text"].split("\n")[0] for one in slack.thread(sent.ts, sent.channel)]


async def test_a_card_and_its_thread_are_posted_and_the_slot_says_how_far(slack, sender):
    sent = await sender.send(SLOT)

    (card,) = slack.messages()
    assert (sent.channel, sent.ts, sent.sent_seq, sent.thread_seq) == (slack.channel_id, card["ts"], 7, 7)
    assert [one.split()[0] for one in texts(slack, sent)] == ["📣", "✅"]
    assert card["metadata"]["event_payload"] == {"nonce": "n-1", "seq": 0}


async def test_sending_again_updates_the_card_and_posts_only_what_is_new(slack, sender, store):
    sent = await sender.send(SLOT)
    store.row = overview(State.ROLLING_BACK)
    store.history.append(entry(Happened.ROLLBACK_STARTED, seq=8))

    again = await sender.send(sent)

    (card,) = slack.messages()
    assert card["text"].startswith("↩️ Rolling back")
    assert len(texts(slack, again)) == 3
    assert again.thread_seq == 8


@pytest.mark.parametrize("state", list(State), ids=lambda one: one.value)
async def test_slack_takes_the_largest_and_most_hostile_card_and_thread_of_every_state(slack, sender, store, state):
    store.row = overview(state, text=HOSTILE * 20 + '"' * 4_000, many=100)
    store.history = [entry(what, text=HOSTILE * 9 + "\n" * 900, seq=n) for n, what in enumerate(Happened, start=1)]

    sent = await sender.send(SLOT)

    assert len(slack.messages()) == 1
    assert sent.thread_seq == len(Happened)


@pytest.mark.parametrize("lost", ["chat.postMessage", "chat.update"])
async def test_what_was_posted_before_the_answer_was_lost_is_found_again(slack, sender, lost):
    first = SLOT if lost == "chat.postMessage" else dataclasses.replace(await sender.send(SLOT), thread_seq=0)
    slack.fault(lost, "drop", after_effect=True)
    with pytest.raises(SendFailedError, match="does not answer") as failed:
        await sender.send(first)

    sent = await sender.send(dataclasses.replace(failed.value.slot, is_uncertain=True))

    assert len(slack.messages()) == 1
    assert len(texts(slack, sent)) == 2


async def test_a_reply_whose_answer_was_lost_is_not_posted_twice(slack, sender, store):
    sent = await sender.send(SLOT)
    store.history.append(entry(Happened.ROLLBACK_STARTED, seq=8))
    slack.fault("chat.postMessage", "drop", after_effect=True)
    with pytest.raises(SendFailedError) as failed:
        await sender.send(sent)

    again = await sender.send(dataclasses.replace(failed.value.slot, is_uncertain=True))

    assert len(texts(slack, again)) == 3
    assert again.thread_seq == 8


async def test_a_failure_in_the_thread_says_what_was_posted_before_it(slack, sender):
    slack.fault("chat.postMessage", "error", "internal_error", times=1, after_effect=False)
    with pytest.raises(SendFailedError) as failed:
        await sender.send(SLOT)
    assert failed.value.slot.ts is None

    sent = await sender.send(failed.value.slot)
    assert len(texts(slack, sent)) == 2


async def test_a_card_that_somebody_deleted_is_posted_anew(slack, client, sender):
    sent = await sender.send(SLOT)
    await client.chat_delete(channel=sent.channel, ts=sent.ts)

    again = await sender.send(sent)

    assert again.ts != sent.ts
    assert slack.message(again.ts)["text"].startswith("✅ Resolved")


async def test_a_card_asked_for_in_a_thread_is_posted_there(slack, sender):
    asked = await slack.say(slack.people["ada"], "please")

    sent = await sender.send(dataclasses.replace(SLOT, channel=slack.channel_id, reply_to=asked))

    (card, *replies) = slack.thread(asked)
    assert card["ts"] == sent.ts
    assert len(replies) == 2


async def test_a_card_whose_thread_is_gone_is_posted_to_the_channel_with_a_thread_of_its_own(slack, sender, store):
    asked = dataclasses.replace(SLOT, channel=slack.channel_id, reply_to="1.000001")

    sent = await sender.send(asked)
    again = await sender.send(dataclasses.replace(sent, reply_to="1.000001", thread_seq=0))

    assert again.ts == sent.ts
    assert len(slack.thread(sent.ts)) == 4
    assert [one["ts"] for one in slack.messages() if not one.get("thread_ts") or one["ts"] == one["thread_ts"]] == [
        sent.ts
    ]


async def test_a_card_that_may_not_go_where_it_was_asked_for_goes_home(slack, sender):
    slack.workspace.channel("general").members.remove(slack.bot_user_id)
    asked = dataclasses.replace(SLOT, channel="C0GENERAL1", reply_to="1.000001")

    sent = await sender.send(asked)

    assert sent.channel == slack.channel_id
    assert [one["ts"] for one in slack.messages()] == [sent.ts]


async def test_a_rate_limit_is_waited_out(slack, client, sender):
    client.retry_handlers.append(AsyncRateLimitErrorRetryHandler(max_retry_count=1))
    slack.fault("chat.postMessage", "429", 0)

    await sender.send(SLOT)

    assert len(slack.messages()) == 1


def asked(what, row, *, seq, **facts):
    one = entry(what, seq=seq)
    question = row.approvals[-1]
    told = dict(one.entry.facts) | {"approval_id": question.id, "line": question.permit.lines[0].line} | facts
    return dataclasses.replace(one, entry=dataclasses.replace(one.entry, facts=told))


async def test_the_card_of_a_question_is_posted_once_and_loses_its_buttons_where_it_stands(slack, sender, store):
    store.row = with_question(ApprovalState.PENDING)
    store.history = [asked(Happened.QUESTION_ASKED, store.row, seq=5)]
    sent = await sender.send(SLOT)
    (question,) = slack.thread(sent.ts, sent.channel)
    assert question["metadata"]["event_payload"]["question"] == store.row.question.id
    assert question["blocks"][-1]["type"] == "actions"

    store.row = with_question(ApprovalState.APPROVED)
    store.history.append(asked(Happened.QUESTION_ENDED, store.row, seq=6, state="approved"))
    again = await sender.send(sent)

    first, told = slack.thread(sent.ts, sent.channel)
    assert first["ts"] == question["ts"]
    assert not [one for one in first["blocks"] if one["type"] == "actions"]
    assert first["metadata"]["event_payload"] == question["metadata"]["event_payload"]
    assert "approved this line" in told["text"]
    assert again.thread_seq == 6


async def test_a_question_that_ended_before_it_was_posted_is_posted_without_buttons(slack, sender, store):
    store.row = with_question(ApprovalState.EXPIRED)
    store.history = [
        asked(Happened.QUESTION_ASKED, store.row, seq=5),
        asked(Happened.QUESTION_ENDED, store.row, seq=6, state="expired"),
    ]

    sent = await sender.send(SLOT)

    question, told = slack.thread(sent.ts, sent.channel)
    assert not [one for one in question["blocks"] if one["type"] == "actions"]
    assert "Nobody answered" in told["text"]
