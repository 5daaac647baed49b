"""The gated toolbox asks a person about a line that the permit does not cover, and runs exactly what was approved."""

import asyncio
import datetime
import inspect
import itertools
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from core import questions
from core.approval import Approval, ApprovalState, Subject
from core.commands.gate import judge
from core.effects import Change
from core.errors import LeaseLostError, NotAllowedError, UnavailableError
from core.grants import ReadyMade
from core.history import Happened
from core.permit import PermitRule, Precondition
from core.questions import Asking, Questions
from core.resolution import ActionType
from core.resources import Resource
from core.risk_levels import RiskLevel
from core.snapshot import Touched
from core.toolbox import GatedToolbox
from core.wall_clock import WallClock
from tests.fakes.cluster import FakeCluster
from tests.fakes.grants import FakeGrants
from tests.fakes.records import MemoryRecords
from tests.unit.core import examples
from tests.unit.core.benches import manifest
from tests.unit.core.examples import BEN, NOW, WEB, WEB_1

SCALE = "kubectl scale deploy/web --replicas=5"
ALL = "kubectl delete pods -l app=web"
RESTART = "kubectl rollout restart deploy/web"
WEB_2 = replace(WEB_1, name="web-2", uid="uid-web-2")


@dataclass
class People:
    """Answers each question as the next of `answers` says; None answers nothing. `meanwhile` happens before that."""

    records: MemoryRecords
    answers: list = field(default_factory=list)
    meanwhile: list = field(default_factory=list)
    asked: list[Approval] = field(default_factory=list)

    async def watch(self, bell):
        while True:
            for one in list(self.records.approvals.values()):
                if one.state is ApprovalState.PENDING and one not in self.asked:
                    self.asked.append(one)
                    if self.meanwhile and (act := self.meanwhile.pop(0)):
                        waited = act()
                        if inspect.isawaitable(waited):
                            await waited
                    await self._answer(one)
                    bell.ring()
            await asyncio.sleep(0)

    async def _answer(self, one):
        answer = self.answers.pop(0) if self.answers else None
        if answer is not None:
            state = ApprovalState.APPROVED if answer is True else ApprovalState.REJECTED
            await questions.end(self.records, one, state=state, by=BEN, reason="" if answer is True else answer)


@dataclass
class Desk:
    cluster: FakeCluster
    records: MemoryRecords
    people: People
    toolbox: GatedToolbox

    async def bash(self, *lines):
        """The answers; people look while the agent waits."""
        async with asyncio.TaskGroup() as group:
            watching = group.create_task(self.people.watch(self.toolbox.questions.asking.bell))
            try:
                return [await self.toolbox.bash(line) for line in lines]
            finally:
                watching.cancel()

    @property
    def told(self):
        return [entry.what for entry in self.records.history]


def deployment(replicas=3, uid="uid-web"):
    return manifest(replace(WEB, uid=uid), replicas=replicas, template={"spec": {"containers": []}})


def pod(one):
    made = manifest(one)
    made["metadata"]["labels"] = {"app": "web"}
    return made


def desk(*answers, action=ActionType.POD_RESTART, is_allowed=True, rules=(), **given):
    records = MemoryRecords()
    cluster = FakeCluster({WEB: deployment(), WEB_1: pod(WEB_1), WEB_2: pod(WEB_2)})
    cluster.touches[ALL] = (Touched(WEB_1, pod(WEB_1), None), Touched(WEB_2, pod(WEB_2), None))
    cluster.effects[SCALE] = lambda: cluster.objects.update({WEB: deployment(5)}) or "scaled"
    numbers = itertools.count(1)
    resolution = examples.resolution(action)
    permit = examples.permit(*rules) if rules else replace(examples.permit(), rules=())
    asking = Asking(lambda level: 300.0, lambda: f"q-{next(numbers)}", is_allowed=is_allowed)
    asked = Questions(resolution=resolution, permit=permit, store=records, clock=lambda: records.time, asking=asking)
    toolbox = GatedToolbox(
        resolution=resolution,
        permit=permit,
        gate=lambda line: judge(line, "shop"),
        store=records,
        cluster=cluster,
        changes=cluster,
        grants=ReadyMade(cluster),
        folder=Path("/nowhere"),
        clock=lambda: NOW,
        questions=asked,
        **given,
    )
    return Desk(cluster, records, People(records, list(answers)), toolbox)


