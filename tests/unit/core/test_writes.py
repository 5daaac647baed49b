"""What a line makes of an object, part by part: only what differs, and a refusal for what no policy compares."""

import copy

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import NotAllowedError
from core.resources import Resource
from core.snapshot import Touched
from core.writes import CONFINEMENT, LONGEST, policy_text, writes_of

WEB = Resource("Deployment", "web", "shop", "apps/v1", "uid-web")
SETTINGS = Resource("ConfigMap", "web", "shop", "v1", "uid-settings")


def deployment(**container: object) -> dict:
    env = [{"name": "OLD", "value": "secret of the old days"}, {"name": "MODE", "value": "a"}]
    one = {"name": "app", "image": "web:1", "env": env} | container
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "web", "labels": {"tier": "a"}, "annotations": {"n": "1"}, "generation": 1},
        "spec": {
            "replicas": 2,
            "template": {"metadata": {"labels": {"app": "web"}}, "spec": {"containers": [one], "dnsPolicy": "Default"}},
        },
        "status": {"replicas": 2},
    }


def config_map(**data: str) -> dict:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "web"}, "data": data}


def parts(before: dict, after: dict, target: Resource = WEB) -> dict[str, str]:
    return {one.part: one.value for one in writes_of([Touched(target, before, after)])}


def changed(*path: str | int, to: object) -> dict:
    one = copy.deepcopy(deployment())
    place = one
    for step in path[:-1]:
        place = place[step] if isinstance(step, int) else place.setdefault(step, {})
    if to is None:
        del place[path[-1]]
    else:
        place[path[-1]] = to
    return one


CONTAINER = ("spec", "template", "spec", "containers", 0)


@pytest.mark.parametrize(
    ("after", "told"),
    [
        (deployment(), {}),
        (changed("status", "replicas", to=9), {}),
        (changed("metadata", "generation", to=9), {}),
        (changed("metadata", "labels", "x", to="y"), {"labels": '[{"x":"y"}, {}]'}),
        (changed("metadata", "annotations", "n", to=None), {"annotations": '[{}, {"n":true}]'}),
        (changed("spec", "replicas", to=3), {"spec": '[{"replicas":3}, {}]'}),
        (changed("spec", "paused", to=True), {"spec": '[{"paused":true}, {}]'}),
        (
            changed("spec", "template", "metadata", "annotations", to={"b": "2", "a": "1"}),
            {"template.annotations": '[{"a":"1", "b":"2"}, {}]'},
        ),
        (
            changed("spec", "template", "spec", "nodeSelector", to={"disk": "ssd"}),
            {"template.spec": '[{"nodeSelector":{"disk":"ssd"}}, {}]'},
        ),
        (changed(*CONTAINER, "image", to="web:2"), {"containers": '[["app", {"image":"web:2"}, {}]]'}),
        (changed(*CONTAINER, "env", to=None), {"containers": '[["app", {}, {"env":true}]]'}),
    ],
)
def test_each_part_tells_what_differs_and_nothing_else(after, told):
    assert parts(deployment(), after) == told


def test_of_the_environment_no_value_is_told_that_stays_as_it_is():
    old = deployment()
    new = deployment(env=[*old["spec"]["template"]["spec"]["containers"][0]["env"], {"name": "NEW", "value": "1"}])

    assert parts(old, new) == {
        "containers": '[["app", {"env":[["OLD", "MODE", "NEW"], [{"name":"NEW", "value":"1"}]]}, {}]]'
    }


def test_of_a_config_map_the_changed_keys_are_told_and_of_a_new_one_all():
    assert parts(config_map(a="1", b="2"), config_map(a="3"), SETTINGS) == {"data": '[{"a":"3"}, {"b":true}]'}
    assert parts(None, config_map(a="1"), SETTINGS) == {"data": '[{"a":"1"}, {}]'}


def test_a_count_that_the_api_server_keeps_itself_is_no_write():
    new = changed("metadata", "annotations", "deprecated.daemonset.template.generation", to="2")

    assert parts(deployment(), new) == {}


