"""Which objects a changing line means and which fields it changes, as the gate hands it out."""

import pytest

from core.commands.gate import judge
from core.effects import WHOLE, Aim
from core.resources import Resource

TEMPLATE = ("spec", "template")
DEPLOYMENT = b"apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: web}\n"
TWO = DEPLOYMENT + b"---\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: settings, namespace: pay}\n"
FILES = {
    "web.yaml": DEPLOYMENT,
    "two.yaml": TWO,
    "nameless.yaml": b"apiVersion: v1\nkind: Pod\nmetadata: {generateName: web-}\n",
    "node.yaml": b"apiVersion: v1\nkind: Node\nmetadata: {name: n1}\n",
    "patch.yaml": b"spec: {replicas: 1}\n",
}


def aim(line):
    found = judge(line, "shop", files=FILES.get)
    assert not found.is_denied, found.reason
    assert found.aim is not None
    return found.aim


@pytest.mark.parametrize(
    ("line", "pairs"),
    [
        ("kubectl delete pod web-1", [("Pod", "web-1")]),
        ("kubectl delete pod web-1 web-2", [("Pod", "web-1"), ("Pod", "web-2")]),
        ("kubectl delete pod/web-1,web-2", [("Pod", "web-1"), ("Pod", "web-2")]),
        ("kubectl delete svc,deploy web", [("Service", "web"), ("Deployment", "web")]),
        ("kubectl delete deploy/web svc/web", [("Deployment", "web"), ("Service", "web")]),
        ("kubectl delete pods --all", [("Pod", "")]),
        ("kubectl rollout restart deploy", [("Deployment", "")]),
        ("kubectl set image deploy/web web=nginx:1", [("Deployment", "web")]),
        ("kubectl set env deploy/web A=b C-", [("Deployment", "web")]),
        ("kubectl set serviceaccount deploy web robot", [("Deployment", "web")]),
        ("kubectl label pods web-1 web-2 a=b", [("Pod", "web-1"), ("Pod", "web-2")]),
        ("kubectl cordon n1", [("Node", "n1")]),
        ("kubectl cordon n1 node/n2", [("Node", "n1"), ("Node", "n2")]),
        ("kubectl taint nodes n1 a=b:NoSchedule c:NoExecute-", [("Node", "n1")]),
        ("kubectl drain n1", [("Node", "n1")]),
        ("kubectl certificate approve one", [("CertificateSigningRequest", "one")]),
        ("kubectl delete widgets.example.com one", [("widgets.example.com", "one")]),
        ("kubectl delete pod,widget one", [("Pod", "one"), ("widget", "one")]),
        ("kubectl exec web-1 -- ls", [("Pod", "web-1")]),
        ("kubectl exec pod/web-1 -- ls", [("Pod", "web-1")]),
    ],
)
def test_a_line_names_its_objects_by_kind(line, pairs):
    assert list(aim(line).pairs) == pairs


def test_a_selector_and_every_namespace_are_handed_on():
    found = aim("kubectl label pods -l 'app in (web,api)' --field-selector spec.nodeName=n1 -A a=b")

    assert (found.selector, found.field_selector, found.is_everywhere) == (
        "app in (web,api)",
        "spec.nodeName=n1",
        True,
    )


def test_the_namespace_is_the_lines_own_or_the_default():
    assert aim("kubectl delete pod web-1 -n pay").namespace == "pay"
    assert aim("kubectl delete pod web-1").namespace == "shop"


@pytest.mark.parametrize(
    ("line", "objects", "may_be_new"),
    [
        ("kubectl apply -f web.yaml", [Resource("Deployment", "web", "shop")], True),
        ("kubectl replace -f web.yaml", [Resource("Deployment", "web", "shop")], False),
        (
            "kubectl delete -f two.yaml",
            [Resource("Deployment", "web", "shop"), Resource("ConfigMap", "settings", "pay")],
            False,
        ),
        ("kubectl create -f node.yaml", [Resource("Node", "n1")], True),
        ("kubectl scale -f web.yaml --replicas=2", [Resource("Deployment", "web", "shop")], False),
        ("kubectl create configmap settings --from-literal=a=b", [Resource("ConfigMap", "settings", "shop")], True),
        ("kubectl create service clusterip web --tcp=80", [Resource("Service", "web", "shop")], True),
        ("kubectl create secret generic db --from-literal=a=b", [Resource("Secret", "db", "shop")], True),
        ("kubectl create job one --image=busybox -- sleep 1", [Resource("Job", "one", "shop")], True),
        ("kubectl create ns shop2", [Resource("Namespace", "shop2")], True),
        ("kubectl run one --image=busybox", [Resource("Pod", "one", "shop")], True),
        (
            "kubectl run one --image=busybox --port=80 --expose",
            [Resource("Pod", "one", "shop"), Resource("Service", "one", "shop")],
            True,
        ),
        ("kubectl autoscale deploy web --max=3", [Resource("HorizontalPodAutoscaler", "web", "shop")], True),
        ("kubectl expose deploy web --port=80 --name=front", [Resource("Service", "front", "shop")], True),
        ("kubectl debug web-1 --image=busybox --copy-to=web-copy", [Resource("Pod", "web-copy", "shop")], True),
    ],
)
def test_objects_that_files_hold_or_the_line_makes_are_named_in_full(line, objects, may_be_new):
    found = aim(line)

    assert list(found.objects) == objects
    assert found.may_be_new is may_be_new


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("kubectl apply -f missing.yaml", "could not be read"),
        ("kubectl apply -f patch.yaml", "could not be read"),
        ("kubectl apply -f web.yaml -f missing.yaml", "could not be read"),
        ("kubectl apply -k folder", "names a folder"),
        ("kubectl apply -R -f web.yaml", "names a folder"),
        ("kubectl apply -f web.yaml --prune -l app=web", "--prune deletes"),
        ("kubectl create -f nameless.yaml", "has no name"),
        ("kubectl autoscale -f web.yaml --max=3", "Name the object"),
        ("kubectl autoscale deploy a b --max=3", "Name one object"),
        ("kubectl create configmap settings --append-hash", "--append-hash"),
        ("kubectl create configmap one two", "one name"),
        ("kubectl exec deploy/web -- ls", "name one pod"),
        ("kubectl run one --image=busybox --rm", "--rm deletes"),
        ("kubectl cp missing.txt web-1:/tmp/settings.txt", "could not be read"),
        ("kubectl cp folder web-1:/tmp", "could not be read"),
        ("kubectl cp web.yaml pay/web-1:/tmp/web.yaml", "name the namespace with -n"),
    ],
)
def test_where_the_objects_cannot_be_told_the_line_says_why(line, words):
    assert words in aim(line).unclear


