"""A permit: what it covers, and a digest that no change of its effect survives."""

import datetime
from dataclasses import asdict, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.commands.gate import judge
from core.effects import Change, Effect
from core.permit import Permit, PermitRule
from core.resolution import ActionType
from core.resources import Resource
from core.risk_levels import RiskLevel
from tests.unit.core.examples import LATER, WEB, WEB_1, permit

NAMES = st.sampled_from(["web", "api", "db", "web-1", "kube-system"])
KINDS = st.sampled_from(["Pod", "Deployment", "StatefulSet", "DaemonSet"])
IMAGES = st.sampled_from(["nginx:1", "nginx:2", "web@sha256:ab"])
RESOURCES = st.builds(
    Resource, KINDS, NAMES, NAMES, st.sampled_from(["", "v1", "apps/v1"]), st.one_of(st.none(), NAMES)
)
RULES = st.builds(
    PermitRule,
    st.sampled_from(Change),
    RESOURCES,
    st.one_of(st.none(), st.tuples(st.integers(0, 5), st.integers(0, 9))),
    st.lists(IMAGES, max_size=3).map(tuple),
)
PERMITS = st.builds(
    Permit,
    action_type=st.sampled_from(ActionType),
    cluster=NAMES,
    namespace=NAMES,
    rules=st.lists(RULES, max_size=4).map(tuple),
    highest_risk=st.sampled_from(RiskLevel),
    token_limit=st.integers(1, 2_000_000),
    ends_at=st.timedeltas(datetime.timedelta(), datetime.timedelta(days=400)).map(lambda passed: LATER + passed),
    policy_version=NAMES,
)
EFFECTS = st.builds(
    Effect,
    st.sampled_from(Change),
    KINDS,
    NAMES,
    NAMES,
    st.one_of(st.none(), st.integers(0, 9)),
    st.lists(st.tuples(NAMES, IMAGES), max_size=2).map(tuple),
    st.one_of(st.none(), st.integers(1, 9)),
)


@given(PERMITS)
def test_a_digest_is_sha256_and_says_the_same_every_time(one):
    assert len(one.digest) == 64
    assert int(one.digest, 16) >= 0
    assert replace(one).digest == one.digest


@given(PERMITS, PERMITS)
def test_two_permits_share_a_digest_only_if_they_are_the_same_to_the_last_uid(one, other):
    assert (one.digest == other.digest) == (asdict(one) == asdict(other))


BASE = permit(
    PermitRule(Change.SET_IMAGE, WEB, images=("nginx:1", "nginx:2")), PermitRule(Change.SCALE, WEB, replicas=(1, 4))
)
IMAGE_RULE, SCALE_RULE = BASE.rules


@pytest.mark.parametrize(
    "changed",
    [
        replace(BASE, action_type=ActionType.CONFIG_FIX),
        replace(BASE, cluster="another"),
        replace(BASE, namespace="pay"),
        replace(BASE, rules=(IMAGE_RULE,)),
        replace(BASE, rules=()),
        replace(BASE, rules=(*BASE.rules, PermitRule(Change.RESTART, WEB))),
        replace(BASE, highest_risk=RiskLevel.CRITICAL),
        replace(BASE, token_limit=BASE.token_limit + 1),
        replace(BASE, policy_version="other"),
        BASE.until(LATER + datetime.timedelta(microseconds=1)),
        replace(BASE, rules=(IMAGE_RULE, replace(SCALE_RULE, change=Change.UNDO))),
        replace(BASE, rules=(IMAGE_RULE, replace(SCALE_RULE, replicas=(1, 5)))),
        replace(BASE, rules=(IMAGE_RULE, replace(SCALE_RULE, replicas=(0, 4)))),
        replace(BASE, rules=(IMAGE_RULE, replace(SCALE_RULE, replicas=None))),
        replace(BASE, rules=(replace(IMAGE_RULE, images=("nginx:1",)), SCALE_RULE)),
        replace(BASE, rules=(replace(IMAGE_RULE, target=replace(WEB, name="api")), SCALE_RULE)),
        replace(BASE, rules=(replace(IMAGE_RULE, target=replace(WEB, namespace="pay")), SCALE_RULE)),
        replace(BASE, rules=(replace(IMAGE_RULE, target=replace(WEB, kind="StatefulSet")), SCALE_RULE)),
        replace(BASE, rules=(replace(IMAGE_RULE, target=replace(WEB, uid="uid-2")), SCALE_RULE)),
        replace(BASE, rules=(replace(IMAGE_RULE, target=replace(WEB, uid=None)), SCALE_RULE)),
    ],
)
def test_whatever_changes_the_effect_changes_the_digest(changed):
    assert changed.digest != BASE.digest


