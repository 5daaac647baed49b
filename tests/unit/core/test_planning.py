"""A plan is proposed by an agent that may only read; every line is judged, resolved and tried before people see it."""

from dataclasses import replace
from functools import partial

import pytest

from core.commands.gate import judge
from core.effects import Change
from core.errors import LeaseLostError, NotAllowedError, StepFailedError
from core.execution import AgentProfile
from core.findings import IncidentContext
from core.history import Happened
from core.overview import Overview
from core.permit import PermitRule
from core.plan import Check, Proposal, ProposedStep
from core.planning import PLANNER, NoPlan, Plan, Planner
from core.previews import Previewer
from core.resolution import ActionType, ResolutionId, State
from core.risk_levels import RiskLevel
from core.usage import Usage
from tests.fakes.agents import ScriptedAgent
from tests.fakes.grants import FakeGrants
from tests.fakes.records import MemoryRecords
from tests.unit.core import examples
from tests.unit.core.benches import manifest
from tests.unit.core.examples import NOW, WEB
from tests.unit.core.test_previews import cluster

SCALE = "kubectl scale deploy/web --replicas=4"
SCOPE = examples.permit(PermitRule(Change.SCALE, WEB, replicas=(1, 4)), highest_risk=RiskLevel.HIGH)
PROFILES = {one: AgentProfile(one, "model", ("bash", "propose"), "plan") for one in ActionType}
GATHERING = examples.resolution(ActionType.RESOURCE_SCALE, state=State.GATHERING)


def proposal(*lines, check=Check.HEALTHY):
    return Proposal("it is at its limit", tuple(ProposedStep(one, check, "It is scaled back.") for one in lines))


class Desk:
    """A planner with its fakes."""

    def __init__(self, folder, agent, *, at=None, records=None, unheld=None):
        self.agent, self.cluster = agent, at or cluster()
        self.records = records or MemoryRecords()
        self.planner = Planner(
            store=self.records,
            cluster=self.cluster,
            grants=FakeGrants(self.cluster, unheld=unheld),
            previewer=Previewer(self.cluster),
            agents=agent,
            judge=partial(judge, programs=frozenset({"kubectl", "helm"})),
            profiles=PROFILES,
            prompt=lambda text: f"<data>{text}</data>",
            workspaces=folder,
            clock=lambda: NOW,
        )

    async def plan(self, resolution=GATHERING, level=RiskLevel.HIGH):
        return await self.planner.plan(
            resolution, scope=SCOPE, context=IncidentContext(), assessment=examples.assessment(level)
        )

    def told(self, what):
        return [one.facts for one in self.records.history if one.what is what]


async def test_a_plan_narrows_the_permit_to_its_lines(tmp_path):
    desk = Desk(tmp_path, ScriptedAgent(proposals=[proposal(SCALE)]))

    found = await desk.plan()

    assert isinstance(found, Plan)
    assert found.permit.rules == ()
    (line,) = found.permit.lines
    assert (line.line, line.verdict, line.check, line.undo) == (SCALE, RiskLevel.HIGH, "healthy", "It is scaled back.")
    assert "spec.replicas: 2 → 4" in line.diff
    assert [one.uid for one in line.targets] == ["uid-web"]
    assert line.preconditions[0].value == "2"
    assert found.permit.highest_risk is RiskLevel.HIGH
    assert found.permit.digest != SCOPE.digest
    assert desk.cluster.ran == []
    (facts,) = desk.told(Happened.PLAN_PROPOSED)
    assert facts["steps"][0]["line"] == SCALE


async def test_planning_has_a_share_of_the_tokens_and_reads_only(tmp_path):
    desk = Desk(tmp_path, ScriptedAgent(lines=["kubectl get pods", SCALE], proposals=[proposal(SCALE)]))

    await desk.plan()

    (task,) = desk.agent.tasks
    assert (task.agent, task.token_limit, task.agent_tokens) == (PLANNER, 100_000, 50_000)
    assert [one.is_error for one in desk.agent.answers] == [False, True, False]
    assert desk.cluster.ran == ["kubectl get pods"]
    assert [one.is_executed for one in desk.records.commands.values()] == [True, False]


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("kubectl scale deploy/web --replicas=4 | tee x", "Judged DENY"),
        ("rm -rf /", "Judged DENY"),
        ("kubectl get pods", "It only reads"),
        ("kubectl apply -f context.md", "names no file"),
        ("kubectl scale deploy/gone --replicas=4", "Deployment shop/gone does not exist"),
        ("kubectl scale deploy/web --replicas=4 | cat", "without a pipe"),
        ("helm rollback web 1", "cannot be shown field by field"),
        ("kubectl scale deploy/web --replicas=2", "would change nothing"),
        ("kubectl label deploy/web a=b", "cannot be found beforehand"),
    ],
)
async def test_a_line_that_cannot_be_planned_is_told_back_with_the_reason(tmp_path, line, words):
    desk = Desk(tmp_path, ScriptedAgent(proposals=[proposal(line), proposal(SCALE)]))

    found = await desk.plan()

    assert words in desk.agent.answers[0].text
    assert "2 more time(s)" in desk.agent.answers[0].text
    assert isinstance(found, Plan)
    (facts,) = desk.told(Happened.PLAN_REFUSED)
    assert (facts["lines"], facts["is_final"]) == ([line], False)