async def test_a_line_that_is_not_covered_is_put_to_people_as_a_permit_of_exactly_that_line():
    at = desk(True)

    (answer,) = await at.bash(SCALE)

    assert not answer.is_error
    assert at.cluster.ran == [SCALE]
    (asked,) = at.people.asked
    (line,) = asked.permit.lines
    assert (asked.subject, asked.permit.rules, asked.permit.highest_risk) == (Subject.COMMAND, (), RiskLevel.HIGH)
    assert (line.line, line.targets[0].uid) == (SCALE, "uid-web")
    assert line.preconditions == (Precondition(WEB, ("spec", "replicas"), "3"),)
    assert asked.deadline == NOW + datetime.timedelta(seconds=300) == asked.permit.ends_at
    assert at.told == [Happened.QUESTION_ASKED, Happened.QUESTION_ENDED]
    asked_facts, ended_facts = (one.facts for one in at.records.history)
    assert (asked_facts["line"], asked_facts["digest"]) == (SCALE, asked.permit.digest)
    assert (ended_facts["state"], at.records.history[1].by) == ("approved", BEN)
    assert at.records.commands[1].reason == "Approved by Ben."


async def test_every_target_is_stored_before_an_approved_line_runs():
    at = desk(True)

    await at.bash(ALL)

    assert at.records.log[:3] == ["snapshot of Pod shop/web-1", "snapshot of Pod shop/web-2", f"started {ALL}"]
    assert [one.change for one in at.records.entries.values()] == [Change.DELETE, Change.DELETE]


async def test_an_approval_is_for_one_run_and_the_same_line_is_asked_again():
    at = desk(True, "no more")

    first, second = await at.bash(SCALE, SCALE)

    assert (first.is_error, second.is_error) == (False, True)
    assert at.cluster.ran == [SCALE]
    assert len(at.people.asked) == 2


async def test_what_the_permit_covers_is_not_asked():
    at = desk(rules=(PermitRule(Change.RESTART, WEB),))

    (answer,) = await at.bash(RESTART)

    assert not answer.is_error
    assert at.people.asked == []


async def test_a_rejection_is_told_with_who_and_why_and_nothing_runs():
    at = desk("not during the sale")

    (answer,) = await at.bash(SCALE)

    assert answer.is_error
    assert "Ben rejected this line: not during the sale" in answer.text
    assert (at.cluster.ran, at.records.entries) == ([], {})
    assert [one.is_executed for one in at.records.commands.values()] == [False]


async def test_a_question_that_nobody_answers_expires_by_the_databases_clock():
    at = desk(None)
    at.people.meanwhile = [lambda: setattr(at.records, "time", NOW + datetime.timedelta(seconds=300))]

    (answer,) = await at.bash(SCALE)

    assert "Nobody answered in time" in answer.text
    assert at.cluster.ran == []
    (asked,) = at.records.approvals.values()
    assert asked.state is ApprovalState.EXPIRED
    assert at.records.history[-1].facts["state"] == "expired"


@pytest.mark.looptime
async def test_a_run_that_is_cancelled_while_it_waits_is_gone_at_once_and_runs_nothing(looptime):
    at = desk(None)

    with pytest.raises(TimeoutError):
        async with asyncio.timeout(10):
            await at.toolbox.bash(SCALE)

    assert looptime == 10
    assert at.cluster.ran == []


async def test_a_question_that_was_cancelled_runs_nothing():
    at = desk(None)

    def interrupted():
        (one,) = at.records.approvals.values()
        at.records.approvals[one.id] = replace(
            one, state=ApprovalState.CANCELLED, decided_by=BEN, reason=questions.INTERRUPTED
        )

    at.people.meanwhile = [interrupted]

    (answer,) = await at.bash(SCALE)

    assert "closed by Ben: the run was interrupted, ask again" in answer.text
    assert at.cluster.ran == []


async def test_an_approval_whose_run_lost_its_lease_meanwhile_changes_nothing():
    at = desk(True)
    at.people.meanwhile = [lambda: setattr(at.records, "is_leased", False)]

    with pytest.raises(LeaseLostError):
        await _alone(at, SCALE)

    assert at.cluster.ran == []


async def _alone(at, line):
    """As Desk.bash, with the error itself instead of a group."""
    watching = asyncio.create_task(at.people.watch(at.toolbox.questions.asking.bell))
    try:
        return await at.toolbox.bash(line)
    finally:
        watching.cancel()


async def test_a_run_that_was_stopped_asks_nothing():
    at = desk(True)
    at.records.is_leased = False

    with pytest.raises(LeaseLostError):
        await at.toolbox.bash(SCALE)

    assert at.records.approvals == {}


