"""The publisher: every due card is sent, none holds up another, and what fails stays due."""

import asyncio
from dataclasses import dataclass, field, replace

import pytest
from structlog.testing import capture_logs

from bot.publisher import GAP_SECONDS, LONG_RETRY_SECONDS, RETRY_SECONDS, Publisher, SendFailedError
from core.card_slots import CardSlot
from core.errors import ResolverError, UnavailableError
from core.resolution import ResolutionId

FIRST, SECOND = (CardSlot(ResolutionId(name), epoch=1, nonce=f"n-{name}") for name in ("r-1", "r-2"))


@dataclass
class MemoryCards:
    """Due cards in a list; `sent` and `failed` are what was recorded, with its seconds."""

    due: list = field(default_factory=list)
    sent: list = field(default_factory=list)
    failed: list = field(default_factory=list)
    claims: int = 0
    is_down: bool = False

    async def claim_cards(self, owner, *, limit):
        self.claims += 1
        if self.is_down:
            raise UnavailableError("The database does not answer.")
        claimed, self.due = self.due[:limit], self.due[limit:]
        return claimed

    async def card_sent(self, slot, *, next_in_seconds):
        if self.is_down:
            raise UnavailableError("The database does not answer.")
        self.sent.append((slot, next_in_seconds))
        return True

    async def card_failed(self, slot, *, retry_in_seconds):
        if self.is_down:
            raise UnavailableError("The database does not answer.")
        self.failed.append((slot, retry_in_seconds))


@dataclass
class ScriptedSender:
    """Sends after `delay` seconds, or raises what is meant for that card."""

    errors: dict = field(default_factory=dict)
    delay: float = 0
    asked: list = field(default_factory=list)

    async def send(self, slot):
        self.asked.append(slot.resolution_id)
        await asyncio.sleep(self.delay)
        if slot.resolution_id in self.errors:
            raise self.errors[slot.resolution_id]
        return replace(slot, ts="1.000001")


async def run_for(publisher, seconds):
    try:
        async with asyncio.timeout(seconds):
            await publisher.run()
    except TimeoutError:
        return


@pytest.mark.looptime
async def test_due_cards_are_sent_at_the_same_time_and_recorded(looptime):
    cards, sender = MemoryCards([FIRST, SECOND]), ScriptedSender(delay=3)

    await run_for(Publisher(cards, sender, "me"), 3.5)

    assert [(slot.resolution_id, seconds) for slot, seconds in cards.sent] == [
        ("r-1", GAP_SECONDS),
        ("r-2", GAP_SECONDS),
    ]
    assert all(slot.ts for slot, _ in cards.sent)


@pytest.mark.looptime
@pytest.mark.parametrize(("is_lasting", "seconds"), [(False, RETRY_SECONDS), (True, LONG_RETRY_SECONDS)])
async def test_a_card_that_failed_keeps_how_far_it_came_and_is_tried_again(is_lasting, seconds):
    come = replace(FIRST, thread_seq=4)
    cards = MemoryCards([FIRST, SECOND])
    publisher = Publisher(
        cards, ScriptedSender({"r-1": SendFailedError("Slack does not answer.", come, is_lasting=is_lasting)}), "me"
    )

    await run_for(publisher, 0.1)

    assert cards.failed == [(come, seconds)]
    assert [slot.resolution_id for slot, _ in cards.sent] == ["r-2"]


@pytest.mark.looptime
@pytest.mark.parametrize(("is_lasting", "warnings"), [(False, 2), (True, 1)])
async def test_what_lasts_is_logged_once_and_not_for_every_card_each_minute(is_lasting, warnings):
    nowhere = {
        str(one.resolution_id): SendFailedError("SLACK_CHANNEL is not set.", one, is_lasting=is_lasting)
        for one in (FIRST, SECOND)
    }
    publisher = Publisher(MemoryCards([FIRST, SECOND]), ScriptedSender(nowhere), "me")

    with capture_logs() as logged:
        await run_for(publisher, 0.1)

    assert len([one for one in logged if one["log_level"] == "warning"]) == warnings


@pytest.mark.looptime
async def test_a_problem_is_told_until_a_card_goes_out_again():
    cards, sender = MemoryCards([FIRST]), ScriptedSender({"r-1": ResolverError("There is no resolution r-1.")})
    publisher = Publisher(cards, sender, "me")
    await run_for(publisher, 0.1)
    assert publisher.problem == "There is no resolution r-1."

    cards.due = [SECOND]
    await run_for(publisher, 0.1)
    assert publisher.problem is None


@pytest.mark.looptime
async def test_a_database_that_is_away_is_asked_again_every_second_and_stops_nothing():
    cards = MemoryCards([FIRST], is_down=True)
    publisher = Publisher(cards, ScriptedSender(), "me")

    await run_for(publisher, 5.5)
    assert cards.claims == 6
    cards.is_down = False
    await run_for(publisher, 0.1)

    assert [slot.resolution_id for slot, _ in cards.sent] == ["r-1"]


@pytest.mark.looptime
async def test_a_database_that_goes_away_while_a_card_is_sent_stops_nothing():
    cards = MemoryCards([FIRST])
    publisher = Publisher(cards, ScriptedSender(delay=1), "me")

    async with asyncio.TaskGroup() as group:
        running = group.create_task(run_for(publisher, 5))
        await asyncio.sleep(0.5)
        cards.is_down = True
        await asyncio.sleep(2)
        cards.is_down, cards.due = False, [SECOND]
        await running

    assert [slot.resolution_id for slot, _ in cards.sent] == ["r-2"]


@pytest.mark.looptime
async def test_a_hint_wakes_it_before_its_second_is_over(looptime):
    cards = MemoryCards()
    publisher = Publisher(cards, ScriptedSender(), "me")

    async with asyncio.TaskGroup() as group:
        running = group.create_task(run_for(publisher, 0.4))
        await asyncio.sleep(0.1)
        cards.due = [FIRST]
        publisher.hint.set()
        await asyncio.sleep(0.1)
        assert [slot.resolution_id for slot, _ in cards.sent] == ["r-1"]
        await running
