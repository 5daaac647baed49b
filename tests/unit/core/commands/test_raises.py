"""A policy raises verdicts and never lowers one."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.commands.gate import KNOWN_PROGRAMS, judge
from core.errors import InvalidInputError
from core.policy.command_raises import CommandRaise
from core.policy.loading import load_policy
from core.risk_levels import RiskLevel
from tests.unit.core.commands.rule_rows import rows

LEVELS = st.sampled_from([*RiskLevel, None])
RAISES = st.builds(
    CommandRaise,
    to=LEVELS,
    verbs=st.sampled_from([(), ("kubectl *",), ("kubectl delete",), ("helm *",)]),
    kinds=st.sampled_from([(), ("Pod",), ("*Set",)]),
    namespaces=st.sampled_from([(), ("shop",), ("pay*",)]),
    rules=st.sampled_from([(), ("R6",)]),
)


def severity(risk):
    return 9 if risk is None else risk.severity


@given(st.sampled_from([line for line, _, _ in rows()]), st.lists(RAISES, max_size=3))
def test_no_policy_makes_a_verdict_lower(line, raises):
    plain = judge(line, "shop", programs=KNOWN_PROGRAMS)
    judged = judge(line, "shop", programs=KNOWN_PROGRAMS, raises=raises)

    assert severity(judged.risk) >= severity(plain.risk)
    assert judged.effects == (() if judged.is_denied else plain.effects)


def raised(line, text):
    return judge(line, "shop", raises=load_policy(f"version: 1\ncommands:\n  raise:\n    - {text}\n").command_raises)


def test_a_policy_file_names_verbs_kinds_and_namespaces():
    rule = "{to: CRITICAL, verbs: [kubectl delete], kinds: [Pod], namespaces: [shop]}"
    assert raised("kubectl delete pod web-1", rule).verdict == "CRITICAL"
    assert raised("kubectl delete po/web-1 -n pay", rule).verdict == "MEDIUM"
    assert raised("kubectl rollout restart deploy/web", rule).verdict == "MEDIUM"
    assert raised("kubectl exec web-1 -- ls", "{to: DENY, verbs: ['kubectl exec']}").is_denied
    assert raised("kubectl get pods -n pay", "{to: HIGH, namespaces: [pay]}").verdict == "HIGH"


def test_a_line_that_may_reach_what_is_named_is_raised_too():
    rule = "{to: CRITICAL, kinds: [StatefulSet], namespaces: [pay]}"
    assert raised("kubectl apply -f x.yaml -n pay", rule).verdict == "CRITICAL"
    assert raised("kubectl get pods -A", "{to: MEDIUM, namespaces: [pay]}").verdict == "MEDIUM"


@pytest.mark.parametrize("text", ["{verbs: [x]}", "{to: LOUD}", "{to: HIGH, verbs: x}", "{to: HIGH, verb: [x]}"])
def test_a_mistake_in_it_stops_the_start(text):
    with pytest.raises(InvalidInputError, match=r"policy.yaml:\d"):
        raised("kubectl get pods", text)
