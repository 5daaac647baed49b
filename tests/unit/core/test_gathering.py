"""From a request to a question: what happens while no planning agent may start."""

from dataclasses import replace

import pytest

from core.approvals import ApprovalEngine
from core.context import ContextGatherer
from core.execution import AgentProfile
from core.findings import SourceAnswer
from core.gathering import Gathering
from core.history import Happened
from core.overview import Pause
from core.permits import choose_affected
from core.policy.policy import Policy
from core.resolution import ActionType, State
from core.watching import Watcher
from tests.fakes.sources import ScriptedSource
from tests.unit.core import examples
from tests.unit.core.examples import ANNA, NOW
from tests.unit.core.test_plan_execution import Ground

PAUSE = Pause(ANNA, "the database is moved", NOW)


class Stretch:
    """The first stretch on rows in memory, one source and a planner whose agent proposes nothing."""

    def __init__(self, folder, action):
        at = Ground(folder)
        self.records = at.records
        self.source = ScriptedSource("kubernetes", SourceAnswer(workloads=(examples.workload(),)))
        request = examples.request(action, action_description="web fails")
        self.resolution = examples.resolution(request=request, state=State.GATHERING)
        self.gathering = Gathering(
            store=self.records,
            gatherer=ContextGatherer([self.source], seconds_per_source=1, choose=choose_affected),
            policy=Policy(),
            engine=ApprovalEngine(),
            planner=replace(at.planner, profiles={action: AgentProfile(action, "model", (), "plan")}),
            watcher=Watcher(self.records),
            new_id=lambda: "a-1",
            agents_at_once=1,
        )

    async def advance(self, *, times=1):
        for _ in range(times):
            await self.gathering.advance(self.resolution)

    @property
    def happened(self):
        return [one.what for one in self.records.history]


@pytest.mark.parametrize("held", [{"paused": PAUSE}, {"agents": 1}])
async def test_sources_are_asked_once_while_no_planning_agent_may_start_and_again_when_one_may(tmp_path, held):
    at = Stretch(tmp_path, ActionType.RESOURCE_SCALE)
    for name, value in held.items():
        setattr(at.records, name, value)

    await at.advance(times=3)

    assert at.source.asked == 1
    assert at.records.log == ["assessed as HIGH", "wakes in 2 s", "wakes in 2 s", "wakes in 2 s"]
    assert at.happened == []

    at.records.paused, at.records.agents = None, 0
    await at.advance()

    assert at.source.asked == 2
    assert at.happened[0] is Happened.PLANNING_STARTED


async def test_a_question_without_a_plan_is_put_while_the_service_is_paused(tmp_path):
    at = Stretch(tmp_path, ActionType.POD_RESTART)
    at.records.paused = PAUSE

    await at.advance()

    assert at.happened == [Happened.ASSESSED, Happened.ASKED]
    assert at.records.log[-1] == "moved to awaiting_approval"
