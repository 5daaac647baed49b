"""An approved plan is run line by line, and stops at the first surprise before it does harm."""

import asyncio
import copy
import datetime
from dataclasses import replace

import pytest

from core.commands.gate import judge
from core.effects import Change
from core.errors import LeaseLostError, UnavailableError
from core.execution import AgentProfile
from core.findings import IncidentContext
from core.history import Happened
from core.permit import PermitRule
from core.plan import Check, Proposal, ProposedStep
from core.plan_execution import PlanRunner
from core.planning import Planner
from core.ports import CommandResult
from core.previews import Previewer
from core.questions import Asking
from core.replanning import Replanner
from core.resolution import ActionType
from core.verification import Verifier
from tests.fakes.agents import ScriptedAgent
from tests.fakes.cluster import FakeCluster
from tests.fakes.grants import FakeGrants
from tests.fakes.records import MemoryRecords
from tests.unit.core import examples
from tests.unit.core.examples import WEB, WEB_1
from tests.unit.core.test_previews import cluster
from tests.unit.core.test_toolbox_questions import People

IMAGE, SCALE = "kubectl set image deploy/web app=a:2", "kubectl scale deploy/web --replicas=4"
RESOLUTION = examples.resolution(ActionType.RESOURCE_SCALE, approval_id="a-1")
SCOPE = examples.permit(PermitRule(Change.SCALE, WEB, replicas=(1, 4)))


class Ground:
    """A runner on a cluster in memory in which every line does what it says."""

    def __init__(self, folder, *, kind=FakeCluster, agent=None, is_asking=True):
        self.folder, self.records = folder, MemoryRecords()
        self.cluster = kind(cluster().objects)
        self.cluster.workloads[WEB] = examples.workload(desired=2, ready=2)
        self.agent = agent or ScriptedAgent(words="It stopped.")
        self.cluster.effects = {SCALE: lambda: self.write(replicas=4), IMAGE: self.set_image}
        previewer = Previewer(self.cluster)
        given = {"store": self.records, "cluster": self.cluster, "agents": self.agent, "judge": judge}
        given |= {"previewer": previewer, "prompt": str, "workspaces": folder, "clock": lambda: self.records.time}
        self.grants = FakeGrants(self.cluster)
        self.planner = Planner(**given, grants=self.grants, profiles={})
        reporting = AgentProfile(ActionType.RESOURCE_SCALE, "model", (), "report")
        self.asking = Asking(lambda _level: 300, lambda: f"q-{len(self.records.approvals) + 1}", is_allowed=is_asking)
        self.runner = PlanRunner(
            store=self.records,
            cluster=self.cluster,
            grants=self.grants,
            previewer=previewer,
            judge=judge,
            verifier=Verifier(self.cluster, limit_seconds=1, healing_seconds=1, steady_seconds=0.1),
            replanner=Replanner(
                planner=self.planner,
                further={ActionType.RESOURCE_SCALE: replace(reporting, tools=("bash", "propose"))},
                reporting=lambda _action: reporting,
                asking=self.asking,
            ),
            workspaces=folder,
            clock=lambda: self.records.time,
        )

    def write(self, **spec):
        self.cluster.objects[WEB]["spec"].update(spec)
        return "changed"

    def set_image(self, image="a:2"):
        template = copy.deepcopy(self.cluster.objects[WEB]["spec"]["template"])
        template["spec"]["containers"][0]["image"] = image
        return self.write(template=template)

    async def approved(self, *lines, check=Check.HEALTHY):
        """The permit people would have answered now."""
        steps = [ProposedStep(one, check, "It is put back.") for one in lines]
        found = [await self.planner.line_again(one, resolution=RESOLUTION) for one in steps]
        return replace(SCOPE, rules=(), lines=tuple(found))

    async def run(self, permit):
        return await self.runner.run(RESOLUTION, permit=permit, context=IncidentContext())

    def told(self, what):
        return [one.facts for one in self.records.history if one.what is what]


async def test_every_line_runs_once_in_order_each_after_its_snapshot_without_a_model(tmp_path):
    at = Ground(tmp_path)

    outcome = await at.run(await at.approved(IMAGE, SCALE))

    assert outcome.is_success
    assert outcome.commands_executed == (IMAGE, SCALE)
    assert at.cluster.ran == [IMAGE, SCALE]
    assert at.agent.tasks == []
    assert at.records.log == [
        f"snapshot of {WEB}",
        f"started {IMAGE}",
        f"ended {IMAGE}",
        f"read back {WEB}",
        f"snapshot of {WEB}",
        f"started {SCALE}",
        f"ended {SCALE}",
        f"read back {WEB}",
    ]
    assert [one["step"] for one in at.told(Happened.STEP_STARTED)] == [1, 2]
    assert [one["is_healthy"] for one in at.told(Happened.STEP_CHECKED)] == [True]