async def test_an_agent_that_is_gone_runs_nothing_of_what_was_approved():
    at = desk(True)
    at.people.meanwhile = [at.toolbox.end]

    with pytest.raises(LeaseLostError):
        await _alone(at, SCALE)

    assert at.cluster.ran == []


async def test_three_questions_a_run_are_the_most():
    at = desk("no", "no", "no", True)

    answers = await at.bash(SCALE, SCALE, SCALE, SCALE)

    assert len(at.people.asked) == 3
    assert "3 questions were asked in this run already" in answers[-1].text
    assert at.cluster.ran == []


async def test_a_list_that_grew_meanwhile_is_asked_anew_with_the_reason():
    at = desk(True, True)
    new = replace(WEB_1, name="web-3", uid="uid-web-3")
    at.people.meanwhile = [lambda: at.cluster.objects.update({new: pod(new)})]

    await at.bash(ALL)

    first, second = at.people.asked
    assert [one.name for one in second.permit.lines[0].targets] == ["web-1", "web-2", "web-3"]
    assert first.permit.digest != second.permit.digest
    asked = [one.facts for one in at.records.history if one.what is Happened.QUESTION_ASKED]
    assert asked[1]["why"] == "It would change Pod shop/web-3 too now."
    assert at.cluster.ran == [ALL]


async def test_a_list_that_shrank_runs_as_approved():
    at = desk(True)
    at.people.meanwhile = [lambda: at.cluster.objects.pop(WEB_2)]
    at.cluster.touches[ALL] = (Touched(WEB_1, pod(WEB_1), None),)

    await at.bash(ALL)

    assert len(at.people.asked) == 1
    assert at.cluster.ran == [ALL]


@pytest.mark.parametrize(
    ("becomes", "why"),
    [
        (deployment(uid="uid-of-another"), "another object now"),
        (deployment(4), "spec.replicas of Deployment shop/web was 3 and is 4 now."),
    ],
)
async def test_another_object_or_another_value_is_asked_anew(becomes, why):
    at = desk(True, "that is enough")
    at.people.meanwhile = [lambda: at.cluster.objects.update({WEB: becomes})]

    (answer,) = await at.bash(SCALE)

    assert "Ben rejected this line" in answer.text
    asked = [one.facts for one in at.records.history if one.what is Happened.QUESTION_ASKED]
    assert why in asked[1]["why"]
    assert at.cluster.ran == []


async def test_a_world_that_changes_with_each_answer_is_asked_three_times_and_then_left():
    at = desk(True, True, True, True)
    counts = itertools.count(10)
    at.people.meanwhile = [lambda: at.cluster.objects.update({WEB: deployment(next(counts))})] * 4

    (answer,) = await at.bash(SCALE)

    assert len(at.people.asked) == 3
    assert "3 questions were asked" in answer.text
    assert at.cluster.ran == []


async def test_a_value_that_changes_between_the_last_look_and_the_snapshot_is_seen_in_the_snapshot():
    at = desk(True, "no")

    class ChangesLate(FakeCluster):
        reads = 0

        async def read(self, resource):
            ChangesLate.reads += 1
            if ChangesLate.reads == 4:
                self.objects[WEB] = deployment(9)
            return await super().read(resource)

    at.cluster = ChangesLate(at.cluster.objects)
    at.toolbox.cluster = at.cluster

    await at.bash(SCALE)

    assert at.cluster.ran == []
    assert len(at.people.asked) == 2


async def test_an_investigation_asks_nothing_and_says_so():
    at = desk(True, action=ActionType.INVESTIGATION)

    (answer,) = await at.bash(SCALE)

    assert "An investigation changes nothing" in answer.text
    assert (at.people.asked, at.cluster.ran) == ([], [])


async def test_a_policy_that_refuses_asks_nothing():
    at = desk(True, is_allowed=False)

    (answer,) = await at.bash(SCALE)

    assert "commands.uncovered: refuse" in answer.text
    assert (at.people.asked, at.cluster.ran) == ([], [])


async def test_what_is_denied_is_never_asked():
    at = desk(True)

    (answer,) = await at.bash("kubectl delete ns shop --token=x")

    assert answer.is_error
    assert at.people.asked == []


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("kubectl exec deploy/web -- ls", "name one pod"),
        ("kubectl delete pod web-9", "Pod shop/web-9 does not exist."),
        ("kubectl annotate deploy/web a=b", "cannot be found beforehand"),
    ],
)
async def test_a_line_whose_targets_or_losses_cannot_be_told_is_refused_without_a_question(line, words):
    at = desk(True)
    at.cluster.touches["kubectl exec deploy/web -- ls"] = ()

    (answer,) = await at.bash(line)

    assert words in answer.text
    assert (at.people.asked, at.cluster.ran) == ([], [])


