"""Who must be asked, for how long, who may answer, and which answer counts."""

import datetime
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.actor import Actor, Right
from core.approval import Answer, Approval, ApprovalState, Subject
from core.approvals import HOW_TO_SET, ApprovalEngine
from core.errors import NotAllowedError, StaleError
from core.policy.policy import AutoApproval, Policy
from core.resolution import ActionType, ApprovalId, Person, ResolutionId
from core.risk_levels import RiskLevel
from tests.unit.core import examples
from tests.unit.core.examples import ANNA, BEN, LATER, NOW

MEMBER = Actor(ANNA, frozenset(Right), is_full_member=True)
ENGINE = ApprovalEngine(approvers=("U1",))
QUESTION = Approval(
    ApprovalId("a-1"),
    ResolutionId("r-1"),
    Subject.RESOLUTION,
    ApprovalState.PENDING,
    examples.permit(),
    asked_at=NOW,
    deadline=LATER,
)
YES = Answer(QUESTION.id, ANNA, is_approval=True, reason="", digest=QUESTION.permit.digest)


# --- who must be asked -------------------------------------------------------------------------------------------

TRUSTING = Policy(auto_approvals=(AutoApproval("slack:T1/U1", frozenset(ActionType), ("shop",)),))


def asked_for(level, *, policy=TRUSTING, caller=ANNA, **request):
    return ApprovalEngine(policy=policy).needs_person(
        examples.assessment(level), examples.request(**request), caller=caller
    )


def test_low_passes_by_itself():
    assert not asked_for(RiskLevel.LOW, policy=Policy())


@pytest.mark.parametrize("level", [RiskLevel.MEDIUM, RiskLevel.HIGH, RiskLevel.CRITICAL])
def test_everything_above_low_needs_a_person(level):
    assert asked_for(level, policy=Policy())
    assert asked_for(level, policy=Policy(), auto_approve=True)


def test_medium_passes_where_the_caller_asks_and_policy_lets_this_caller():
    assert not asked_for(RiskLevel.MEDIUM, auto_approve=True)


@pytest.mark.parametrize(
    "changed",
    [
        {"auto_approve": False},
        {"caller": BEN},
        {"namespace": "pay"},
    ],
)
def test_medium_needs_a_person_where_one_of_these_is_missing(changed):
    assert asked_for(RiskLevel.MEDIUM, **{"auto_approve": True} | changed)


@pytest.mark.parametrize("level", [RiskLevel.HIGH, RiskLevel.CRITICAL])
def test_no_policy_lets_anything_above_medium_pass(level):
    assert asked_for(level, auto_approve=True)


# --- for how long ------------------------------------------------------------------------------------------------


def test_a_question_stays_open_for_the_setting_or_what_policy_says_of_its_level():
    engine = ApprovalEngine(policy=Policy(timeouts_seconds={RiskLevel.HIGH: 900}))

    assert engine.timeout_seconds(RiskLevel.HIGH) == 900
    assert engine.timeout_seconds(RiskLevel.MEDIUM) == 300
    assert ApprovalEngine(default_timeout_seconds=60).timeout_seconds(RiskLevel.CRITICAL) == 60


@pytest.mark.parametrize(
    ("setting", "policy", "expected"),
    [(False, None, False), (True, None, True), (False, True, True), (True, False, False)],
)
def test_policy_has_the_last_word_on_rolling_back_by_itself(setting, policy, expected):
    engine = ApprovalEngine(auto_rollback=setting, policy=Policy(auto_rollback=policy))

    assert engine.rolls_back_by_itself(examples.request()) is expected


# --- who may answer ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("approvers", "actor"),
    [
        (("U1",), MEMBER),
        (("slack:T1/U1",), MEMBER),
        (("S9",), replace(MEMBER, groups=frozenset({"S9"}))),
        (("channel",), MEMBER),
        (("U7", "channel"), MEMBER),
        ((), Actor(Person("key:ci", "ci"), frozenset({Right.APPROVE}), is_approver=True)),
    ],
)
def test_a_person_a_group_the_channel_or_an_approving_key_may_answer(approvers, actor):
    ApprovalEngine(approvers=approvers).check_approver(actor)


def test_approvers_of_the_policy_count_like_those_of_the_setting():
    ApprovalEngine(policy=Policy(approvers=("U1",))).check_approver(MEMBER)


@pytest.mark.parametrize("approvers", [("U1",), ("slack:T1/U1",), ("channel",), ("S9",)])
def test_guests_and_bots_never_may_even_when_they_are_named(approvers):
    guest = replace(MEMBER, is_full_member=False, groups=frozenset({"S9"}))

    with pytest.raises(NotAllowedError, match="Only full members"):
        ApprovalEngine(approvers=approvers).check_approver(guest)


@pytest.mark.parametrize("approvers", [("U2",), ("U",), ("U11",), ("S9",), ("Anna",), ("T1/U1",), ("slack:T1",)])
def test_whoever_is_not_named_may_not(approvers):
    with pytest.raises(NotAllowedError, match="not among the approvers"):
        ApprovalEngine(approvers=approvers).check_approver(MEMBER)


