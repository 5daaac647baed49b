"""Permits are made from action type and affected workloads: every object by name, values inside bounds."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.effects import Change
from core.findings import IncidentContext
from core.permit import PermitRule, Precondition
from core.permits import choose_affected, make_permit, replica_bounds
from core.policy.policy import DEFAULT_POLICY, Policy
from core.resolution import ActionType
from core.resources import Resource
from core.risk_levels import RiskLevel
from tests.unit.core import examples
from tests.unit.core.examples import LATER

COUNTS = st.integers(0, 40)
WORKLOADS = st.builds(
    examples.workload,
    st.sampled_from(["web", "api", "db"]),
    kind=st.sampled_from(["Deployment", "StatefulSet", "DaemonSet", "Job", "Pod"]),
    desired=COUNTS,
    ready=COUNTS,
    pods=st.lists(
        st.builds(
            examples.pod,
            st.sampled_from(["web-1", "web-2", "api-1"]),
            is_ready=st.booleans(),
            reason=st.sampled_from(["", "CrashLoopBackOff"]),
        ),
        max_size=3,
    ).map(tuple),
    image_history=st.lists(st.sampled_from(["nginx:1", "nginx:2"]), max_size=2, unique=True).map(tuple),
    hpa_range=st.one_of(st.none(), st.tuples(st.integers(1, 5), st.integers(5, 20))),
)
AFFECTED = st.lists(WORKLOADS, max_size=3).map(tuple)


def made(action, *affected, level=RiskLevel.MEDIUM, policy=DEFAULT_POLICY):
    return make_permit(
        examples.request(action),
        IncidentContext(affected=affected),
        examples.assessment(level),
        policy,
        ends_at=LATER,
        cluster="uid-cluster",
    )


def test_a_restart_may_delete_the_failing_pods_by_name_and_restart_their_rollout():
    failing, fine = examples.pod("web-1", is_ready=False), examples.pod("web-2")
    permit = made(ActionType.POD_RESTART, examples.workload(pods=(failing, fine)))

    assert permit.rules == (
        PermitRule(Change.DELETE_POD, failing.resource),
        PermitRule(Change.RESTART, examples.workload().resource),
    )


def test_a_ready_pod_with_a_reason_is_failing_too():
    crashing = examples.pod("web-1", reason="CrashLoopBackOff")

    assert (
        PermitRule(Change.DELETE_POD, crashing.resource)
        in made(ActionType.POD_RESTART, examples.workload(pods=(crashing,))).rules
    )


def test_a_bare_pod_is_deleted_and_has_no_rollout():
    bare = examples.workload("job-1", kind="Pod", desired=1, ready=1)

    assert made(ActionType.POD_RESTART, bare).rules == (PermitRule(Change.DELETE_POD, bare.resource),)


def test_a_configuration_fix_may_go_back_to_images_of_the_workloads_own_history_only():
    web = examples.workload(images=(("web", "nginx:3"),), image_history=("nginx:2", "nginx:1"))

    path = ("spec", "template", "spec", "containers", "web", "image")
    now = (Precondition(web.resource, path, '"nginx:3"'),)
    assert made(ActionType.CONFIG_FIX, web).rules == (
        PermitRule(Change.SET_IMAGE, web.resource, images=("nginx:2", "nginx:1"), preconditions=now),
        PermitRule(Change.UNDO, web.resource, preconditions=now),
        PermitRule(Change.RESTART, web.resource),
    )


def test_a_configuration_fix_without_history_may_only_restart():
    web = examples.workload()

    assert made(ActionType.CONFIG_FIX, web).rules == (PermitRule(Change.RESTART, web.resource),)


def test_scaling_is_bounded_and_only_of_what_can_be_scaled():
    web, agent = examples.workload(), examples.workload("agent", kind="DaemonSet")

    assert made(ActionType.RESOURCE_SCALE, web, agent).rules == (
        PermitRule(
            Change.SCALE,
            web.resource,
            replicas=replica_bounds(web, DEFAULT_POLICY),
            preconditions=(Precondition(web.resource, ("spec", "replicas"), "3"),),
        ),
    )


@pytest.mark.parametrize("action", [one for one in ActionType if one is not ActionType.INVESTIGATION])
def test_no_target_no_permit(action):
    assert made(action) is None


def test_a_target_that_the_action_cannot_touch_is_no_target():
    assert made(ActionType.RESOURCE_SCALE, examples.workload("agent", kind="DaemonSet")) is None
    assert made(ActionType.CONFIG_FIX, examples.workload("job-1", kind="Pod")) is None


@given(AFFECTED, st.sampled_from(RiskLevel))
def test_an_investigation_may_read_and_nothing_else(affected, level):
    permit = made(ActionType.INVESTIGATION, *affected, level=level)

    assert (permit.rules, permit.highest_risk) == ((), RiskLevel.LOW)


@given(st.sampled_from(ActionType), AFFECTED, st.sampled_from(RiskLevel))
def test_every_rule_names_an_object_that_is_affected(action, affected, level):
    permit = made(action, *affected, level=level)
    names = {one.resource for one in affected} | {pod.resource for one in affected for pod in one.pods}

    for rule in permit.rules if permit else ():
        assert rule.target in names
        assert rule.target.name


@given(st.sampled_from(ActionType), AFFECTED, st.sampled_from(RiskLevel))
def test_a_permits_ceiling_is_never_below_its_lines_nor_below_what_the_card_shows(action, affected, level):
    permit = made(action, *affected, level=level)
    if permit is None or not permit.rules:
        return
    assert permit.highest_risk >= level
    assert permit.highest_risk >= RiskLevel.MEDIUM
    if any(rule.change is Change.SCALE for rule in permit.rules):
        assert permit.highest_risk >= RiskLevel.HIGH


def test_a_permit_carries_the_requests_limits_and_the_policys_version():
    request = replace(examples.request(), token_limit=7)
    permit = make_permit(
        request,
        IncidentContext(affected=(examples.workload(),)),
        examples.assessment(),
        Policy(version="abc"),
        ends_at=LATER,
        cluster="uid-cluster",
    )

    assert (permit.token_limit, permit.policy_version, permit.ends_at) == (7, "abc", LATER)
    assert (permit.cluster, permit.namespace, permit.action_type) == ("uid-cluster", "shop", request.action_type)


# --- replica bounds ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("desired", "hpa_range", "factor", "bounds"),
    [
        (3, None, 2.0, (1, 6)),
        (1, None, 2.0, (1, 3)),
        (0, None, 2.0, (1, 3)),
        (5, None, 1.5, (1, 8)),
        (5, None, 1.0, (1, 7)),
        (3, (2, 4), 2.0, (2, 4)),
        (3, (2, 10), 2.0, (2, 6)),
        (3, (8, 10), 2.0, (8, 8)),
    ],
)
def test_replicas_go_up_to_the_policys_factor_inside_an_autoscalers_range(desired, hpa_range, factor, bounds):
    web = examples.workload(desired=desired, hpa_range=hpa_range)

    assert replica_bounds(web, Policy(scale_factor=factor)) == bounds


@given(WORKLOADS, st.floats(1, 10))
def test_nothing_is_ever_scaled_to_nothing(workload, factor):
    low, high = replica_bounds(workload, Policy(scale_factor=factor))

    assert 1 <= low <= high


@given(WORKLOADS, st.floats(1, 10))
def test_an_autoscalers_range_is_never_left(workload, factor):
    if workload.hpa_range is None:
        return
    low, high = replica_bounds(workload, Policy(scale_factor=factor))

    assert workload.hpa_range[0] <= low <= high <= workload.hpa_range[1]


# --- which workloads a request is about --------------------------------------------------------------------------

HEALTHY, FAILING = examples.workload("web"), examples.workload("api", ready=1)


def chosen(text, *workloads, event_id=None):
    request = replace(examples.request(), action_description=text, event_id=event_id)
    return [one.resource.name for one in choose_affected(request, workloads)]


@pytest.mark.parametrize(
    "text", ["restart web", "web fails", "deployment/web is stuck", "look at WEB.", "what is with (web)?", "shop/web"]
)
def test_a_workload_is_chosen_by_its_name_even_when_another_one_fails(text):
    assert chosen(text, HEALTHY, FAILING) == ["web"]


@pytest.mark.parametrize("text", ["cobweb", "web-1 fails", "webs", "my-web", "web.example", "x.web"])
def test_a_name_inside_another_word_names_nothing(text):
    assert chosen(text, HEALTHY) == []


def test_the_event_may_name_it_too():
    assert chosen("it fails", HEALTHY, FAILING, event_id="alert/web") == ["web"]


def test_where_nothing_is_named_the_failing_ones_are_meant_in_order_of_name():
    also = examples.workload("a", ready=0)

    assert chosen("it fails", HEALTHY, FAILING, also) == ["a", "api"]


def test_where_nothing_is_named_and_nothing_fails_nothing_is_chosen():
    assert chosen("it fails", HEALTHY) == []


def test_a_named_pod_stands_for_its_workload_without_the_other_pods():
    web = examples.workload(pods=(examples.pod("web-1"), examples.pod("web-2", is_ready=False)))
    request = replace(examples.request(), action_description="restart web-1")

    assert choose_affected(request, [web, FAILING]) == (replace(web, pods=(examples.pod("web-1"),)),)


@given(st.text(max_size=40), st.lists(WORKLOADS, max_size=4))
def test_what_is_chosen_was_there(text, workloads):
    request = replace(examples.request(), action_description=text)
    there = {one.resource for one in workloads}

    assert {one.resource for one in choose_affected(request, workloads)} <= there


def test_names_are_matched_letter_by_letter_not_as_patterns():
    odd = replace(HEALTHY, resource=Resource("Deployment", "a.b", "shop"))

    assert chosen("axb fails", odd) == []
    assert chosen("a.b fails", odd) == ["a.b"]
