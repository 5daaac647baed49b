"""`/incident rollback` and the same in a thread: shown first, done by whom it may, and each refusal says why."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from sqlalchemy import text

from core.resolution import State
from tests.scenario.conftest import Play, playing


async def scaled(play: Play) -> tuple[str, dict]:
    """A scaling from two to four that was done, and its card."""
    await play.ask("at-limit")
    card = await play.card("Approval needed")
    await play.click(card, "approve")
    await play.thread_with(card, "Resolved")
    assert replicas(play) == 4
    return (await play.newest()).resolution.id, card


@asynccontextmanager
async def playing_with_one_approver(database_url: str) -> AsyncIterator[Play]:
    """Ada; the others are members."""
    async with playing(database_url) as first:
        approver = first.ada
    async with playing(database_url, approvers=approver) as play:
        yield play


def replicas(play: Play) -> int:
    (deployment,) = play.stage.simulator.objects.of("Deployment", "orders")
    return deployment["spec"]["replicas"]


async def typed(play: Play, line: str, *, by: str = "ada") -> str:
    """What the person is told, by the app or, where it refused to answer, by Slack."""
    user = play.slack.people[by]
    answer = await play.slack.command(user, "/incident", line)
    assert answer.is_acked, answer
    return play.slack.ephemerals(user)[-1]["text"]


async def test_the_command_shows_the_values_first_and_its_button_puts_them_back(play):
    id_, card = await scaled(play)

    told = await typed(play, f"rollback {id_[:8]}")

    assert "Nothing is put back until you press its button" in told
    await play.slack.until(lambda: "would be put back as it was: replicas 4 → 2." in str(play.slack.view(play.ada)))
    assert replicas(play) == 4
    await play.slack.submit_view(play.ada)
    await play.thread_with(card, "Rolled back:")
    told = str([one["blocks"] for one in play.slack.thread(card["ts"])])
    assert "was put back as it was: replicas 4 → 2." in told
    assert replicas(play) == 2


async def test_in_its_thread_a_mention_needs_no_id_and_puts_it_back(play):
    id_, card = await scaled(play)

    await play.slack.say(play.ada, f"<@{play.slack.bot_user_id}> rollback", thread_ts=card["ts"])

    await play.until_state(id_, State.ROLLED_BACK)
    assert "Looking at what that undoes" in await play.thread_with(card, "Rolled back:")
    assert replicas(play) == 2


async def test_what_was_rolled_back_already_is_said_and_no_window_opens(play):
    id_, card = await scaled(play)
    await play.slack.say(play.ada, f"<@{play.slack.bot_user_id}> rollback", thread_ts=card["ts"])
    await play.until_state(id_, State.ROLLED_BACK)

    for given in (id_, id_[:6]):
        assert "It has been rolled back already; there is nothing left to undo." in await typed(
            play, f"rollback {given}"
        )
    assert play.slack.view(play.ada) is None
    await play.slack.say(play.ada, f"<@{play.slack.bot_user_id}> rollback", thread_ts=card["ts"])
    await play.thread_with(card, "It has been rolled back already")


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ("rollback", "Which one? Add its id, which stands at the foot of the card."),
        ("rollback zz", "'zz' is not an id"),
        ("rollback 00000000", "None of the last 500 resolutions begins with 00000000."),
        ("rollback 00000000-0000-0000-0000-000000000000", "There is no resolution"),
    ],
)
async def test_a_wrong_id_is_answered_with_what_is_wrong(play, given, told):
    assert told in await typed(play, given)
    assert play.slack.view(play.ada) is None


async def test_what_changed_nothing_has_nothing_to_undo(play):
    await play.ask("crashloop")
    await play.card("Approval needed")
    id_ = (await play.newest()).resolution.id
    nothing = "It changed nothing, so there is nothing to roll back."

    assert nothing in await typed(play, f"rollback {id_[:8]}")
    await typed(play, f"interrupt {id_[:8]} never mind")
    await play.until_state(id_, State.CANCELLED)
    assert nothing in await typed(play, f"rollback {id_[:8]}")
    assert play.slack.view(play.ada) is None


async def test_a_snapshot_whose_time_is_over_is_not_told_as_nothing_changed(play):
    id_, _ = await scaled(play)
    async with play.stage.assembled.intake._store.engine.begin() as connection:
        await connection.execute(text("UPDATE resolution SET snapshot_id = NULL"))

    told = await typed(play, f"rollback {id_[:8]}")

    assert "there is no snapshot of what it did" in told
    assert "the time that snapshots are kept is over" in told


@pytest.mark.parametrize(("who", "told"), [("gus", "guests and bots may not"), ("zoe", "guests and bots may not")])
async def test_who_is_no_full_member_is_refused_and_nothing_is_put_back(play, who, told):
    id_, _ = await scaled(play)

    assert told in await typed(play, f"rollback {id_[:8]}", by=who)
    assert play.slack.view(play.slack.people[who]) is None
    assert replicas(play) == 4


async def test_the_undo_of_its_own_change_needs_no_approver_and_what_goes_beyond_does(database_url):
    async with playing_with_one_approver(database_url) as play:
        id_, _ = await scaled(play)
        play.stage.simulator.objects.remove("Deployment", "orders", "orders-api")
        linus = play.slack.people["linus"]

        await typed(play, f"rollback {id_[:8]}", by="linus")
        await play.slack.until(lambda: "asked on the card before" in str(play.slack.view(linus)))
        await play.slack.submit_view(linus)
        await play.slack.until(lambda: next((one for one in play.slack.messages() if "beyond" in str(one)), None))
        asked = await play.card("Resolved")
        assert "make Deployment orders/orders-api again (replicas 2, image" in str(asked["blocks"])
        await play.click(asked, "approve", by="linus")
        refused = play.slack.ephemerals(linus)[-1]["text"]

        assert "approve" in refused
        assert list(play.stage.simulator.objects.of("Deployment", "orders")) == []
        await play.click(asked, "approve")
        await play.until_state(id_, State.ROLLED_BACK)
        assert replicas(play) == 2


async def test_a_member_who_is_no_approver_may_undo_its_own_change(database_url):
    async with playing_with_one_approver(database_url) as play:
        id_, _ = await scaled(play)
        linus = play.slack.people["linus"]

        await typed(play, f"rollback {id_[:8]}", by="linus")
        await play.slack.until(lambda: "replicas 4 → 2" in str(play.slack.view(linus)))
        await play.slack.submit_view(linus)

        await play.until_state(id_, State.ROLLED_BACK)
        assert replicas(play) == 2


async def test_where_controllers_have_replaced_everything_the_end_does_not_claim_to_have_put_back(play):
    await play.ask("crashloop")
    await play.click(await play.card("Approval needed"), "approve")
    card = await play.card("Resolved")
    resolution = (await play.newest()).resolution

    await play.slack.say(play.ada, f"<@{play.slack.bot_user_id}> rollback", thread_ts=card["ts"])

    assert "Nothing was left to put back: Pod shop/" in await play.thread_with(card, "Rolled back:")
    ended = await play.until_state(resolution.id, State.ROLLED_BACK)
    assert "has been put back" not in ended.resolution.summary