def test_where_nobody_is_set_nobody_may_and_everybody_is_told_how():
    engine = ApprovalEngine()

    with pytest.raises(NotAllowedError) as caught:
        engine.check_approver(MEMBER)

    assert str(caught.value) == HOW_TO_SET == engine.why_nobody()
    assert "INCIDENT_RESOLVER_APPROVERS" in HOW_TO_SET
    assert ENGINE.why_nobody() is None


def test_an_approver_that_names_nobody_is_told():
    known = ("U1", "W01AB", "S0ONCALL01", "slack:T1/U1", "channel")
    assert ApprovalEngine(approvers=known).why_not_these() is None

    told = ApprovalEngine(approvers=("U1", "bob"), policy=Policy(approvers=("@ada", "u1"))).why_not_these()

    assert told.startswith("Nobody may approve by the name of 'bob', '@ada', 'u1': approvers are Slack ids")


@given(st.lists(st.text(max_size=8), max_size=4).map(tuple))
def test_no_list_of_approvers_lets_a_guest_in(approvers):
    with pytest.raises(NotAllowedError):
        ApprovalEngine(approvers=approvers).check_approver(replace(MEMBER, is_full_member=False))


# --- the requester -----------------------------------------------------------------------------------------------

FOUR_EYES = ApprovalEngine(approvers=("channel",), policy=Policy(may_requesters_approve=False))


def test_a_policy_may_want_another_person_than_the_requester():
    with pytest.raises(NotAllowedError, match="somebody else than the requester"):
        FOUR_EYES.check_requester(examples.resolution(), YES)


def test_the_requester_may_still_reject():
    FOUR_EYES.check_requester(examples.resolution(), replace(YES, is_approval=False))


def test_another_person_may_approve():
    FOUR_EYES.check_requester(examples.resolution(), replace(YES, by=BEN))


def test_without_such_a_policy_requesters_may_approve_what_they_asked_for():
    ENGINE.check_requester(examples.resolution(), YES)


# --- which answer counts -----------------------------------------------------------------------------------------


def judge(approval=QUESTION, answer=YES, *, actor=MEMBER, now=NOW):
    ENGINE.judge_answer(approval, answer, actor=actor, now=now)


def test_an_answer_to_what_was_shown_in_time_by_an_approver_counts():
    judge()
    judge(answer=replace(YES, is_approval=False))
    judge(answer=replace(YES, digest=None))
    judge(now=LATER - datetime.timedelta(microseconds=1))


def test_an_answer_at_the_deadline_is_too_late():
    with pytest.raises(StaleError, match=r"expired at 12:10:00 UTC; ask again"):
        judge(now=LATER)


def test_an_answer_to_another_plan_does_not_count_and_names_the_present_one():
    changed = replace(QUESTION, permit=QUESTION.permit.until(LATER + datetime.timedelta(hours=1)))

    with pytest.raises(StaleError) as caught:
        judge(changed)

    assert "The plan has changed, look again" in str(caught.value)
    assert changed.permit.digest in str(caught.value)


def test_what_was_asked_under_another_policy_cannot_be_approved_but_rejected():
    older = replace(QUESTION, permit=replace(QUESTION.permit, policy_version="older"))

    answer = replace(YES, digest=older.permit.digest)

    with pytest.raises(StaleError, match="The policy has changed since"):
        judge(older, answer)
    judge(older, replace(answer, is_approval=False))


def test_an_answer_of_somebody_who_may_not_does_not_count():
    with pytest.raises(NotAllowedError):
        judge(actor=replace(MEMBER, person=BEN))


@pytest.mark.parametrize(
    ("ended", "sentence"),
    [
        (
            {"state": ApprovalState.APPROVED, "decided_by": BEN, "decided_at": NOW, "reason": "go"},
            "This was already approved by Ben at 2026-03-01 12:00:00 UTC, because: go.",
        ),
        (
            {"state": ApprovalState.REJECTED, "decided_by": BEN, "decided_at": NOW},
            "This was already rejected by Ben at 2026-03-01 12:00:00 UTC.",
        ),
        (
            {"state": ApprovalState.CANCELLED, "decided_at": NOW},
            "This was already cancelled by the service at 2026-03-01 12:00:00 UTC.",
        ),
        (
            {"state": ApprovalState.EXPIRED, "decided_at": NOW},
            "Nobody answered in time: the question expired at 2026-03-01 12:00:00 UTC. It can be asked again.",
        ),
        ({"state": ApprovalState.EXPIRED}, "Nobody answered in time: the question expired. It can be asked again."),
    ],
)
def test_whoever_answers_second_is_told_who_decided_what_when_and_why(ended, sentence):
    with pytest.raises(StaleError) as caught:
        judge(replace(QUESTION, **ended))

    assert str(caught.value) == sentence


@given(
    st.sampled_from([one for one in ApprovalState if one is not ApprovalState.PENDING]),
    st.booleans(),
    st.timedeltas(datetime.timedelta(days=-1), datetime.timedelta(days=1)),
)
def test_an_ended_question_takes_no_answer_whenever_and_whatever(state, is_approval, passed):
    with pytest.raises(StaleError):
        judge(replace(QUESTION, state=state), replace(YES, is_approval=is_approval), now=NOW + passed)