async def test_the_third_refusal_is_the_last_and_its_reason_is_shown(tmp_path):
    bad = proposal("kubectl get pods")
    desk = Desk(tmp_path, ScriptedAgent(proposals=[bad, bad, bad, proposal(SCALE)]))

    found = await desk.plan()

    assert isinstance(found, NoPlan)
    assert "Step 1 (kubectl get pods): It only reads" in found.reason
    assert [one["is_final"] for one in desk.told(Happened.PLAN_REFUSED)] == [False, False, True]
    assert len(desk.agent.answers) == 3


async def test_one_bad_step_refuses_the_whole_plan(tmp_path):
    desk = Desk(tmp_path, ScriptedAgent(proposals=[proposal(SCALE, "kubectl get pods")]))

    found = await desk.plan()

    assert isinstance(found, NoPlan)
    assert "Step 2" in found.reason


async def test_a_refused_dry_run_is_the_reason_that_is_shown(tmp_path):
    at = cluster()
    at.dry_run_error = StepFailedError("The API server refuses it in a dry run: quota exceeded")
    desk = Desk(tmp_path, ScriptedAgent(proposals=[proposal(SCALE)]), at=at)

    found = await desk.plan()

    assert "quota exceeded" in found.reason


async def test_a_step_that_no_credential_could_be_held_to_is_refused_before_anybody_is_asked(tmp_path):
    unheld = NotAllowedError("No credential can be made that allows exactly this line.")
    desk = Desk(tmp_path, ScriptedAgent(proposals=[proposal(SCALE)]), unheld=unheld)

    found = await desk.plan()

    assert isinstance(found, NoPlan)
    assert "No credential can be made" in found.reason


async def test_a_step_is_planned_with_the_values_that_its_credential_is_held_to(tmp_path):
    desk = Desk(tmp_path, ScriptedAgent(proposals=[proposal(SCALE)]))

    (line,) = (await desk.plan()).permit.lines

    assert [(one.target, one.value) for one in line.writes] == [(line.targets[0], "as tried")]


@pytest.mark.parametrize(
    ("agent", "reason"),
    [
        (ScriptedAgent(words="Nothing would help."), "The planning agent proposed nothing: Nothing would help."),
        (ScriptedAgent(ending="budget", words="The tokens are spent."), "The tokens are spent."),
        (ScriptedAgent(ending="failed", words="No model key is set."), "No model key is set."),
    ],
)
async def test_an_agent_that_proposes_nothing_leaves_its_reason(tmp_path, agent, reason):
    assert await Desk(tmp_path, agent).plan() == NoPlan(reason)


async def test_a_plan_beyond_the_scope_is_at_least_high_and_says_so(tmp_path):
    desk = Desk(tmp_path, ScriptedAgent(proposals=[proposal("kubectl delete pod web-1")]))

    found = await desk.plan(level=RiskLevel.MEDIUM)

    assert found.permit.highest_risk is RiskLevel.HIGH
    assert "1 step(s) go beyond what this kind of request allows by itself" in found.factors


async def test_the_level_is_the_highest_of_assessment_and_verdicts(tmp_path):
    desk = Desk(tmp_path, ScriptedAgent(proposals=[proposal(SCALE)]))

    assert (await desk.plan(level=RiskLevel.MEDIUM)).permit.highest_risk is RiskLevel.HIGH
    assert (await desk.plan(level=RiskLevel.CRITICAL)).permit.highest_risk is RiskLevel.CRITICAL


@pytest.mark.parametrize(
    "steps",
    [
        (SCALE, "kubectl scale deploy/web --replicas=3"),
        ("kubectl set image deploy/web app=a:2", "kubectl rollout restart deploy/web"),
    ],
)
async def test_two_steps_on_the_same_fields_are_refused(tmp_path, steps):
    desk = Desk(tmp_path, ScriptedAgent(proposals=[proposal(*steps)]))

    found = await desk.plan()

    assert "Steps 1 and 2 change the same fields of the same object" in found.reason


async def test_two_steps_on_other_fields_of_one_object_are_a_plan(tmp_path):
    desk = Desk(tmp_path, ScriptedAgent(proposals=[proposal("kubectl set image deploy/web app=a:2", SCALE)]))

    assert [one.line for one in (await desk.plan()).permit.lines] == ["kubectl set image deploy/web app=a:2", SCALE]


async def test_a_plan_of_a_lost_lease_is_not_recorded(tmp_path):
    desk = Desk(tmp_path, ScriptedAgent(proposals=[proposal(SCALE)]), records=MemoryRecords(is_leased=False))

    with pytest.raises(LeaseLostError):
        await desk.plan()

    assert desk.records.history == []


async def test_an_object_that_changes_while_it_is_looked_at_is_no_base_for_a_question(tmp_path):
    class Moving(type(cluster())):
        async def touched(self, judged, **given):
            found = await super().touched(judged, **given)
            self.objects[WEB] = manifest(WEB, replicas=3)
            return found

    at = Moving(cluster().objects)
    desk = Desk(tmp_path, ScriptedAgent(proposals=[proposal(SCALE)]), at=at)

    assert "changed by somebody else" in (await desk.plan()).reason


async def test_a_resolution_asked_again_knows_what_came_of_the_one_before(tmp_path):
    old = examples.resolution(id=ResolutionId("r-0"), state=State.FAILED, summary="Stopped before step 1:\nit moved")
    records = MemoryRecords(overviews={"r-0": Overview(old, Usage())})
    again = replace(GATHERING, request=replace(GATHERING.request, replaces=ResolutionId("r-0")))
    desk = Desk(tmp_path, ScriptedAgent(proposals=[proposal(SCALE)]), records=records)

    await desk.plan(again)

    assert "> Stopped before step 1: it moved" in desk.agent.tasks[0].prompt
