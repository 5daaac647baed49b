"""Which approvals may have a credential: approved, whole, unused, in time, and at work under a living worker."""

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from core.approval import Approval, ApprovalState, Subject
from core.errors import NotAllowedError, UnavailableError
from core.grants import Claim, NoChanges, ReadyMade, taken_away
from core.resolution import State
from core.risk_levels import RiskLevel
from tests.fakes.cluster import FakeCluster
from tests.fakes.grants import FakeGrants
from tests.unit.core import examples
from tests.unit.core.examples import LATER, NOW

PERMIT = examples.permit()
APPROVAL = Approval("a-1", "r-1", Subject.RESOLUTION, ApprovalState.APPROVED, PERMIT, NOW, LATER)
CLAIM = Claim(APPROVAL, PERMIT.digest, is_used=False, state=State.EXECUTING, is_held=True, is_stopping=False, now=NOW)


def test_an_approved_permit_that_is_being_executed_has_a_credential():
    assert CLAIM.refusal() is None


@pytest.mark.parametrize("state", [one for one in ApprovalState if one is not ApprovalState.APPROVED])
def test_a_question_that_was_not_approved_has_none(state):
    assert state.value in replace(CLAIM, approval=replace(APPROVAL, state=state)).refusal()


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"approval": replace(APPROVAL, subject=Subject.ROLLBACK)}, "rollback"),
        ({"approval": replace(APPROVAL, permit=replace(PERMIT, namespace="other"))}, "digest differs"),
        ({"digest": "another"}, "digest differs"),
        ({"is_used": True}, "once"),
        ({"now": LATER + timedelta(seconds=1)}, "expired"),
        ({"is_held": False}, "No living worker"),
        ({"is_stopping": True}, "interrupt"),
    ],
)
def test_whatever_else_is_wrong_is_a_reason(changed, told):
    assert told in replace(CLAIM, **changed).refusal()


@pytest.mark.parametrize("state", [one for one in State if one is not State.EXECUTING])
def test_a_resolution_in_any_other_state_has_none(state):
    assert state.value in replace(CLAIM, state=state).refusal()


def test_a_permit_without_changes_has_none():
    permit = replace(PERMIT, rules=())

    assert "no change" in replace(CLAIM, approval=replace(APPROVAL, permit=permit), digest=permit.digest).refusal()


def test_the_permits_end_bounds_the_start_and_not_a_renewal():
    assert replace(CLAIM, is_used=True, now=LATER + timedelta(hours=1)).stop_reason() is None


async def test_taking_away_tells_where_it_could_not_be_done():
    grants = FakeGrants(FakeCluster(), is_silent=UnavailableError("away"))

    assert "within ten minutes" in await taken_away(grants, "a-1")
    assert await taken_away(FakeGrants(FakeCluster()), "a-1") == ""
    assert await taken_away(grants, None) == ""


async def test_an_execution_without_changes_runs_none():
    with pytest.raises(NotAllowedError):
        await NoChanges().run((("kubectl", "delete", "pod", "web-1"),), folder=Path("/"), seconds=1, namespace="shop")


async def test_without_an_issuer_every_execution_has_the_ready_made_identity():
    cluster = FakeCluster()

    grant = await ReadyMade(cluster).issue("a-1", RiskLevel.CRITICAL)

    assert grant.commands is cluster


@pytest.mark.parametrize(
    ("risk", "level"),
    [(RiskLevel.LOW, "MEDIUM"), (RiskLevel.MEDIUM, "MEDIUM"), (RiskLevel.HIGH, "HIGH")],
)
async def test_an_execution_has_the_ready_made_identity_of_its_approvals_level(risk, level):
    by_risk = {RiskLevel.MEDIUM: FakeCluster(), RiskLevel.HIGH: FakeCluster()}

    grant = await ReadyMade(FakeCluster(), by_risk).issue("a-1", risk)

    assert grant.commands is by_risk[RiskLevel(level)]


async def test_a_level_without_an_identity_changes_nothing_and_says_what_to_set():
    grants = ReadyMade(FakeCluster(), {RiskLevel.MEDIUM: FakeCluster()})

    with pytest.raises(NotAllowedError, match="INCIDENT_RESOLVER_HIGH_KUBECONFIG"):
        await grants.issue("a-1", RiskLevel.HIGH)
