"""What a policy's values mean."""

import pytest

from core.errors import InvalidInputError
from core.policy.policy import DEFAULT_POLICY, AutoApproval, ClusterPin, Policy, TokenBound
from core.resolution import ActionType, Person
from core.risk_levels import RiskLevel

RULE = AutoApproval("key:alerts", frozenset({ActionType.POD_RESTART}), ("shop", "shop-*"))


@pytest.mark.parametrize(
    ("caller", "name", "action", "namespace", "is_let"),
    [
        ("key:alerts", "x", ActionType.POD_RESTART, "shop", True),
        ("slack:T1/U1", "key:alerts", ActionType.POD_RESTART, "shop-eu", True),
        ("key:Alerts", "x", ActionType.POD_RESTART, "shop", False),
        ("key:alerts2", "x", ActionType.POD_RESTART, "shop", False),
        ("key:alerts", "x", ActionType.CONFIG_FIX, "shop", False),
        ("key:alerts", "x", ActionType.POD_RESTART, "pay", False),
        ("key:alerts", "x", ActionType.POD_RESTART, "my-shop", False),
    ],
)
def test_auto_approval_lets_one_caller_do_one_action_in_some_namespaces(caller, name, action, namespace, is_let):
    assert RULE.lets(caller, name, action, namespace) is is_let


def test_auto_approval_without_namespaces_holds_everywhere():
    assert AutoApproval("*", frozenset({ActionType.POD_RESTART})).lets("a", "b", ActionType.POD_RESTART, "any")


def test_without_a_map_there_is_one_cluster_for_every_client():
    assert DEFAULT_POLICY.cluster_problem("loc-01", "uid-1") is None


MAPPED = Policy(clients={"loc-01": ClusterPin("east", "uid-1"), "loc-02": ClusterPin("west")})


@pytest.mark.parametrize(("client", "uid"), [("loc-01", "uid-1"), ("loc-02", "uid-9"), ("loc-02", None)])
def test_a_client_may_touch_the_cluster_it_is_pinned_to(client, uid):
    assert MAPPED.cluster_problem(client, uid) is None


@pytest.mark.parametrize(
    ("client", "uid", "words"),
    [("loc-01", "uid-2", "'east'"), ("loc-01", None, "'east'"), ("loc-03", "uid-1", "has none for client 'loc-03'")],
)
def test_another_cluster_than_the_pinned_one_is_refused_by_name(client, uid, words):
    assert words in MAPPED.cluster_problem(client, uid)


PAGER, ADA = Person("key:pager", "pager"), Person("slack:T1/U1", "Ada")
BOUND = Policy(token_bounds=(TokenBound("pag*", 20_000), TokenBound("key:*", 30_000), TokenBound("slack:*", 900_000)))


@pytest.mark.parametrize(
    ("policy", "caller", "asked", "given"),
    [
        (DEFAULT_POLICY, PAGER, None, 100_000),
        (DEFAULT_POLICY, PAGER, 100_000, 100_000),
        (BOUND, PAGER, None, 20_000),
        (BOUND, PAGER, 20_000, 20_000),
        (BOUND, PAGER, 1, 1),
        (BOUND, Person("key:ci", "ci"), None, 30_000),
        (BOUND, ADA, None, 100_000),
    ],
)
def test_a_request_may_use_what_setting_and_policy_let_its_caller(policy, caller, asked, given):
    assert policy.token_limit(caller, asked=asked, setting=100_000) == given


@pytest.mark.parametrize(
    ("policy", "caller", "asked", "sentence"),
    [
        (BOUND, PAGER, 20_001, "token_limit: at most 20000 for pager (people.token_limits of the policy)."),
        (BOUND, ADA, 100_001, "token_limit: at most 100000 here (INCIDENT_RESOLVER_TOKEN_LIMIT)."),
        (DEFAULT_POLICY, ADA, 100_001, "token_limit: at most 100000 here (INCIDENT_RESOLVER_TOKEN_LIMIT)."),
    ],
)
def test_more_tokens_than_a_caller_may_ask_for_are_refused_with_the_bound(policy, caller, asked, sentence):
    with pytest.raises(InvalidInputError) as caught:
        policy.token_limit(caller, asked=asked, setting=100_000)

    assert (str(caught.value), caught.value.field) == (sentence, "token_limit")


@pytest.mark.parametrize("level", list(RiskLevel))
@pytest.mark.parametrize("action", [ActionType.CONFIG_FIX, ActionType.RESOURCE_SCALE])
def test_what_writes_values_is_planned_at_every_level(action, level):
    assert DEFAULT_POLICY.wants_plan(action, level)


@pytest.mark.parametrize(
    ("level", "is_planned"),
    [(RiskLevel.LOW, False), (RiskLevel.MEDIUM, False), (RiskLevel.HIGH, True), (RiskLevel.CRITICAL, True)],
)
def test_a_restart_is_planned_from_high_up_unless_the_policy_says_otherwise(level, is_planned):
    assert DEFAULT_POLICY.wants_plan(ActionType.POD_RESTART, level) is is_planned
    assert Policy(plan_from=RiskLevel.LOW).wants_plan(ActionType.POD_RESTART, level)


@pytest.mark.parametrize("level", list(RiskLevel))
def test_an_investigation_is_never_planned_for_it_changes_nothing(level):
    assert not Policy(plan_from=RiskLevel.LOW).wants_plan(ActionType.INVESTIGATION, level)