async def test_what_the_api_server_refuses_to_show_is_refused_without_a_question():
    class Unreadable(FakeCluster):
        async def read(self, resource):
            raise NotAllowedError("The API server refuses to show it.")

    at = desk(True)
    at.toolbox.cluster = Unreadable(at.cluster.objects)

    (answer,) = await at.bash(SCALE)

    assert "The API server refuses to show it." in answer.text
    assert at.people.asked == []


async def test_what_would_be_lost_for_good_is_told_with_the_question_and_what_is_too_much_is_not_asked():
    at = desk(True)
    at.cluster.effects["kubectl delete deploy web"] = lambda: "deleted"
    at.cluster.touches["kubectl delete deploy web"] = (Touched(WEB, deployment(), None),)
    await at.bash("kubectl delete deploy web")
    assert "earlier revisions of Deployment web are lost" in at.people.asked[0].permit.lines[0].undo

    ending = deployment()
    ending["metadata"]["deletionTimestamp"] = "2026-03-01T12:00:00Z"
    at.cluster.touches["kubectl delete deploy web"] = (Touched(WEB, ending, None),)
    (answer,) = await at.bash("kubectl delete deploy web")
    assert "being deleted already" in answer.text
    assert len(at.people.asked) == 1


async def test_an_object_that_another_resolution_is_at_work_on_is_not_asked_for():
    at = desk(True)
    at.records.at_work = [examples.permit(PermitRule(Change.RESTART, WEB))]

    (answer,) = await at.bash(SCALE)

    assert "Another resolution is at work on the same object" in answer.text
    assert (at.people.asked, at.cluster.ran) == ([], [])


@pytest.mark.looptime
async def test_an_outage_of_the_database_while_it_waits_is_no_answer(looptime):
    class Away(MemoryRecords):
        looks = 0

        async def approval(self, approval_id):
            Away.looks += 1
            if Away.looks < 4:
                raise UnavailableError("The database does not answer.")
            found = await super().approval(approval_id)
            return replace(found, state=ApprovalState.APPROVED, decided_by=BEN)

    at = desk()
    at.records = at.toolbox.store = at.toolbox.questions.store = Away()

    answer = await at.toolbox.bash(SCALE)

    assert not answer.is_error
    assert looptime == 3


@pytest.mark.looptime
async def test_the_wall_clock_of_the_run_stands_still_while_it_waits(looptime):
    clock = WallClock(10)
    at = desk(wall_clock=clock)

    async def later():
        await asyncio.sleep(100)
        (one,) = at.records.approvals.values()
        await questions.end(at.records, one, state=ApprovalState.APPROVED, by=BEN, reason="")

    async with asyncio.TaskGroup() as group:
        group.create_task(later())
        async with clock.limit():
            await asyncio.sleep(9)
            answer = await at.toolbox.bash(SCALE)
        with pytest.raises(TimeoutError):
            async with clock.limit():
                await asyncio.sleep(11)

    assert not answer.is_error


@pytest.mark.looptime
async def test_what_was_left_of_the_wall_clock_is_what_is_left_after_the_wait(looptime):
    clock = WallClock(10)
    with pytest.raises(TimeoutError):
        async with clock.limit():
            await asyncio.sleep(4)
            with clock.stopped():
                await asyncio.sleep(50)
            await asyncio.sleep(7)
    assert looptime == 60


async def test_reads_go_on_while_a_question_waits():
    at = desk(True)
    seen = []

    async def read_meanwhile():
        while not at.records.approvals:
            await asyncio.sleep(0)
        seen.append(await at.toolbox.bash("kubectl get pods"))

    async with asyncio.TaskGroup() as group:
        group.create_task(read_meanwhile())
        await at.bash(SCALE)

    assert not seen[0].is_error


async def test_what_the_api_server_would_write_beside_the_lines_own_objects_is_refused():
    at = desk(True)
    line = "kubectl annotate deploy/web a=b"
    at.cluster.touches[line] = (Touched(WEB, deployment(), deployment()), Touched(WEB_1, pod(WEB_1), pod(WEB_1)))

    (answer,) = await at.bash(line)

    assert "it would change Pod shop/web-1 too, which the line does not name" in answer.text
    assert (at.people.asked, at.cluster.ran) == ([], [])


