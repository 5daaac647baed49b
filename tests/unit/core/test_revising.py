"""A question about exact lines is compared with the cluster while it waits."""

from dataclasses import replace
from datetime import timedelta

import pytest

from core.actor import Actor, Right
from core.approval import Answer, Approval, ApprovalState, Subject
from core.approvals import ApprovalEngine
from core.errors import StaleError, UnavailableError
from core.history import Happened
from core.resolution import ActionType, ApprovalId, State
from core.revising import MOST_REVISIONS, Revising
from core.risk_levels import RiskLevel
from tests.unit.core import examples
from tests.unit.core.examples import ANNA, LATER, NOW, WEB
from tests.unit.core.test_plan_execution import SCALE, Ground

WAITING = examples.resolution(ActionType.RESOURCE_SCALE, state=State.AWAITING_APPROVAL)


async def question(at, **given):
    permit = replace(await at.approved(SCALE), highest_risk=RiskLevel.HIGH, **given)
    approval = Approval(ApprovalId("a-1"), WAITING.id, Subject.RESOLUTION, ApprovalState.PENDING, permit, NOW, LATER)
    at.records.approvals[approval.id] = approval
    return approval


async def look(at, approval):
    await Revising(at.records, at.planner, ApprovalEngine()).look(WAITING, approval)
    return at.records.approvals["a-1"]


async def test_a_plan_that_is_still_the_same_is_looked_at_again_later(tmp_path):
    at = Ground(tmp_path)
    approval = await question(at)

    assert await look(at, approval) == approval
    assert at.records.history == []
    assert at.records.log == ["wakes in 15 s"]


async def test_the_last_look_is_not_later_than_the_deadline(tmp_path):
    at = Ground(tmp_path)
    at.records.time = LATER - timedelta(seconds=4)

    await look(at, await question(at))

    assert at.records.log == ["wakes in 4 s"]


async def test_a_changed_value_makes_a_new_revision_with_another_digest_and_its_own_time(tmp_path):
    at = Ground(tmp_path)
    approval = await question(at)
    at.write(replicas=3)

    revised = await look(at, approval)

    assert (revised.state, revised.permit.revision) == (ApprovalState.PENDING, 2)
    assert "3 → 4" in revised.permit.lines[0].diff
    assert revised.permit.digest != approval.permit.digest
    assert revised.deadline == NOW + timedelta(seconds=300)
    (entry,) = at.records.history
    assert entry.what is Happened.PLAN_REVISED
    assert entry.facts["changes"] == ["Step 1 would now do this: Deployment shop/web spec.replicas: 3 → 4"]


async def test_another_object_of_that_name_makes_a_new_revision(tmp_path):
    at = Ground(tmp_path)
    approval = await question(at)
    at.cluster.objects[WEB]["metadata"]["uid"] = "uid-other"

    revised = await look(at, approval)

    assert revised.permit.revision == 2
    assert at.records.history[0].facts["changes"] == [
        "The objects of step 1, or the values it starts from, are not the same any more."
    ]


async def test_a_plan_that_fits_no_more_is_withdrawn_with_the_reason(tmp_path):
    at = Ground(tmp_path)
    approval = await question(at)
    del at.cluster.objects[WEB]

    assert (await look(at, approval)).state is ApprovalState.CANCELLED
    assert at.records.log == ["moved to cancelled"]
    assert "does not exist" in at.records.history[0].facts["reason"]


async def test_a_plan_that_keeps_changing_is_withdrawn(tmp_path):
    at = Ground(tmp_path)
    approval = await question(at, revision=MOST_REVISIONS)
    at.write(replicas=3)

    assert (await look(at, approval)).state is ApprovalState.CANCELLED


@pytest.mark.parametrize("ended", [ApprovalState.APPROVED, ApprovalState.REJECTED])
async def test_an_answer_that_came_meanwhile_stands(tmp_path, ended):
    at = Ground(tmp_path)
    approval = await question(at)
    at.write(replicas=3)
    at.records.approvals["a-1"] = replace(approval, state=ended, decided_by=ANNA)

    assert (await look(at, approval)).state is ended
    assert at.records.history == []


@pytest.mark.parametrize("error", [UnavailableError("No answer."), StaleError("It moves.")])
async def test_a_cluster_that_does_not_answer_changes_no_question(tmp_path, error):
    at = Ground(tmp_path)
    approval = await question(at)
    at.cluster.dry_run_error = error

    assert await look(at, approval) == approval
    assert at.records.log == ["wakes in 15 s"]


async def test_an_answer_to_an_older_revision_counts_for_nothing(tmp_path):
    at = Ground(tmp_path)
    approval = await question(at)
    at.write(replicas=3)
    revised = await look(at, approval)
    engine, actor = ApprovalEngine(), Actor(ANNA, frozenset(Right), is_approver=True)

    for digest in (approval.permit.digest, None):
        answer = Answer(approval.id, ANNA, is_approval=True, reason="", digest=digest)
        with pytest.raises(
            StaleError, match=f"The plan has changed, look again. The digest is {revised.permit.digest}"
        ):
            engine.judge_answer(revised, answer, actor=actor, now=NOW)
    newest = Answer(approval.id, ANNA, is_approval=True, reason="", digest=revised.permit.digest)
    engine.judge_answer(revised, newest, actor=actor, now=NOW)
