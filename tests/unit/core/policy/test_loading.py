"""The policy file is understood to the letter or refused with file, line and path."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import InvalidInputError
from core.policy.loading import MAX_BYTES, load_policy
from core.policy.policy import ACTION_RISK_MAP, AutoApproval, ClusterPin, Policy, TokenBound
from core.resolution import ActionType
from core.risk_levels import RiskLevel

WHOLE = """\
version: 1
risk:
  actions:
    pod_restart: HIGH
  production_namespaces: [live, live-*]
  timeouts_seconds:
    HIGH: 600
    CRITICAL: 900.5
  auto_approve:
    - caller: key:alerts
      actions: [pod_restart, config_fix]
      namespaces: [shop, shop-*]
    - caller: slack:T1/*
      actions: [pod_restart]
people:
  approvers: [U1, S2]
  may_requesters_approve: false
  token_limits:
    - {caller: key:alerts, at_most: 20000}
clusters:
  clients:
    loc-01: {name: east, uid: 11-22}
    loc-02: {name: west}
execution:
  auto_rollback: true
  undo_when: [worse, unchanged, timeout]
  scale_factor: 1.5
plan:
  from: MEDIUM
"""


def test_everything_a_policy_can_say_is_read():
    policy = load_policy(WHOLE)

    assert policy == Policy(
        version=policy.version,
        actions={**ACTION_RISK_MAP, ActionType.POD_RESTART: RiskLevel.HIGH},
        production_namespaces=("live", "live-*"),
        timeouts_seconds={RiskLevel.HIGH: 600, RiskLevel.CRITICAL: 900.5},
        auto_approvals=(
            AutoApproval("key:alerts", frozenset({ActionType.POD_RESTART, ActionType.CONFIG_FIX}), ("shop", "shop-*")),
            AutoApproval("slack:T1/*", frozenset({ActionType.POD_RESTART}), ("*",)),
        ),
        approvers=("U1", "S2"),
        may_requesters_approve=False,
        token_bounds=(TokenBound("key:alerts", 20_000),),
        clients={"loc-01": ClusterPin("east", "11-22"), "loc-02": ClusterPin("west")},
        auto_rollback=True,
        undo_when=frozenset({"worse", "unchanged", "timeout"}),
        scale_factor=1.5,
        plan_from=RiskLevel.MEDIUM,
    )


def test_a_file_that_says_nothing_changes_nothing_but_its_version():
    assert load_policy("version: 1\n") == Policy(version=load_policy("version: 1\n").version)


def test_the_version_names_the_text():
    assert load_policy(WHOLE).version == load_policy(WHOLE).version
    assert load_policy(WHOLE).version != load_policy(WHOLE + "# changed\n").version


ACTIONS = "use pod_restart, config_fix, resource_scale, investigation."
HINT = "To let MEDIUM pass by itself, use risk.auto_approve."
MISTAKES = [
    ("", "policy.yaml:1: the file is empty; it must say 'version: 1'."),
    ("# nothing\n", "policy.yaml:1: the file is empty; it must say 'version: 1'."),
    ("- version\n", "policy.yaml:1: policy: this must be a mapping (key: value)."),
    ("\nrisk: {}\n", "policy.yaml:2: version: the file must say 'version: 1'."),
    ("\nversion: 2\n", "policy.yaml:2: version: the file must say 'version: 1'."),
    ("version: 1\nversion: 1\n", "policy.yaml:2: policy: 'version' stands here twice."),
    ("version: 1\nrisks: {}\n", "policy.yaml:2: policy: there is no 'risks' here. Did you mean 'risk'?"),
    (
        "version: 1\nplan:\n  from: high\n",
        "policy.yaml:3: plan.from: 'high' is not a risk level; use LOW, MEDIUM, HIGH or CRITICAL.",
    ),
    ("version: 1\nplan:\n  form: HIGH\n", "policy.yaml:3: plan: there is no 'form' here. Did you mean 'from'?"),
    ("version: 1\nplan: HIGH\n", "policy.yaml:2: plan: this must be a mapping (key: value)."),
    (
        "version: 1\nwindows: {}\n",
        (
            "policy.yaml:2: policy: there is no 'windows' here."
            " There are: version, risk, commands, people, clusters, execution, plan."
        ),
    ),
    ("version: 1\nrisk: HIGH\n", "policy.yaml:2: risk: this must be a mapping (key: value)."),
    (
        "version: 1\nrisk:\n  action: {}\n",
        "policy.yaml:3: risk: there is no 'action' here. Did you mean 'actions'?",
    ),
    (
        "version: 1\nrisk:\n  actions:\n    pod_restrat: HIGH\n",
        f"policy.yaml:4: risk.actions.pod_restrat: 'pod_restrat' is not an action type; {ACTIONS}",
    ),
    (
        "version: 1\nrisk:\n  actions:\n    pod_restart: high\n",
        "policy.yaml:4: risk.actions.pod_restart: 'high' is not a risk level; use LOW, MEDIUM, HIGH or CRITICAL.",
    ),
    (
        "version: 1\nrisk:\n  actions:\n    pod_restart: DENY\n",
        "policy.yaml:4: risk.actions.pod_restart: 'DENY' is not a risk level; use LOW, MEDIUM, HIGH or CRITICAL.",
    ),
    (
        "version: 1\nrisk:\n  actions:\n    config_fix: MEDIUM\n    resource_scale: MEDIUM\n",
        f"policy.yaml:5: risk.actions.resource_scale: a policy only raises; resource_scale is HIGH. {HINT}",
    ),
    (
        "version: 1\nrisk:\n  actions:\n    investigation: MEDIUM\n",
        "policy.yaml:4: risk.actions.investigation: an investigation never changes anything and stays LOW.",
    ),
    (
        "version: 1\nrisk:\n  production_namespaces: prod\n",
        "policy.yaml:3: risk.production_namespaces: this must be a list.",
    ),
    (
        "version: 1\nrisk:\n  production_namespaces:\n    - prod\n    - [live]\n",
        "policy.yaml:5: risk.production_namespaces: this must be a text.",
    ),
    (
        "version: 1\nrisk:\n  production_namespaces:\n    - ''\n",
        "policy.yaml:4: risk.production_namespaces: this must be a text.",
    ),
    (
        "version: 1\nrisk:\n  timeouts_seconds:\n    HIGH: soon\n",
        "policy.yaml:4: risk.timeouts_seconds.HIGH: 'soon' is not a number.",
    ),
    (
        "version: 1\nrisk:\n  timeouts_seconds:\n    HIGH: 0\n",
        "policy.yaml:4: risk.timeouts_seconds.HIGH: 0 is not between 1 and 604800.",
    ),
    (
        "version: 1\nrisk:\n  timeouts_seconds:\n    HIGH: nan\n",
        "policy.yaml:4: risk.timeouts_seconds.HIGH: nan is not between 1 and 604800.",
    ),
    (
        "version: 1\nrisk:\n  timeouts_seconds:\n    HIGHEST: 5\n",
        "policy.yaml:4: risk.timeouts_seconds: there is no 'HIGHEST' here. Did you mean 'HIGH'?",
    ),
    (
        "version: 1\nrisk:\n  auto_approve:\n    - caller: key:a\n    - actions: [pod_restart]\n",
        "policy.yaml:4: risk.auto_approve: 'actions' is missing.",
    ),
    (
        "version: 1\nrisk:\n  auto_approve:\n    - actions: [pod_restart]\n",
        "policy.yaml:4: risk.auto_approve: 'caller' is missing.",
    ),
    (
        "version: 1\nrisk:\n  auto_approve:\n    - caller: key:a\n      actions:\n      - pod_restart\n      - all\n",
        f"policy.yaml:7: risk.auto_approve.actions: 'all' is not an action type; {ACTIONS}",
    ),
    (
        "version: 1\nrisk:\n  auto_approve:\n    - caller: key:a\n      actions: [pod_restart]\n      up_to: HIGH\n",
        "policy.yaml:6: risk.auto_approve: there is no 'up_to' here. There are: caller, actions, namespaces.",
    ),
    (
        "version: 1\npeople:\n  approver: [U1]\n",
        "policy.yaml:3: people: there is no 'approver' here. Did you mean 'approvers'?",
    ),
    (
        "version: 1\npeople:\n  may_requesters_approve: no\n",
        "policy.yaml:3: people.may_requesters_approve: 'no' is neither true nor false.",
    ),
    (
        "version: 1\npeople:\n  token_limits:\n    - {caller: a}\n",
        "policy.yaml:4: people.token_limits: 'at_most' is missing.",
    ),
    (
        "version: 1\npeople:\n  token_limits:\n    - caller: a\n      at_most: 0\n",
        "policy.yaml:5: people.token_limits.at_most: 0 is not between 1 and 2e+06.",
    ),
    (
        "version: 1\npeople:\n  token_limits:\n    - caller: a\n      at_most: 1.5\n",
        "policy.yaml:5: people.token_limits.at_most: 1.5 is not a whole number.",
    ),
    (
        "version: 1\nclusters:\n  clients:\n    loc-01: east\n",
        "policy.yaml:4: clusters.clients.loc-01: this must be a mapping (key: value).",
    ),
    (
        "version: 1\nclusters:\n  clients:\n    loc-01: {uid: 1}\n",
        "policy.yaml:4: clusters.clients.loc-01: 'name' is missing.",
    ),
    (
        "version: 1\nexecution:\n  auto_rollback: maybe\n",
        "policy.yaml:3: execution.auto_rollback: 'maybe' is neither true nor false.",
    ),
    (
        "version: 1\nexecution:\n  undo_when: [worse, bored]\n",
        (
            "policy.yaml:3: execution.undo_when: there is no 'bored'; there are: worse, unchanged, healing, error, "
            "timeout, interrupt."
        ),
    ),
    (
        "version: 1\nexecution:\n  scale_factor: 11\n",
        "policy.yaml:3: execution.scale_factor: 11 is not between 1 and 10.",
    ),
    (
        "version: 1\nexecution:\n  scale_factor: 0.5\n",
        "policy.yaml:3: execution.scale_factor: 0.5 is not between 1 and 10.",
    ),
    ("version: 1\nrisk: &a {}\npeople: *a\n", "policy.yaml:3: aliases (*name) are not allowed."),
]


@pytest.mark.parametrize(("text", "sentence"), MISTAKES)
def test_each_mistake_is_told_with_its_line_and_path(text, sentence):
    with pytest.raises(InvalidInputError) as caught:
        load_policy(text)

    assert str(caught.value) == sentence


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("version: 1\nrisk: [\n", 3),
        ("version: 1\n\trisk: {}\n", 2),
        ("version: 1\n---\nversion: 1\n", 2),
        ("version: 'x\n", 2),
    ],
)
def test_what_is_not_yaml_is_told_with_its_line(text, line):
    with pytest.raises(InvalidInputError, match=rf"^policy\.yaml:{line}: this is not YAML: "):
        load_policy(text)


@pytest.mark.parametrize("text", ["version: 1\n\x00", "version: 1\n# \ud800", "\n\x1b"])
def test_characters_that_yaml_does_not_know_are_refused_with_their_line(text):
    with pytest.raises(InvalidInputError, match=r"^policy\.yaml:2: this is not YAML: "):
        load_policy(text)


@pytest.mark.parametrize("sign", ["[", "{a: ", "- ", "? "])
def test_a_file_nested_to_break_the_reader_is_refused_before_it_is_read_through(sign):
    with pytest.raises(InvalidInputError, match=r"policy\.yaml:2: nested deeper than 20 levels"):
        load_policy("version: 1\nrisk: " + sign * 50_000 if sign in "[{a: " else "\n" + sign * 50_000)


def test_a_file_too_large_is_refused_unread():
    with pytest.raises(InvalidInputError, match=r"^mine\.yaml: larger than"):
        load_policy("#" * (MAX_BYTES + 1), "mine.yaml")


def test_aliases_cannot_make_a_small_file_large():
    bomb = "a: &a [x, x]\n" + "".join(f"{b}: &{b} [*{a}, *{a}]\n" for a, b in zip("abcdefgh", "bcdefghi", strict=True))

    with pytest.raises(InvalidInputError, match=r"^policy\.yaml:2: aliases"):
        load_policy(bomb)


def test_errors_name_the_file_that_was_given():
    with pytest.raises(InvalidInputError, match=r"^/etc/policy\.yaml:1: "):
        load_policy("", "/etc/policy.yaml")


@given(st.text(max_size=200))
def test_any_text_is_a_policy_or_an_error_in_one_sentence(text):
    try:
        found = load_policy(text).version
    except InvalidInputError as error:
        found = str(error)

    assert re.fullmatch(r"[0-9a-f]{12}|policy\.yaml:.*", found, re.DOTALL)


@given(st.sampled_from(ActionType), st.sampled_from(RiskLevel))
def test_no_file_lowers_an_action_types_level(action, level):
    text = f"version: 1\nrisk:\n  actions:\n    {action.value}: {level.value}\n"
    try:
        policy = load_policy(text)
    except InvalidInputError:
        assert level < ACTION_RISK_MAP[action] or action is ActionType.INVESTIGATION
    else:
        assert policy.actions[action] is level
        assert level >= ACTION_RISK_MAP[action]


@pytest.mark.parametrize(("word", "asks"), [("ask", True), ("refuse", False)])
def test_lines_that_are_not_covered_are_asked_about_or_refused(word, asks):
    assert load_policy(f"version: 1\ncommands: {{uncovered: {word}}}\n").asks_uncovered is asks


def test_lines_that_are_not_covered_are_asked_about_by_default():
    assert load_policy("version: 1\n").asks_uncovered


def test_another_word_for_lines_that_are_not_covered_is_an_error_with_its_line():
    with pytest.raises(InvalidInputError, match=r"^policy\.yaml:3: commands\.uncovered: 'maybe' is neither"):
        load_policy("version: 1\ncommands:\n  uncovered: maybe\n")