@pytest.mark.parametrize(
    ("after", "told"),
    [
        (changed("metadata", "finalizers", to=["x"]), "finalizers in metadata"),
        (changed("metadata", "ownerReferences", to=[{}]), "ownerReferences in metadata"),
        (changed("spec", "template", "spec", "serviceAccountName", to="x"), "serviceAccountName"),
        (changed("spec", "template", "spec", "hostNetwork", to=True), "hostNetwork"),
        (changed("spec", "template", "spec", "volumes", to=[{"name": "v", "hostPath": {"path": "/"}}]), "volumes"),
        (changed("spec", "template", "spec", "initContainers", to=[{"name": "x"}]), "initContainers"),
        (changed("spec", "template", "spec", "securityContext", to={"runAsUser": 0}), "securityContext"),
        (changed("spec", "template", "spec", "dnsPolicy", to=None), "dnsPolicy"),
        (changed("spec", "template", "metadata", "finalizers", to=["x"]), "spec.template.metadata"),
        (changed("spec", "template", "more", to="x"), "more in spec.template"),
        (changed(*CONTAINER, "securityContext", to={"privileged": True}), "securityContext in container app"),
        (changed(*CONTAINER, "volumeMounts", to=[{"name": "v"}]), "volumeMounts"),
        (changed(*CONTAINER, "name", to="other"), "adds, removes or reorders containers"),
        (changed("spec", "template", "spec", "containers", to=[]), "adds, removes or reorders containers"),
        (changed(*CONTAINER, "env", to=[{"name": "A"}, {"name": "A"}]), "twice"),
        (
            changed(*CONTAINER, "env", to=[{"name": "A", "valueFrom": {"secretKeyRef": {"name": "k", "key": "a"}}}]),
            "hands a Secret",
        ),
        (changed(*CONTAINER, "envFrom", to=[{"secretRef": {"name": "k"}}]), "hands a Secret"),
        (changed(*CONTAINER, "env", to=[{"name": "DB_PASSWORD", "value": "hunter2hunter2"}]), "looks like a secret"),
        (changed("metadata", "annotations", "token", to="xoxb-1234567890-abcdefghijkl"), "looks like a secret"),
        (changed("spec", "replicas", to=1.5), "cannot compare"),
        (
            changed("spec", "template", "metadata", "annotations", to={"kubectl.kubernetes.io/restartedAt": "now"}),
            "kubectl rollout restart",
        ),
        (changed(*CONTAINER, "ports", to=[{"containerPort": 80, "hostPort": 80}]), "opens a port of the node"),
        (
            changed("spec", "template", "metadata", "annotations", to={f"{CONFINEMENT}app": "unconfined"}),
            "how a container of .* is confined",
        ),
        (deployment() | {"apiVersion": "apps/v1beta1"}, "held as apps/v1"),
        (None, "not told by a dry run"),
    ],
)
def test_what_no_policy_compares_is_refused_by_name(after, told):
    with pytest.raises(NotAllowedError, match=told):
        parts(deployment(), after)


@pytest.mark.parametrize(
    ("kind", "before", "after", "told"),
    [
        ("Secret", {"data": {"a": "MQ=="}}, {"data": {"a": "Mg=="}}, "must not stand in a Role"),
        ("Ingress", {}, {"spec": {}}, "no policy holds a Ingress"),
        ("ConfigMap", {}, {"apiVersion": "v1", "immutable": True}, "immutable in object"),
        (
            "CronJob",
            {"spec": {"jobTemplate": {"spec": 1}}},
            {"apiVersion": "batch/v1", "spec": {"jobTemplate": {"spec": 2}}},
            "jobTemplate",
        ),
        ("ConfigMap", {}, {"apiVersion": "v1", "data": {"a": "x" * LONGEST}}, "more than 100,000 characters"),
    ],
)
def test_kinds_and_sizes_that_a_role_cannot_say_are_refused(kind, before, after, told):
    with pytest.raises(NotAllowedError, match=told):
        writes_of([Touched(Resource(kind, "web", "shop"), before, after)])


def test_what_was_not_tried_is_refused():
    with pytest.raises(NotAllowedError, match="not told by a dry run"):
        writes_of([Touched(WEB, deployment(), deployment(), is_tried=False)])


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@given(VALUES, VALUES)
def test_no_two_values_have_the_same_text(one, other):
    def kept(value: object) -> object:
        return [type(value).__name__, [kept(each) for each in value]] if isinstance(value, list) else _tagged(value)

    def _tagged(value: object) -> object:
        if isinstance(value, dict):
            return ["dict", sorted((key, repr(kept(each))) for key, each in value.items())]
        return [type(value).__name__, value]

    assert (policy_text(one) == policy_text(other)) == (kept(one) == kept(other))


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ('a"b\\c\n\t\a\x00\x7f', '"a\\"b\\\\c\\n\\t\\a\\x00\\x7f"'),
        ("é\u200b\U000e0001", '"é\\u200b\\U000e0001"'),
        ({"b": [True, None, -1], "a": {}}, '{"a":{}, "b":[true, null, -1]}'),
    ],
)
def test_text_is_quoted_as_the_api_server_quotes_it(value, text):
    assert policy_text(value) == text