@pytest.mark.parametrize(
    ("line", "fields"),
    [
        ("kubectl scale deploy/web --replicas=2", [("spec", "replicas")]),
        ("kubectl set image deploy/web web=nginx:1", [("spec", "template", "spec", "containers", "web", "image")]),
        ("kubectl set image deploy/web '*=nginx:1'", [TEMPLATE]),
        ("kubectl set env deploy/web A=b", [TEMPLATE]),
        ("kubectl rollout restart deploy/web", [TEMPLATE]),
        ("kubectl rollout pause deploy/web", [("spec", "paused")]),
        ("kubectl label pod web-1 a=b c-", [("metadata", "labels", "a"), ("metadata", "labels", "c")]),
        ("kubectl annotate pod web-1 x.io/a=b", [("metadata", "annotations", "x.io/a")]),
        ("kubectl cordon n1", [("spec", "unschedulable")]),
        ("kubectl patch svc web -p '{\"spec\":{\"selector\":{\"a\":\"b\"},\"type\":null}}'",
         [("spec", "selector", "a"), ("spec", "type")]),
        ("kubectl patch svc web -p '{\"spec\":{\"ports\":[{\"port\":80}]}}'", [("spec", "ports")]),
        ("kubectl patch svc web -p 'spec: {type: NodePort}'", [WHOLE]),
        ("kubectl patch svc web --type json -p '[{\"op\":\"remove\",\"path\":\"/spec/x\"}]'", [WHOLE]),
        ("kubectl patch svc web -p '{}'", [WHOLE]),
        ("kubectl patch svc web --patch-file patch.yaml", [WHOLE]),
        ("kubectl apply -f web.yaml", [WHOLE]),
        ("kubectl delete pod web-1", []),
    ],
)  # fmt: skip
def test_a_line_tells_which_fields_it_changes(line, fields):
    assert list(aim(line).fields) == fields


@pytest.mark.parametrize("line", ["kubectl get pods", "kubectl delete pod web-1 --dry-run=server"])
def test_what_changes_nothing_aims_at_nothing(line):
    assert judge(line, "shop").aim is None


def test_whatever_is_above_low_has_an_aim_or_cannot_be_asked_for():
    assert isinstance(judge("kubectl rollout restart deploy/web", "shop").aim, Aim)
    assert judge("argocd app sync web", "shop", programs=frozenset({"argocd"})).aim is None


def test_a_copy_means_its_pod_and_hands_over_the_file_as_it_was_read():
    files = {"web.yaml": b"hello"}
    judged = judge("kubectl cp web.yaml web-1:/tmp/web.yaml -n pay -c app", "shop", files=files.get)

    assert (judged.aim.namespace, judged.aim.pairs, judged.aim.unclear) == ("pay", (("Pod", "web-1"),), "")
    assert [(one.name, one.content) for one in judged.files] == [("web.yaml", b"hello")]


def of_helm(line):
    return judge(line, "shop", programs=frozenset({"helm"})).aim


@pytest.mark.parametrize(
    ("line", "aim"),
    [
        ("helm uninstall web api -n pay", Aim("pay", releases=("web", "api"), fields=(WHOLE,))),
        ("helm rollback web", Aim("shop", releases=("web",), rolls_back=True, fields=(WHOLE,))),
        ("helm rollback web 0", Aim("shop", releases=("web",), rolls_back=True, fields=(WHOLE,))),
        ("helm rollback web 3", Aim("shop", releases=("web",), rolls_back=True, to_revision=3, fields=(WHOLE,))),
    ],
)
def test_helm_means_releases(line, aim):
    assert of_helm(line) == aim


@pytest.mark.parametrize("line", ["helm upgrade web chart", "helm install web chart", "helm test web"])
def test_what_a_chart_makes_cannot_be_told_beforehand(line):
    assert "cannot be bound to an approval" in of_helm(line).unclear


@pytest.mark.parametrize("line", ["helm rollback web one", "helm rollback web 1 2", "helm rollback", "helm uninstall"])
def test_helm_lines_that_name_no_release_or_revision_say_so(line):
    assert of_helm(line).unclear