async def test_an_object_that_was_to_be_made_and_exists_by_now_is_not_overwritten():
    at = desk(True)
    line = "kubectl create configmap settings --from-literal=a=b"
    made = Resource("ConfigMap", "settings", "shop", "v1")
    at.cluster.touches[line] = (Touched(made, None, {"kind": "ConfigMap"}),)
    there = Touched(made, {"kind": "ConfigMap", "metadata": {}}, {"kind": "ConfigMap"})
    at.people.meanwhile = [lambda: at.cluster.touches.update({line: (there,)})]

    (answer,) = await at.bash(line)

    assert "exists by now" in answer.text
    assert len(at.people.asked) == 1
    assert at.cluster.ran == []


# --- what a permit's rules show ----------------------------------------------------------------------------------


def scaling(replicas):
    shown = (Precondition(WEB, ("spec", "replicas"), str(replicas)),)
    return PermitRule(Change.SCALE, WEB, replicas=(1, 6), preconditions=shown)


async def test_a_covered_change_of_a_field_that_is_not_as_it_was_shown_is_asked_anew():
    at = desk("no", rules=(scaling(2),))

    (answer,) = await at.bash(SCALE)

    assert "Ben rejected" in answer.text
    assert at.records.history[0].facts["why"] == "spec.replicas of Deployment shop/web was 2 and is 3 now."
    assert at.cluster.ran == []


async def test_a_covered_change_of_a_field_that_is_not_as_it_was_shown_is_refused_where_nobody_is_asked():
    at = desk(is_allowed=False, rules=(scaling(2),))

    (answer,) = await at.bash(SCALE)

    assert "was 2 and is 3 now" in answer.text
    assert at.cluster.ran == []


async def test_what_the_run_itself_has_changed_is_not_held_against_its_permit():
    at = desk(rules=(scaling(3),))
    back = "kubectl scale deploy/web --replicas=4"

    answers = await at.bash(SCALE, back)

    assert [one.is_error for one in answers] == [False, False]
    assert at.cluster.ran == [SCALE, back]


# --- one approved line after the other, without an agent -----------------------------------------------------------


async def test_an_approved_line_is_run_if_all_is_as_it_was_approved():
    at = desk()
    judged = judge(SCALE, "shop")
    line, _ = await at.toolbox._line_of(judged)

    answer = await at.toolbox.run_line(judged, line, changes=at.toolbox.changes)
    again = await at.toolbox.run_line(judged, line, changes=at.toolbox.changes)

    assert not answer.is_error
    assert "was 3 and is 5 now" in again.text
    assert at.cluster.ran == [SCALE]


async def test_an_approved_line_is_not_run_for_another_object():
    at = desk()
    judged = judge(SCALE, "shop")
    line, _ = await at.toolbox._line_of(judged)
    at.cluster.objects[WEB] = deployment(uid="uid-of-another")

    assert (await at.toolbox.run_line(judged, line, changes=at.toolbox.changes)).is_error
    at.cluster.objects.pop(WEB)
    assert (await at.toolbox.run_line(judged, line, changes=at.toolbox.changes)).is_error
    assert at.cluster.ran == []


async def test_a_line_that_was_asked_for_runs_with_a_credential_of_its_own_that_is_taken_away_again():
    at = desk(True)
    grants = FakeGrants(FakeCluster())
    at.toolbox.grants = grants

    (answer,) = await at.bash(SCALE)

    assert not answer.is_error
    assert grants.told == ["issued q-1", "revoked q-1"]
    assert grants.commands.ran == [SCALE]
    assert at.cluster.ran == []


async def test_a_line_that_no_credential_can_be_made_for_is_not_run_and_the_agent_hears_why():
    at = desk(True)
    at.toolbox.grants = FakeGrants(FakeCluster(), refusal=NotAllowedError("No credential can be made."))

    (answer,) = await at.bash(SCALE)

    assert answer.is_error
    assert "No credential can be made" in answer.text
    assert at.cluster.ran == []


async def test_nobody_is_asked_about_a_line_that_no_credential_could_be_held_to():
    at = desk(True)
    at.toolbox.grants = FakeGrants(at.cluster, unheld=NotAllowedError("No credential can be made for this line."))

    (answer,) = await at.bash(SCALE)

    assert answer.is_error
    assert "No credential can be made for this line" in answer.text
    assert at.records.approvals == {}
    assert at.cluster.ran == []


async def test_people_are_asked_about_the_values_that_the_credential_is_held_to():
    at = desk(True)
    at.toolbox.grants = FakeGrants(at.cluster)

    await at.bash(SCALE)

    (question,) = at.records.approvals.values()
    (line,) = question.permit.lines
    assert [(one.target, one.value) for one in line.writes] == [(line.targets[0], "as tried")]
