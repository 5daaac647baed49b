"""What runs is stopped by a word that was heard, and by the rows where no word came."""

import asyncio
from dataclasses import dataclass
from datetime import UTC, datetime

import pytest

from core.errors import UnavailableError
from core.resolution import ActionType, Person, Request, Resolution, ResolutionId, State
from core.watching import WATCH_SECONDS, Watcher

ADA = Person("slack:T1/U1", "Ada")
NOW = datetime(2026, 1, 1, tzinfo=UTC)
RUNNING = Resolution(
    ResolutionId("r1"), Request("c", "shop", ActionType.POD_RESTART, "restart web"), ADA, State.EXECUTING, NOW, NOW
)


@dataclass
class Rows:
    """The two columns that are looked at. `is_away` is a database that does not answer."""

    stop: tuple[Person, str] | None = None
    is_leased: bool = True
    is_away: bool = False
    looks: int = 0

    async def stop_asked(self, resolution_id: ResolutionId) -> tuple[Person, str] | None:
        self.looks += 1
        if self.is_away:
            raise UnavailableError("The database does not answer.")
        return self.stop

    async def is_held(self, resolution: Resolution) -> bool:
        return self.is_leased


async def work(seconds: float = 60) -> str:
    await asyncio.sleep(seconds)
    return "done"


async def after(seconds: float, act) -> None:
    await asyncio.sleep(seconds)
    act()


@pytest.mark.looptime
async def test_what_nobody_stops_comes_to_its_result(looptime):
    assert await Watcher(Rows()).run(RUNNING, work(7)) == "done"
    assert looptime == 7


@pytest.mark.looptime
async def test_an_interrupt_that_is_heard_stops_at_once_and_without_another_look(looptime):
    rows = Rows()
    watcher = Watcher(rows)
    async with asyncio.TaskGroup() as group:
        group.create_task(after(0.1, lambda: watcher.stop(RUNNING.id)))
        assert await watcher.run(RUNNING, work()) is None

    assert looptime == 0.1
    assert rows.looks == 1


@pytest.mark.looptime
async def test_an_interrupt_that_was_not_heard_is_seen_in_the_rows(looptime):
    rows = Rows()
    async with asyncio.TaskGroup() as group:
        group.create_task(after(1.0, lambda: setattr(rows, "stop", (ADA, ""))))
        assert await Watcher(rows).run(RUNNING, work()) is None

    assert looptime <= 1.0 + WATCH_SECONDS


@pytest.mark.looptime
async def test_a_lost_lease_stops(looptime):
    assert await Watcher(Rows(is_leased=False)).run(RUNNING, work()) is None
    assert looptime == 0


@pytest.mark.looptime
async def test_another_resolutions_interrupt_stops_nothing_here(looptime):
    watcher = Watcher(Rows())
    async with asyncio.TaskGroup() as group:
        group.create_task(after(1.0, lambda: watcher.stop(ResolutionId("r2"))))
        assert await watcher.run(RUNNING, work(5)) == "done"


@pytest.mark.looptime
async def test_a_database_that_does_not_answer_is_no_order_to_stop_but_a_word_that_was_heard_is(looptime):
    watcher = Watcher(Rows(is_away=True))
    assert await watcher.run(RUNNING, work(5)) == "done"
    async with asyncio.TaskGroup() as group:
        group.create_task(after(1.0, lambda: watcher.stop(RUNNING.id)))
        assert await watcher.run(RUNNING, work()) is None


@pytest.mark.looptime
async def test_whoever_is_cancelled_while_watching_is_cancelled(looptime):
    watched = asyncio.create_task(Watcher(Rows()).run(RUNNING, work()))
    await asyncio.sleep(1)
    watched.cancel()
    with pytest.raises(asyncio.CancelledError):
        await watched


async def test_a_word_after_the_end_is_for_nobody():
    watcher = Watcher(Rows())
    assert await watcher.run(RUNNING, work(0)) == "done"
    watcher.stop(RUNNING.id)
    assert await watcher.run(RUNNING, work(0)) == "done"