@pytest.mark.parametrize(
    ("moved", "words"),
    [
        (lambda at: at.write(replicas=3), "spec.replicas of Deployment shop/web was 2 and is 3 now"),
        (lambda at: at.cluster.objects[WEB]["metadata"].update(uid="uid-other"), "is another object now"),
        (lambda at: at.cluster.objects.pop(WEB), "does not exist"),
    ],
)
async def test_what_is_not_as_it_was_approved_stops_the_plan_before_it(tmp_path, moved, words):
    at = Ground(tmp_path)
    permit = await at.approved(SCALE)
    moved(at)

    outcome = await at.run(permit)

    assert (outcome.ending, outcome.has_changed) == ("failed", False)
    assert outcome.output.startswith("Stopped before step 1:")
    assert words in outcome.output
    assert f"No step was completed. Not run: {SCALE}." in outcome.output
    assert at.cluster.ran == []
    (facts,) = at.told(Happened.STEP_ENDED)
    assert (facts["is_run"], words in facts["sentence"]) == (False, True)


async def test_a_list_of_targets_that_grew_stops_the_plan(tmp_path):
    at = Ground(tmp_path)
    line = "kubectl delete pods -l app=web"
    at.cluster.objects[WEB_1]["metadata"]["labels"] = {"app": "web"}
    one = judge("kubectl delete pod web-1", "shop")
    at.cluster.touches[line] = tuple(await at.cluster.touched(one, folder=tmp_path, namespace="shop"))
    permit = await at.approved(line)
    grown = replace(WEB_1, name="web-2", uid="uid-web-2")
    at.cluster.objects[grown] = copy.deepcopy(at.cluster.objects[WEB_1])
    at.cluster.objects[grown]["metadata"] |= {"name": "web-2", "uid": "uid-web-2"}

    outcome = await at.run(permit)

    assert "It would change Pod shop/web-2 too now." in outcome.output
    assert at.cluster.ran == []


async def test_a_dry_run_that_answers_otherwise_than_approved_stops_the_plan(tmp_path):
    at = Ground(tmp_path)
    permit = await at.approved(SCALE)
    at.cluster.touches[SCALE] = ()
    (touched,) = await FakeCluster(at.cluster.objects).touched(judge(SCALE, "shop"), folder=tmp_path, namespace="shop")
    proposed = {**touched.proposed, "spec": {**touched.proposed["spec"], "paused": True}}
    at.cluster.touches[SCALE] = (replace(touched, proposed=proposed),)

    outcome = await at.run(permit)

    assert "it would do something else now than was approved" in outcome.output
    assert "spec.paused: + true" in outcome.output
    assert at.cluster.ran == []


async def test_a_line_that_fails_stops_the_rest_and_says_what_was_done(tmp_path):
    class Refuses(FakeCluster):
        async def run(self, stages, **given):
            done = await super().run(stages, **given)
            return CommandResult(1, "Error: quota exceeded") if "scale" in stages[0] else done

    at = Ground(tmp_path, kind=Refuses)

    outcome = await at.run(await at.approved(IMAGE, SCALE))

    assert (outcome.ending, outcome.has_changed) == ("failed", True)
    assert "Step 2 failed: Error: quota exceeded" in outcome.output
    assert f"Done: {IMAGE}." in outcome.output


async def test_a_check_that_does_not_hold_stops_before_the_next_step(tmp_path):
    at = Ground(tmp_path)
    permit = await at.approved(IMAGE, SCALE)
    at.cluster.effects[IMAGE] = lambda: (
        at.cluster.workloads.update({WEB: examples.workload(desired=2, ready=0)}) or at.set_image()
    )

    outcome = await at.run(permit)

    assert at.cluster.ran == [IMAGE]
    assert "After step 1 its check did not hold" in outcome.output
    assert f"Done: {IMAGE}. Not run: {SCALE}." in outcome.output
    assert [one["is_healthy"] for one in at.told(Happened.STEP_CHECKED)] == [False]