@given(PERMITS, EFFECTS, st.randoms())
def test_the_order_of_rules_changes_nothing_that_is_covered(one, effect, random):
    rules = list(one.rules)
    random.shuffle(rules)

    assert replace(one, rules=tuple(rules)).covers((effect,)) == one.covers((effect,))


@given(PERMITS, st.lists(EFFECTS, min_size=1, max_size=3))
def test_several_effects_are_covered_when_each_of_them_is(one, effects):
    assert one.covers(tuple(effects)) == all(one.covers((effect,)) for effect in effects)


@given(PERMITS, EFFECTS)
def test_a_rule_taken_away_never_covers_more(one, effect):
    if not one.covers((effect,)):
        assert not replace(one, rules=one.rules[1:]).covers((effect,))


@given(PERMITS, EFFECTS)
def test_what_is_covered_names_the_object_of_a_rule(one, effect):
    if one.covers((effect,)):
        rule = one.rule_for(effect)
        assert rule is not None
        named = (rule.change, rule.target.kind, rule.target.name, rule.target.namespace)
        assert named == (effect.change, effect.kind, effect.name, effect.namespace)
    else:
        assert one.rule_for(effect) is None


@given(PERMITS)
def test_nothing_to_judge_is_not_a_yes(one):
    assert not one.covers(())


@given(EFFECTS)
def test_a_permit_without_rules_allows_no_change(effect):
    assert not replace(BASE, rules=()).covers((effect,))


SCALE = PermitRule(Change.SCALE, WEB, replicas=(2, 4))
IMAGE = PermitRule(Change.SET_IMAGE, WEB, images=("nginx:1", "nginx:2"))


@pytest.mark.parametrize(
    ("rule", "line", "is_covered"),
    [
        (SCALE, "kubectl scale deploy/web --replicas=2", True),
        (SCALE, "kubectl scale deploy/web --replicas=4", True),
        (SCALE, "kubectl scale deploy/web --replicas=1", False),
        (SCALE, "kubectl scale deploy/web --replicas=5", False),
        (SCALE, "kubectl scale deploy/web --replicas=0", False),
        (SCALE, "kubectl scale sts/web --replicas=3", False),
        (SCALE, "kubectl scale deploy/api --replicas=3", False),
        (SCALE, "kubectl scale deploy/web --replicas=3 -n pay", False),
        (replace(SCALE, replicas=None), "kubectl scale deploy/web --replicas=1", False),
        (IMAGE, "kubectl set image deploy/web web=nginx:1", True),
        (IMAGE, "kubectl set image deploy/web '*=nginx:2'", True),
        (IMAGE, "kubectl set image deploy/web web=nginx:1 log=nginx:2", True),
        (IMAGE, "kubectl set image deploy/web web=nginx:1 log=nginx:3", False),
        (IMAGE, "kubectl set image deploy/web web=nginx:1 web=evil:1", False),
        (IMAGE, "kubectl set image deploy/web web=nginx", False),
        (replace(IMAGE, images=()), "kubectl set image deploy/web web=nginx:1", False),
        (PermitRule(Change.RESTART, WEB), "kubectl rollout restart deploy/web", True),
        (PermitRule(Change.RESTART, WEB), "kubectl rollout undo deploy/web", False),
        (PermitRule(Change.UNDO, WEB), "kubectl rollout undo deploy/web --to-revision=2", True),
        (PermitRule(Change.UNDO, WEB), "kubectl rollout undo deploy/web", True),
        (PermitRule(Change.DELETE_POD, WEB_1), "kubectl delete pod web-1", True),
        (PermitRule(Change.DELETE_POD, WEB_1), "kubectl delete pod web-10", False),
        (PermitRule(Change.DELETE_POD, WEB_1), "kubectl get pods", False),
    ],
)
def test_a_rule_covers_its_change_of_its_object_inside_its_bounds(rule, line, is_covered):
    judged = judge(line, "shop")

    assert not judged.is_denied
    assert permit(rule).covers(judged.effects) is is_covered


@given(PERMITS)
def test_a_permit_says_every_rule_in_words(one):
    reads, *sentences = one.sentences()

    assert "Secrets" in reads
    assert len(sentences) == len(one.rules)
    for rule, sentence in zip(one.rules, sentences, strict=True):
        assert str(rule.target) in sentence
