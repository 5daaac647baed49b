"""Risk is decided by rules and facts; every factor is a sentence with its number and can only raise."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core import risk
from core.findings import Gap, IncidentContext
from core.policy.policy import ACTION_RISK_MAP, DEFAULT_POLICY, Policy
from core.resolution import ActionType
from core.resources import Resource
from core.risk import RiskAssessor
from core.risk_levels import RiskLevel
from tests.unit.core import examples

LOW, MEDIUM, HIGH, CRITICAL = RiskLevel.LOW, RiskLevel.MEDIUM, RiskLevel.HIGH, RiskLevel.CRITICAL
CHANGING = [one for one in ActionType if one is not ActionType.INVESTIGATION]
WORKLOADS = st.builds(
    examples.workload,
    st.sampled_from(["web", "api", "db"]),
    desired=st.integers(0, 4),
    ready=st.integers(0, 4),
    is_stateful=st.booleans(),
    disruptions_allowed=st.one_of(st.none(), st.integers(0, 2)),
    hpa_range=st.one_of(st.none(), st.just((1, 5))),
    managed_by=st.one_of(st.none(), st.just("argocd")),
)
CONTEXTS = st.builds(
    IncidentContext,
    gaps=st.lists(st.builds(Gap, st.just("graph"), st.just("no answer"), st.booleans()), max_size=2).map(tuple),
    affected=st.lists(WORKLOADS, max_size=5).map(tuple),
    dependants=st.lists(st.just(Resource("Service", "web", "shop")), max_size=5).map(tuple),
    nodes_not_ready=st.lists(st.just("node-1"), max_size=1).map(tuple),
    failed_before=st.integers(0, 3),
)
REQUESTS = st.builds(
    examples.request, st.sampled_from(ActionType), namespace=st.sampled_from(["shop", "prod", "kube-system"])
)
CALM = IncidentContext(affected=(examples.workload(),))


def assessed(context=CALM, action=ActionType.POD_RESTART, *, policy=DEFAULT_POLICY, namespace="shop"):
    return risk.assess(examples.request(action, namespace=namespace), context, policy)


def test_the_four_action_types_have_the_levels_of_the_contract():
    assert dict(ACTION_RISK_MAP) == {
        ActionType.INVESTIGATION: LOW,
        ActionType.POD_RESTART: MEDIUM,
        ActionType.CONFIG_FIX: MEDIUM,
        ActionType.RESOURCE_SCALE: HIGH,
    }


def test_the_map_cannot_be_changed_by_whoever_imports_it():
    with pytest.raises(TypeError):
        ACTION_RISK_MAP[ActionType.RESOURCE_SCALE] = LOW


@pytest.mark.parametrize("action", list(ActionType))
def test_where_nothing_is_special_the_level_is_the_action_types(action):
    assert assessed(action=action).level is ACTION_RISK_MAP[action]


def test_levels_are_ordered_by_severity():
    assert sorted([CRITICAL, LOW, HIGH, MEDIUM]) == [LOW, MEDIUM, HIGH, CRITICAL]
    assert max(LOW, HIGH, MEDIUM) is HIGH


def affected(*workloads):
    return IncidentContext(affected=workloads)


@pytest.mark.parametrize(
    ("context", "level", "words"),
    [
        (affected(examples.workload("db", is_stateful=True)), HIGH, "Deployment shop/db is stateful (3 replica(s)"),
        (affected(examples.workload(desired=1)), MEDIUM, "single replica: 1 of 1"),
        (affected(examples.workload(disruptions_allowed=0)), HIGH, "allows 0 more disruptions"),
        (affected(examples.workload(hpa_range=(2, 5))), MEDIUM, "between 2 and 5 replicas"),
        (affected(examples.workload(managed_by="argocd")), MEDIUM, "managed by argocd"),
        (affected(examples.workload("a"), examples.workload("b")), HIGH, "Multiple resources affected (2)"),
        (affected(*[examples.workload(name) for name in "abcd"]), CRITICAL, "Multiple resources affected (4)"),
        (replace(CALM, dependants=(Resource("Service", "x"),)), MEDIUM, "1 resource(s) depend"),
        (replace(CALM, dependants=tuple(Resource("Service", x) for x in "abcd")), HIGH, "4 resource(s) depend"),
        (replace(CALM, nodes_not_ready=("node-1",)), MEDIUM, "1 node(s) are not ready"),
        (replace(CALM, failed_before=1), MEDIUM, "1 resolution(s) of this kind failed"),
        (replace(CALM, failed_before=2), HIGH, "2 resolution(s) of this kind failed"),
        (replace(CALM, gaps=(Gap("graph", "no answer in 10 s"),)), HIGH, "1 source(s) did not answer"),
    ],
)
def test_each_factor_raises_and_says_why_with_its_number(context, level, words):
    found = assessed(context)

    assert found.level is level
    assert any(words in factor for factor in found.factors), found.factors


@pytest.mark.parametrize("action", CHANGING)
@pytest.mark.parametrize("namespace", ["kube-system", "kube-public", "kube-node-lease"])
def test_a_system_namespace_is_critical(action, namespace):
    assert assessed(action=action, namespace=namespace).level is CRITICAL


@pytest.mark.parametrize(
    ("namespace", "is_production"),
    [
        *((name, True) for name in ("prod", "prod-eu", "production", "production-2", "shop-prod", "shop-production")),
        *((name, False) for name in ("shop", "product", "preprod", "prodigy", "staging")),
    ],
)
def test_a_namespace_named_like_production_is_high(namespace, is_production):
    assert assessed(namespace=namespace).level is (HIGH if is_production else MEDIUM)


def test_which_namespaces_are_production_is_the_policys_to_say():
    policy = Policy(production_namespaces=("live-*",))

    assert assessed(policy=policy, namespace="live-eu").level is HIGH
    assert assessed(policy=policy, namespace="prod").level is MEDIUM


def test_pods_of_one_controller_count_as_one_object():
    pods = tuple(examples.pod(f"web-{number}", is_ready=False) for number in range(9))
    found = assessed(affected(examples.workload(desired=9, ready=0, pods=pods)))

    assert found.level is MEDIUM
    assert len(found.affected) == 9


def test_a_source_that_is_switched_off_is_no_missing_fact():
    assert assessed(replace(CALM, gaps=(Gap("graph", "NEO4J_URI is not set", is_off=True),))).level is MEDIUM


def test_a_policy_raises_an_action_types_level():
    policy = Policy(actions={**ACTION_RISK_MAP, ActionType.POD_RESTART: CRITICAL}, version="v7")
    found = assessed(policy=policy)

    assert (found.level, found.policy_version) == (CRITICAL, "v7")


def test_a_policy_that_would_lower_a_level_is_not_followed():
    policy = Policy(actions=dict.fromkeys(ActionType, LOW))

    assert assessed(action=ActionType.RESOURCE_SCALE, policy=policy).level is HIGH


@given(CONTEXTS, st.sampled_from(["shop", "prod", "kube-system"]))
def test_an_investigation_stays_low_whatever_it_looks_at(context, namespace):
    found = assessed(context, ActionType.INVESTIGATION, namespace=namespace)

    assert found.level is LOW
    assert found.estimated_impact == "No impact - nothing is changed"


@given(REQUESTS, CONTEXTS)
def test_a_level_is_never_below_the_action_types_own(request_, context):
    assert risk.assess(request_, context, DEFAULT_POLICY).level >= ACTION_RISK_MAP[request_.action_type]


MORE = st.sampled_from(
    [
        lambda one: replace(one, gaps=(*one.gaps, Gap("logs", "no answer"))),
        lambda one: replace(one, gaps=(*one.gaps, Gap("graph", "not set", is_off=True))),
        lambda one: replace(one, affected=(*one.affected, examples.workload("more"))),
        lambda one: replace(one, affected=(*one.affected, examples.workload("more", is_stateful=True))),
        lambda one: replace(one, affected=tuple(replace(each, is_stateful=True) for each in one.affected)),
        lambda one: replace(one, affected=tuple(replace(each, disruptions_allowed=0) for each in one.affected)),
        lambda one: replace(one, affected=tuple(replace(each, managed_by="flux") for each in one.affected)),
        lambda one: replace(one, dependants=(*one.dependants, Resource("Service", "more"))),
        lambda one: replace(one, nodes_not_ready=(*one.nodes_not_ready, "node-2")),
        lambda one: replace(one, failed_before=one.failed_before + 1),
    ]
)


@given(REQUESTS, CONTEXTS, MORE)
def test_knowing_of_one_more_bad_thing_never_lowers_the_level(request_, context, more):
    before = risk.assess(request_, context, DEFAULT_POLICY)
    after = risk.assess(request_, more(context), DEFAULT_POLICY)

    assert after.level >= before.level
    assert len(after.factors) >= len(before.factors)


@given(REQUESTS, CONTEXTS)
def test_a_fact_that_is_missing_never_lowers_the_level(request_, context):
    blind = replace(context, gaps=(*context.gaps, Gap("kubernetes", "no answer")))

    assert risk.assess(request_, blind, DEFAULT_POLICY).level >= risk.assess(request_, context, DEFAULT_POLICY).level


@given(REQUESTS, CONTEXTS, st.sampled_from(RiskLevel))
def test_a_stricter_policy_never_lowers_the_level(request_, context, level):
    strict = Policy(
        actions={**ACTION_RISK_MAP, request_.action_type: max(level, ACTION_RISK_MAP[request_.action_type])}
    )

    assert risk.assess(request_, context, strict).level >= risk.assess(request_, context, DEFAULT_POLICY).level


@given(REQUESTS, CONTEXTS)
def test_the_assessor_is_the_rules_with_a_policy(request_, context):
    assert RiskAssessor(DEFAULT_POLICY).assess(request_, context) == risk.assess(request_, context, DEFAULT_POLICY)


def test_a_restart_affects_the_failing_pods_or_where_none_fails_the_workload():
    failing, fine = examples.pod("web-1", is_ready=False), examples.pod("web-2")

    assert assessed(affected(examples.workload(pods=(failing, fine)))).affected == (failing.resource,)
    assert assessed(affected(examples.workload(pods=(fine,)))).affected == (examples.workload().resource,)


def test_other_actions_affect_the_workload_itself():
    web = examples.workload(pods=(examples.pod("web-1", is_ready=False),))

    assert assessed(affected(web), ActionType.CONFIG_FIX).affected == (web.resource,)


@pytest.mark.parametrize(
    ("action", "steps"),
    [
        (ActionType.INVESTIGATION, ("Read only", "Report findings")),
        (ActionType.POD_RESTART, ("Create rollback snapshot", "Change one object at a time", "Monitor health")),
        (
            ActionType.RESOURCE_SCALE,
            (
                "Create rollback snapshot",
                "Stay inside the replica bounds of the approval",
                "Change one object at a time",
                "Monitor health",
            ),
        ),
    ],
)
def test_every_assessment_says_what_is_done_about_the_risk(action, steps):
    assert assessed(action=action).mitigation_steps == steps


@pytest.mark.parametrize(
    ("context", "namespace", "impact"),
    [
        (CALM, "shop", "Moderate impact - temporary disruption to 1 resource(s)"),
        (CALM, "prod", "High impact - disruption to 1 resource(s) and what depends on them"),
        (CALM, "kube-system", "Critical impact - 1 resource(s) and possibly the whole cluster"),
    ],
)
def test_the_impact_is_told_with_the_number_of_objects(context, namespace, impact):
    assert assessed(context, namespace=namespace).estimated_impact == impact