async def test_a_step_that_only_prepares_need_not_heal_but_may_not_make_it_worse(tmp_path):
    at = Ground(tmp_path)
    at.cluster.workloads[WEB] = examples.workload(desired=2, ready=1)

    assert (await at.run(await at.approved(IMAGE, SCALE, check=Check.NOT_WORSE))).is_success
    assert at.cluster.ran == [IMAGE, SCALE]


async def test_where_nobody_may_be_asked_the_agent_may_say_a_few_words_and_nothing_more(tmp_path):
    at = Ground(tmp_path, is_asking=False)
    permit = await at.approved(SCALE)
    at.write(replicas=3)

    outcome = await at.run(permit)

    (task,) = at.agent.tasks
    assert (task.agent, task.profile.tools) == ("reporter", ())
    assert "Stopped before step 1" in task.prompt
    assert outcome.output.endswith("The agent's report: It stopped.")


async def test_without_the_agents_words_what_happened_is_told_all_the_same(tmp_path):
    at = Ground(tmp_path, agent=ScriptedAgent(ending="budget", words="The tokens are spent."))
    permit = await at.approved(SCALE)
    at.write(replicas=3)

    outcome = await at.run(permit)

    assert "Stopped before step 1" in outcome.output
    assert "tokens" not in outcome.output


async def test_a_cluster_that_does_not_answer_before_a_step_stops_the_plan(tmp_path):
    class GoesAway(FakeCluster):
        is_away = False

        async def resolve(self, judged):
            if self.is_away:
                raise UnavailableError("The Kubernetes API did not answer.")
            return await super().resolve(judged)

    at = Ground(tmp_path, kind=GoesAway)
    permit = await at.approved(SCALE)
    at.cluster.is_away = True

    outcome = await at.run(permit)

    assert "The Kubernetes API did not answer." in outcome.output
    assert at.cluster.ran == []


async def test_a_lost_lease_ends_the_run_and_nothing_is_run(tmp_path):
    at = Ground(tmp_path)
    permit = await at.approved(SCALE)
    at.records.is_leased = False

    with pytest.raises(LeaseLostError):
        await at.run(permit)

    assert at.cluster.ran == []


async def test_a_line_that_the_gate_judges_otherwise_now_is_not_run(tmp_path):
    at = Ground(tmp_path)
    permit = await at.approved(SCALE)
    stricter = replace(permit.lines[0], verdict=type(permit.lines[0].verdict).MEDIUM)

    outcome = await at.run(replace(permit, lines=(stricter,)))

    assert "judged otherwise now" in outcome.output
    assert at.cluster.ran == []


async def test_a_plan_runs_with_one_credential_that_is_taken_away_at_its_end(tmp_path):
    at = Ground(tmp_path)

    await at.run(await at.approved(IMAGE))

    assert at.grants.told == ["issued a-1", "revoked a-1"]


# --- a further plan -------------------------------------------------------------------------------------------------

MORE = "kubectl scale deploy/web --replicas=6"


def proposal(*lines):
    return Proposal("It was scaled meanwhile.", tuple(ProposedStep(one, Check.HEALTHY, "Back.") for one in lines))


def proposes(*lines):
    return ScriptedAgent(proposals=(proposal(*lines),), words="It is stopped.")


async def further(at, permit, *answers, meanwhile=lambda: None):
    """The run's outcome, people answering each further plan; and what they were asked."""
    people = People(at.records, list(answers), [meanwhile])
    watching = asyncio.create_task(people.watch(at.asking.bell))
    try:
        return await at.run(permit), people.asked
    finally:
        watching.cancel()


async def stopped_by_another_value(tmp_path, agent, **given):
    """A plan whose second step finds other replicas than were approved."""
    at = Ground(tmp_path, agent=agent, **given)
    permit = await at.approved(IMAGE, SCALE)
    at.cluster.effects = {
        IMAGE: lambda: at.write(replicas=3) and at.set_image(),
        SCALE: lambda: at.write(replicas=4),
        MORE: lambda: at.write(replicas=6),
    }
    return at, permit


async def test_a_further_plan_is_put_to_people_as_the_next_revision_and_run_when_approved(tmp_path):
    at, permit = await stopped_by_another_value(tmp_path, proposes(MORE))

    outcome, (asked,) = await further(at, permit, True)

    assert outcome.is_success
    assert at.cluster.ran == [IMAGE, MORE]
    assert (asked.is_further_plan, asked.permit.revision, asked.permit.rules) == (True, 2, ())
    assert [one.line for one in asked.permit.lines] == [MORE]
    assert "spec.replicas: 3 → 6" in asked.permit.lines[0].diff
    assert f"Done: {IMAGE}. Not run: {SCALE}." in outcome.output
    assert outcome.output.endswith(f"The approved plan was run: {MORE}.")
    (task,) = at.agent.tasks
    assert (task.agent, "Stopped before step 2" in task.prompt) == ("reporter", True)
    assert at.told(Happened.QUESTION_ASKED)[0] | {"digest": ""} == {
        "line": MORE,
        "level": "HIGH",
        "why": "It was scaled meanwhile.",
        "approval_id": "q-1",
        "revision": 2,
        "digest": "",
    }


