"""A permit as RBAC rules: every object and value by name, and nothing that the permit does not say."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.commands.gate import judge
from core.effects import Change
from core.errors import NotAllowedError
from core.permit import PermitRule, PermittedLine, Write
from core.resources import Resource
from core.rights import VALUES_GROUP, Right, ceiling, held_line, merged, rights, rights_of
from core.risk_levels import RiskLevel
from core.snapshot import Touched
from tests.unit.core.examples import WEB, WEB_1, permit

WORKLOADS = ("Deployment", "StatefulSet", "DaemonSet")


def test_deleting_a_pod_is_a_right_on_this_pod_and_its_eviction_alone():
    assert rights(permit(PermitRule(Change.DELETE_POD, WEB_1))) == (
        Right("shop", "", "pods", ("get", "list", "watch", "delete"), ("web-1",)),
        Right("shop", "", "pods/eviction", ("create",), ("web-1",)),
    )


def test_restarting_is_a_patch_of_this_object_that_may_write_no_image_and_no_count():
    assert rights(permit(PermitRule(Change.RESTART, WEB))) == (
        Right("shop", "apps", "deployments", ("get", "patch"), ("web",)),
        Right("shop", VALUES_GROUP, "restarts", ("use",), ("deployments/web",)),
    )


def test_scaling_names_each_count_of_the_bounds_for_this_object_and_does_not_patch_the_object_itself():
    assert rights(permit(PermitRule(Change.SCALE, WEB, replicas=(2, 4)))) == (
        Right("shop", "apps", "deployments", ("get",), ("web",)),
        Right("shop", "apps", "deployments/scale", ("get", "patch"), ("web",)),
        Right(
            "shop", VALUES_GROUP, "replicas", ("use",), ("deployments/web=2", "deployments/web=3", "deployments/web=4")
        ),
    )


def test_an_image_is_allowed_for_its_own_object():
    found = rights(permit(PermitRule(Change.SET_IMAGE, WEB, images=("r.example/web:2", "r.example/web:1"))))

    assert (
        Right(
            "shop",
            VALUES_GROUP,
            "images",
            ("use",),
            ("deployments/web=r.example/web:1", "deployments/web=r.example/web:2"),
        )
        in found
    )
    assert not any(one.resource in {"restarts", "revisions", "replicas"} for one in found)


def test_an_undo_may_write_the_revisions_of_its_own_object_and_the_images_it_is_given():
    found = rights_of(Change.UNDO, WEB, images=("r.example/web:1",))

    assert [(one.resource, one.names) for one in found] == [
        ("deployments", ("web",)),
        ("revisions", ("deployments/web",)),
        ("images", ("deployments/web=r.example/web:1",)),
    ]


def test_empty_bounds_and_no_images_give_no_value_at_all():
    found = rights(permit(PermitRule(Change.SCALE, WEB), PermitRule(Change.SET_IMAGE, WEB)))

    assert not any(one.group == VALUES_GROUP for one in found)


def test_rights_in_two_namespaces_stay_apart():
    other = Resource("Pod", "api-1", "other")

    found = rights(permit(PermitRule(Change.DELETE_POD, WEB_1), PermitRule(Change.DELETE_POD, other)))

    assert {(one.namespace, one.names) for one in found} == {("shop", ("web-1",)), ("other", ("api-1",))}


def test_names_of_rules_with_other_verbs_are_not_mixed():
    api = Resource("Deployment", "api", "shop")

    found = rights(permit(PermitRule(Change.SCALE, WEB, replicas=(1, 1)), PermitRule(Change.RESTART, api)))

    assert [one.names for one in found if "patch" in one.verbs and one.resource == "deployments"] == [("api",)]


@pytest.mark.parametrize(
    ("change", "target"),
    [
        (Change.DELETE_POD, WEB),
        (Change.RESTART, WEB_1),
        (Change.SCALE, Resource("DaemonSet", "web", "shop")),
        (Change.RESTART, Resource("Secret", "keys", "shop")),
        (Change.RESTART, Resource("Deployment", "web", None)),
        (Change.RESTART, Resource("Deployment", "", "shop")),
    ],
)
def test_what_no_role_can_say_is_refused(change, target):
    with pytest.raises(NotAllowedError, match="No credential can be made"):
        rights_of(change, target)


@pytest.mark.parametrize(
    "given_",
    [
        {"names": ()},
        {"names": ("web", "")},
        {"verbs": ()},
        {"namespace": ""},
        {"resource": "*"},
        {"verbs": ("get", "*")},
        {"group": "*"},
    ],
)
def test_a_right_without_names_or_with_a_wildcard_cannot_be_made(given_):
    whole = {"namespace": "shop", "group": "apps", "resource": "deployments", "verbs": ("get",), "names": ("web",)}

    with pytest.raises(ValueError, match="A right"):
        Right(**whole | given_)


TARGETS = st.builds(Resource, st.sampled_from(WORKLOADS), st.sampled_from(["web", "api", "db"]), st.just("shop"))
RULES = st.one_of(
    st.builds(PermitRule, st.sampled_from([Change.RESTART, Change.UNDO]), TARGETS),
    st.builds(PermitRule, st.just(Change.SET_IMAGE), TARGETS, images=st.sampled_from([(), ("a:1",), ("a:1", "b:2")])),
)


@given(st.lists(RULES, min_size=1, max_size=5))
def test_merging_allows_exactly_what_the_single_rules_allow(rules):
    def triples(found):
        return {(one.group, one.resource, verb, name) for one in found for verb in one.verbs for name in one.names}

    single = [right for rule in rules for right in rights_of(rule.change, rule.target, images=rule.images)]

    assert triples(merged(single)) == triples(single)


@given(st.lists(RULES, min_size=1, max_size=5))
def test_no_permit_asks_for_more_than_the_ceiling(rules):
    found = rights(permit(*rules))

    assert {(one.group, one.resource, verb) for one in found for verb in one.verbs} <= ceiling()


def test_a_rule_stands_in_a_role_with_its_names():
    assert Right("shop", "apps", "deployments", ("get", "patch"), ("web",)).as_rule() == {
        "apiGroups": ["apps"],
        "resources": ["deployments"],
        "verbs": ["get", "patch"],
        "resourceNames": ["web"],
    }


def line(text: str, *targets: Resource) -> PermittedLine:
    judged = judge(text, "shop")
    return PermittedLine(text, judged.stages, RiskLevel.HIGH, judged.rule, "shop", targets or (WEB,))


def of_lines(*lines: PermittedLine):
    return rights(replace(permit(), rules=(), lines=lines))


def test_an_exact_line_is_a_right_to_exactly_its_value():
    assert of_lines(line("kubectl scale deploy/web --replicas=4")) == rights(
        permit(PermitRule(Change.SCALE, WEB, replicas=(4, 4)))
    )
    assert of_lines(line("kubectl set image deploy/web app=r.example/web:2")) == rights(
        permit(PermitRule(Change.SET_IMAGE, WEB, images=("r.example/web:2",)))
    )
    assert of_lines(line("kubectl delete pod web-1", WEB_1)) == rights(permit(PermitRule(Change.DELETE_POD, WEB_1)))


def test_the_namespace_of_a_line_is_the_one_it_names():
    other = Resource("Deployment", "web", "other", "apps/v1", "uid")

    found = of_lines(line("kubectl -n other rollout restart deploy/web", other))

    assert {one.namespace for one in found} == {"other"}


@pytest.mark.parametrize(
    "text",
    [
        "kubectl annotate deploy/web a=b",
        "kubectl delete deploy web",
        "kubectl delete pods --all",
        "kubectl set env deploy/web A=b",
        "kubectl patch deploy web -p {}",
    ],
)
def test_an_exact_line_that_writes_what_no_role_can_say_gets_no_credential(text):
    with pytest.raises(NotAllowedError, match="No credential can be made"):
        of_lines(line(text))


def test_a_line_of_another_program_and_one_beside_its_targets_get_none():
    helm = replace(line("kubectl rollout restart deploy/web"), stages=(("helm", "rollback", "web", "1"),))

    with pytest.raises(NotAllowedError, match="helm"):
        of_lines(helm)
    with pytest.raises(NotAllowedError, match="none of its targets"):
        of_lines(line("kubectl rollout restart deploy/web", WEB_1))


@pytest.mark.parametrize("change", [Change.WRITE, Change.DELETE, Change.PUT_BACK, Change.MAKE_AGAIN])
def test_what_a_rule_cannot_say_of_a_change_gets_none(change):
    with pytest.raises(NotAllowedError, match="No credential can be made"):
        rights_of(change, WEB)


# --- lines whose values are told by a dry run ------------------------------------------------------------------------

SETTINGS = Resource("ConfigMap", "settings", "shop", "v1", "uid-settings")
NEW = Resource("ConfigMap", "settings", "shop", "v1")
PATCH = 'kubectl patch cm settings -p \'{"data":{"a":"2"}}\''


def config_map(**data: str) -> dict:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "settings"}, "data": data}


def touched(target: Resource = SETTINGS, *, is_new: bool = False) -> list[Touched]:
    return [Touched(target, None if is_new else config_map(a="1"), config_map(a="2"))]


def test_a_line_that_writes_values_is_a_right_to_exactly_these_on_exactly_this_object():
    held = held_line(line(PATCH, SETTINGS), touched())

    assert held.writes == (Write(SETTINGS, "data", '[{"a":"2"}, {}]'),)
    assert of_lines(held) == (
        Right("shop", "", "configmaps", ("get", "patch"), ("settings",)),
        Right("shop", VALUES_GROUP, "changes", ("use",), ('configmaps/settings data [{"a":"2"}, {}]',)),
    )


def test_what_a_credential_is_held_to_is_part_of_what_people_approve():
    bare = replace(permit(), rules=(), lines=(line(PATCH, SETTINGS),))
    held = replace(bare, lines=(held_line(bare.lines[0], touched()),))

    assert held.digest != bare.digest


def files(text: str) -> PermittedLine:
    judged = judge(text, "shop", files=lambda _: b"kind: ConfigMap\nmetadata: {name: settings}\n")
    return PermittedLine(text, judged.stages, RiskLevel.HIGH, judged.rule, "shop", (SETTINGS,))


def test_replacing_is_an_update_and_making_a_server_side_apply():
    replacing = held_line(files("kubectl replace -f f.yaml"), touched())
    making = held_line(
        replace(files("kubectl apply --server-side -f f.yaml"), targets=(NEW,)), touched(NEW, is_new=True)
    )

    assert of_lines(replacing)[0].verbs == ("get", "update")
    assert of_lines(making)[0].verbs == ("get", "patch", "create")


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("kubectl create cm settings --from-literal=a=2", "apply --server-side"),
        ("kubectl autoscale deploy/web --max=3", "apply --server-side"),
        ("kubectl expose deploy/web --port=80", "apply --server-side"),
        ("kubectl apply -f f.yaml", "apply --server-side"),
        ("kubectl replace --force -f f.yaml", "can be told of"),
        ("kubectl patch cm settings --subresource=status -p {}", "can be told of"),
        ("kubectl set serviceaccount deploy/web robot", "can be told of"),
        ("kubectl delete cm settings", "can be told of"),
        ("kubectl cordon node-a", "can be told of"),
        ("kubectl drain node-a", "can be told of"),
    ],
)
def test_what_no_credential_can_be_held_to_is_refused_with_what_to_write_instead(text, told):
    with pytest.raises(NotAllowedError, match=told):
        held_line(replace(files(text), targets=(NEW,)), touched(NEW, is_new=True))


def test_a_line_that_changes_nothing_and_one_whose_object_is_none_of_its_targets_get_none():
    with pytest.raises(NotAllowedError, match="would change nothing"):
        held_line(line(PATCH, SETTINGS), [Touched(SETTINGS, config_map(a="1"), config_map(a="1"))])
    with pytest.raises(NotAllowedError, match="none of its targets"):
        held_line(line(PATCH, WEB), touched())


def service(**port: int) -> dict:
    spec = {"type": "NodePort" if port else "ClusterIP", "ports": [{"port": 80} | port]}
    return {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "web"}, "spec": spec}


def test_a_node_port_that_the_api_server_would_pick_is_to_be_named():
    web = Resource("Service", "web", "shop", "v1", "uid-web")
    text = 'kubectl patch svc web -p \'{"spec":{"type":"NodePort","ports":[{"port":80PORT}]}}\''
    change = [Touched(web, service(), service(nodePort=30777))]

    with pytest.raises(NotAllowedError, match="write each as nodePort"):
        held_line(line(text.replace("PORT", ""), web), change)

    named = held_line(line(text.replace("PORT", ',"nodePort":30777'), web), change)
    assert '"nodePort":30777' in named.writes[0].value


def test_workloads_and_services_are_not_made():
    web = Resource("Service", "web", "shop", "v1")
    made = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "web"}, "spec": {"type": "ClusterIP"}}

    with pytest.raises(NotAllowedError, match="makes no Service"):
        held_line(replace(files("kubectl apply --server-side -f f.yaml"), targets=(web,)), [Touched(web, None, made)])


def test_a_line_whose_effects_say_it_all_needs_no_writes():
    scale = line("kubectl scale deploy/web --replicas=4")

    assert held_line(scale, ()) == scale
