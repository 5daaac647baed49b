"""What kubectl can do and the gate does not let it do, by examples."""

import pytest

from core.commands.gate import judge

DENIED_KUBECTL = [
    # R2: who asks, where, with which file
    ("kubectl get pods --kubeconfig=x", "R2"),
    ("kubectl get pods --kubeconfig x", "R2"),
    ("kubectl --kubeconfig=x get pods", "R2"),
    ("kubectl get pods --context=other", "R2"),
    ("kubectl get pods --cluster=other", "R2"),
    ("kubectl get pods --user=admin", "R2"),
    ("kubectl get pods --server=https://x", "R2"),
    ("kubectl get pods -shttps://x", "R2"),
    ("kubectl get pods -As https://x", "R2"),
    ("kubectl get pods --token=x", "R2"),
    ("kubectl get pods --username=x", "R2"),
    ("kubectl get pods --password=x", "R2"),
    ("kubectl get pods --as=admin", "R2"),
    ("kubectl get pods --as-group=system:masters", "R2"),
    ("kubectl get pods --as_group=system:masters", "R2"),
    ("kubectl get pods --as-uid=1", "R2"),
    ("kubectl get pods --as-user-extra=a=b", "R2"),
    ("kubectl get pods --client-certificate=x", "R2"),
    ("kubectl get pods --client-key=x", "R2"),
    ("kubectl get pods --certificate-authority=x", "R2"),
    ("kubectl get pods --insecure-skip-tls-verify", "R2"),
    ("kubectl get pods --insecure_skip_tls_verify", "R2"),
    ("kubectl get pods --tls-server-name=x", "R2"),
    ("kubectl get pods --proxy-url=http://x", "R2"),
    ("kubectl get pods --kuberc=x", "R2"),
    ("kubectl get pods --cache-dir=/tmp", "R2"),
    ("kubectl get pods --profile=cpu", "R2"),
    ("kubectl get pods --profile-output=x", "R2"),
    ("kubectl logs web-1 --insecure-skip-tls-verify-backend", "R2"),
    ("kubectl delete pod web-1 --as=admin", "R2"),
    ("kubectl auth can-i get pods --as=admin", "R2"),
    # R3: reads that never end, raw paths, unknown formats
    ("kubectl get --raw /api/v1/namespaces/shop/secrets", "R4"),
    ("kubectl get --raw=/api/v1/nodes/n/proxy/run/x", "R3"),
    ("kubectl get pods -o templatefile=x", "R4"),
    # R4: Secrets' values, local files, whole requests
    ("kubectl get secrets -o yaml", "R4"),
    ("kubectl get secret db -o json", "R4"),
    ("kubectl get secret db -ojson", "R4"),
    ("kubectl get secret/db -o jsonpath='{.data}'", "R4"),
    ("kubectl get secrets -o go-template='{{.items}}'", "R4"),
    ("kubectl get secrets -o custom-columns=V:.data", "R4"),
    ("kubectl get SECRETS -o yaml", "R4"),
    ("kubectl get secrets.v1. -o yaml", "R4"),
    ("kubectl get pods,secrets -o yaml", "R4"),
    ("kubectl get pod/web-1 secret/db -o yaml", "R4"),
    ("kubectl get all,secret -A -o yaml", "R4"),
    ("kubectl get secrets -o wide -o yaml", "R4"),
    ("kubectl get secrets --sort-by=.data.password", "R4"),
    ("kubectl wait secret/db --for=jsonpath='{.data.password}'=aGk=", "R4"),
    ("kubectl wait secret/db --for=create -o yaml", "R4"),
    ("kubectl get pods -o go-template-file=/etc/passwd", "R4"),
    ("kubectl get pods -o jsonpath-file=/etc/passwd", "R4"),
    ("kubectl get pods -o custom-columns-file=/etc/passwd", "R4"),
    ("kubectl set image deploy/web web=nginx:1 --dry-run=client -o go-template-file=/etc/passwd", "R4"),
    ("kubectl scale deploy/web --replicas=3 -o jsonpath-file=/etc/passwd", "R4"),
    ("kubectl rollout undo deploy/web -o go-template-file=/etc/passwd", "R4"),
    ("kubectl get secrets -v=9", "R4"),
    ("kubectl get secrets -v9", "R4"),
    ("kubectl get pods --vmodule=x=9", "R4"),
    # R6, R7, R8: more than one ordinary object, other kinds
    ("kubectl delete --raw /api/v1/namespaces/shop/pods/web-1", "R8"),
    ("kubectl rollout undo deploy/web --to-revision=-1", "R1h"),
    ("kubectl rollout undo deploy/web --to-revision=010", "R1h"),
    ("kubectl scale deploy/web", "R1h"),
    ("kubectl scale deploy/web --replicas=-1", "R1h"),
    ("kubectl scale deploy/web --replicas=0x10", "R1h"),
    ("kubectl scale deploy/web --replicas=010", "R1h"),
    ("kubectl scale deploy/web --replicas=1000000", "R1h"),
    ("kubectl scale deploy/web --replicas", "R1h"),
    ("kubectl set image deploy/web", "R1h"),
    ("kubectl set image deploy/web web=", "R1g"),
    ("kubectl set image deploy/web web=-x", "R1g"),
    ("kubectl set image deploy/web =nginx:1", "R1h"),
    ("kubectl delete pod web-1 --dry-run=maybe", "R9"),
    # a flag's value swallows the next word
    ("kubectl get pod web-1 -n --dry-run=client", "R1g"),
    ("kubectl delete pod web-1 -n --help --dry-run=client", "R1g"),
    # R12: other verbs, plugins, unknown flags and kinds
    ("kubectl", "R12"),
    ("kubectl -n shop", "R12"),
    ("kubectl -n", "R1h"),
    ("kubectl ''", "R12"),
    ("kubectl GET pods", "R12"),
    ("kubectl exec -it web-1 -- sh", "R5"),
    ("kubectl attach web-1", "R5"),
    ("kubectl port-forward web-1 8080:80", "R5"),
    ("kubectl proxy", "R5"),
    ("kubectl cp web-1:/etc/passwd x", "R5"),
    ("kubectl debug node/n", "R5"),
    ("kubectl edit deploy/web", "R5"),
    ("kubectl create token default", "R4"),
    ("kubectl config view --raw", "R4"),
    ("kubectl config use-context x", "R13"),
    ("kubectl kuberc set", "R13"),
    ("kubectl event", "R12"),
    ("kubectl status web", "R12"),
    ("kubectl get-all", "R12"),
    ("kubectl rollout", "R12"),
    ("kubectl top", "R12"),
    ("kubectl get", "R12"),
    ("kubectl get pods --nosuch", "R12"),
    ("kubectl get pods -Z", "R12"),
    ("kubectl get pods ---all", "R12"),
    ("kubectl get pods --=x", "R12"),
    ("kubectl get widgets", "R12"),
    ("kubectl get pods,widgets", "R12"),
    ("kubectl get deployments.evil.apps", "R12"),
    ("kubectl -A get pods", "R1b"),
    ("kubectl -v=9 describe sa x", "R4"),
    ("kubectl get pods -A=maybe", "R1h"),
    ("kubectl get pods -o", "R1h"),
    ("kubectl get pods --output", "R1h"),
]


@pytest.mark.parametrize(("line", "rule"), DENIED_KUBECTL)
def test_every_other_kubectl_line_is_denied_with_the_rule_and_a_reason(line, rule):
    judged = judge(line, "shop")

    assert (judged.verdict, judged.rule) == ("DENY", rule), judged.reason
    assert judged.reason
    assert (judged.risk, judged.stages, judged.effects) == (None, (), ())


def test_a_denied_line_stays_denied_behind_a_pipe_and_with_its_errors_joined_to_its_output():
    for line, _ in DENIED_KUBECTL:
        assert judge(f"{line} | cat", "shop").is_denied
        assert judge(f"{line} 2>&1", "shop").is_denied