async def test_a_further_plan_runs_with_a_credential_of_its_own_and_the_first_is_gone_before_it_is_asked(tmp_path):
    at, permit = await stopped_by_another_value(tmp_path, proposes(MORE))
    seen = []

    await further(at, permit, True, meanwhile=lambda: seen.extend(at.grants.told))

    assert seen == ["issued a-1", "revoked a-1"]
    assert at.grants.told == ["issued a-1", "revoked a-1", "issued q-1", "revoked q-1"]


async def test_a_further_plan_that_is_rejected_is_not_run_and_the_reason_is_told(tmp_path):
    at, permit = await stopped_by_another_value(tmp_path, proposes(MORE))

    outcome, _ = await further(at, permit, "we scale by hand")

    assert outcome.ending == "failed"
    assert at.cluster.ran == [IMAGE]
    assert outcome.output.endswith("A further plan was proposed; Ben rejected it: we scale by hand.")


async def test_a_further_plan_that_nobody_answers_is_not_run(tmp_path):
    at, permit = await stopped_by_another_value(tmp_path, proposes(MORE))

    def too_late():
        at.records.time += datetime.timedelta(seconds=301)

    outcome, _ = await further(at, permit, None, meanwhile=too_late)

    assert at.cluster.ran == [IMAGE]
    assert outcome.output.endswith("A further plan was proposed, and nobody answered in time.")


async def test_what_changed_while_a_further_plan_waited_stops_it_before_it_runs(tmp_path):
    at, permit = await stopped_by_another_value(tmp_path, proposes(MORE))

    outcome, asked = await further(at, permit, True, "enough", meanwhile=lambda: at.write(replicas=5))

    assert at.cluster.ran == [IMAGE]
    assert "was 3 and is 5 now" in outcome.output
    assert [one.permit.revision for one in asked] == [2, 3]


async def test_after_three_further_plans_nobody_is_asked_any_more(tmp_path):
    at, permit = await stopped_by_another_value(tmp_path, proposes(MORE))
    people = People(at.records, [True] * 4, [lambda n=n: at.write(replicas=10 + n) and None for n in range(4)])
    watching = asyncio.create_task(people.watch(at.asking.bell))

    outcome = await at.run(permit)
    watching.cancel()

    assert [one.permit.revision for one in people.asked] == [2, 3, 4]
    assert at.cluster.ran == [IMAGE]
    assert at.agent.tasks[-1].profile.tools == ()
    assert outcome.output.endswith("The agent's report: It is stopped.")


async def test_a_further_plan_that_the_gate_refuses_is_not_asked(tmp_path):
    agent = ScriptedAgent(proposals=(proposal("kubectl delete ns kube-system --token=x"),) * 3, ending="failed")
    at, permit = await stopped_by_another_value(tmp_path, agent)

    outcome, asked = await further(at, permit)

    assert asked == []
    assert "The agent's further plan was refused: Step 1" in outcome.output


async def test_an_agent_that_proposes_nothing_further_says_its_words(tmp_path):
    at, permit = await stopped_by_another_value(tmp_path, ScriptedAgent(words="Somebody scaled it."))

    outcome, asked = await further(at, permit)

    assert asked == []
    assert outcome.output.endswith("The agent's report: Somebody scaled it.")


async def test_the_agent_of_a_further_plan_changes_nothing_itself(tmp_path):
    agent = ScriptedAgent(lines=[MORE], words="I tried.")
    at, permit = await stopped_by_another_value(tmp_path, agent)

    await further(at, permit)

    assert agent.answers[0].is_error
    assert at.cluster.ran == [IMAGE]


async def test_a_run_that_lost_its_lease_asks_nothing_further(tmp_path):
    at, permit = await stopped_by_another_value(tmp_path, proposes(MORE))
    at.cluster.effects[IMAGE] = lambda: setattr(at.records, "is_leased", False) or at.write(replicas=3)

    with pytest.raises(LeaseLostError):
        await further(at, permit)

    assert at.records.approvals == {}
