"""The rule sheet by examples: verdict, rule and lines, written from the sheet and not from the code."""

ROWS = """
# R3: reads
LOW R3 kubectl get pods -w
LOW R3 kubectl logs -f web-1
LOW R3 kubectl events -w
LOW R3 kubectl get pods -o kyaml
LOW R3 kubectl get pods --template='{{.kind}}' -o go-template
LOW R3 kubectl get pods --request-timeout=5s -v=6
LOW R3 kubectl --request-timeout=5s get pods
LOW R3 kubectl get certificates -n shop -o yaml
LOW R3 kubectl get virtualservices.networking.istio.io
LOW R3 kubectl get events -n kube-system --sort-by=.lastTimestamp
LOW R3 kubectl get deploy/web --subresource=scale -o yaml
LOW R3 kubectl get -f web.yaml
LOW R3 kubectl get -f web.yaml -o yaml
LOW R3 kubectl describe -f web.yaml
DENY R4 kubectl describe secret db
DENY R4 kubectl describe cm/web secret/db
LOW R3 kubectl describe sa web
LOW R3 kubectl cluster-info dump
LOW R3 kubectl top pod --sort-by=cpu
LOW R3 kubectl explain deployment.spec --recursive
LOW R3 kubectl api-resources --verbs=list -o name
LOW R3 kubectl auth can-i --list
LOW R3 kubectl auth whoami -o yaml
LOW R3 kubectl rollout status -f web.yaml
LOW R3 kubectl diff -f web.yaml
LOW R3 kubectl diff --server-side -f web.yaml
LOW R3 kubectl wait --for=delete pod/web-1 --timeout=60s
LOW R3 kubectl config view
LOW R3 kubectl config view --minify -o jsonpath='{.contexts}'
LOW R3 kubectl config get-contexts
LOW R3 kubectl config current-context
LOW R3 kubectl plugin list
LOW R3 kubectl options
LOW R3 kubectl help
LOW R3 kubectl help delete
LOW R3 kubectl --help
LOW R3 kubectl delete --help
LOW R3 kubectl delete pod web-1 --help
LOW R3 kubectl delete pod web-1 -h
LOW R3 kubectl completion bash
LOW R3 kubectl apply view-last-applied deploy/web
LOW R3 kubectl set env deploy/web --list
LOW R3 kubectl label pod web-1 --list
LOW R3 kubectl annotate pod web-1 --list
DENY R4 kubectl annotate secret db --list
LOW R3 kubectl set image -f web.yaml web=nginx:1 --local -o yaml
LOW R3 kubectl label --local -f web.yaml a=b -o yaml
LOW R3 kubectl kustomize .
LOW R3 kubectl kustomize overlays/prod
LOW R3 kubectl get --raw /healthz
LOW R3 kubectl get --raw '/livez?verbose'
LOW R3 kubectl get --raw=/openapi/v3
LOW R3 kubectl get --raw /metrics
LOW R3 kubectl get --raw /apis/metrics.k8s.io/v1beta1/nodes
DENY R3 kubectl get --raw /api/v1/nodes/n/proxy/run/x
DENY R3 kubectl get --raw /healthz/../api/v1/pods
DENY R3 kubectl get --raw /api/v1/namespaces/shop/pods
DENY R6 kubectl kustomize https://github.com/x/y
DENY R6 kubectl kustomize github.com/x/y
DENY R6 kubectl kustomize ../x
DENY R1c kubectl kustomize . -o out.yaml
DENY R1b kubectl kustomize . --enable-helm
DENY R1c kubectl cluster-info dump --output-directory=/tmp/x
# R4: values of Secrets, local files
DENY R4 kubectl get --raw /api/v1/namespaces/shop/secrets
DENY R4 kubectl diff -f web.yaml --show-secrets
DENY R4 kubectl label secret db a=b -o yaml
DENY R4 kubectl annotate secret db a=b --dry-run=server -o json
DENY R4 kubectl patch secret db -p '{}' --dry-run=client -o yaml
DENY R4 kubectl apply view-last-applied secret/db
DENY R4 kubectl set env deploy/web --list --resolve
DENY R4 kubectl config view --raw
DENY R4 kubectl create token default
DENY R4 kubectl get secret db --template='{{.data}}' -o go-template
DENY R4 kubectl get widgets -o templatefile=x
DENY R4 kubectl label --local -f /proc/self/fd/9 a=b -o yaml
DENY R4 kubectl diff -f /etc/passwd
DENY R4 kubectl diff -f ../x.yaml
DENY R4 kubectl create configmap x --from-file=/etc/passwd --dry-run=client -o yaml
DENY R4 kubectl create configmap x --from-file=k=/etc/passwd --dry-run=client -o yaml
DENY R4 kubectl create secret generic x --from-env-file=/etc/environment --dry-run=client -o yaml
LOW R3 kubectl get pods -v=8
DENY R4 kubectl get secrets -v=8
# R5: code, tunnels, files
DENY R5 kubectl attach web-1
DENY R5 kubectl proxy --port=0
DENY R5 kubectl port-forward svc/web 8080:80
DENY R5 kubectl edit deploy/web
DENY R5 kubectl create -f web.yaml --edit
DENY R5 kubectl apply edit-last-applied deploy/web
DENY R5 kubectl exec -it web-1 -- sh
DENY R5 kubectl exec -ti web-1 -- sh
DENY R5 kubectl exec --stdin web-1 -- sh
DENY R5 kubectl run x -it --image=busybox
DENY R5 kubectl debug node/n-1 --image=busybox
DENY R5 kubectl debug nodes/n-1
DENY R5 kubectl debug -it web-1 --image=busybox
DENY R5 kubectl cp web-1:/etc/passwd out
DENY R5 kubectl cp shop/web-1:/tmp/x ./x
DENY R5 kubectl get pod web-1 --subresource=proxy
DENY R5 kubectl get node n-1 --subresource proxy -o json
DENY R5 kubectl get pod web-1 --subresource=status --subresource=exec
DENY R5 kubectl patch svc web --subresource=proxy -p '{}'
DENY R5 kubectl replace --subresource=token -f web.yaml
LOW R3 kubectl auth can-i get pods --subresource=proxy
LOW R3 kubectl get pod web-1 --subresource=resize
HIGH R5 kubectl exec web-1 -- ls /
HIGH R5 kubectl exec deploy/web -c web -- cat /etc/hosts
HIGH R5 kubectl exec web-1 --dry-run=client -- ls
HIGH R5 kubectl cp ./x web-1:/tmp/x
CRITICAL R8 kubectl cp ./x kube-system/dns-1:/tmp/x
HIGH R5 kubectl debug web-1 --image=busybox
HIGH R5 kubectl run x --image=busybox
CRITICAL R5 kubectl exec web-1 -- rm -rf /data
CRITICAL R5 kubectl exec web-1 -- sh -c 'rm -rf /data'
CRITICAL R5 kubectl exec web-1 -- kill 1
CRITICAL R5 kubectl exec mq-0 -- rabbitmqctl stop_app
CRITICAL R5 kubectl exec mq-0 -- rabbitmqctl delete_queue orders
CRITICAL R5 kubectl exec db-0 -- pg_dropcluster 16 main
CRITICAL R5 kubectl exec zk-0 -- zkCli.sh deleteall /orders
CRITICAL R8 kubectl run x --image=busybox --privileged
CRITICAL R8 kubectl run x --image=b --overrides='{"spec":{"hostNetwork":true}}'
CRITICAL R8 kubectl debug web-1 --image=b --profile=sysadmin
# R6: one ordinary object
MEDIUM R6 kubectl rollout -n shop restart deploy/web
MEDIUM R6 kubectl rollout pause deploy/web
MEDIUM R6 kubectl rollout resume deploy/web
MEDIUM R6 kubectl rollout restart deploy/web --dry-run=client
MEDIUM R6 kubectl set env deploy/web A=b
MEDIUM R6 kubectl set env deploy/web A-
MEDIUM R6 kubectl set env deploy/web A=b --list
MEDIUM R6 kubectl set resources deploy/web --limits=cpu=1
MEDIUM R6 kubectl set image deploy/web web=nginx:1 --field-manager=x
MEDIUM R6 kubectl label pod web-1 a=b
MEDIUM R6 kubectl label pods web-1 a-
MEDIUM R6 kubectl annotate svc/web a=b --overwrite
MEDIUM R6 kubectl patch deploy web -p '{"metadata":{"labels":{"a":"b"}}}'
MEDIUM R6 kubectl patch cm web --type=merge -p '{"data":{"a":"b"}}'
MEDIUM R6 kubectl expose deploy/web --port=80
MEDIUM R6 kubectl create configmap x --from-literal=a=b
MEDIUM R6 kubectl create cm x --from-literal=a=b
MEDIUM R6 kubectl create deployment x --image=nginx
MEDIUM R6 kubectl create job x --from=cronjob/y
MEDIUM R6 kubectl create job x --image=busybox -- date
MEDIUM R6 kubectl create service clusterip x --tcp=80
MEDIUM R6 kubectl create svc nodeport x --tcp=80
MEDIUM R6 kubectl create ingress x --rule=a/b=c:80
MEDIUM R6 kubectl create pdb x --min-available=1 --selector=a=b
HIGH R6 kubectl apply -f web.yaml
HIGH R6 kubectl apply --server-side -f web.yaml
HIGH R6 kubectl create -f web.yaml
HIGH R6 kubectl replace -f web.yaml
HIGH R6 kubectl apply -f folder/ -R
HIGH R6 kubectl apply -k .
HIGH R6 kubectl apply -f -
HIGH R6 kubectl apply -f '*.yaml'
HIGH R6 kubectl patch deploy web --patch-file=p.yaml
HIGH R6 kubectl rollout restart -f web.yaml
DENY R6 kubectl apply -f https://example.com/x.yaml
DENY R6 kubectl create -f http://example.com/x.yaml --dry-run=client
DENY R6 kubectl delete -f https://example.com/x.yaml
DENY R6 kubectl apply -k https://github.com/x/y
HIGH R6 kubectl create serviceaccount x
HIGH R6 kubectl create sa x
HIGH R6 kubectl create role x --verb=get --resource=pods
HIGH R6 kubectl create rolebinding x --role=y --user=z
HIGH R6 kubectl set serviceaccount deploy/web x
HIGH R6 kubectl set sa deploy web x
HIGH R6 kubectl set subject rolebinding x --user=z
HIGH R6 kubectl label role x a=b
HIGH R6 kubectl create secret generic x --from-literal=a=b
HIGH R6 kubectl patch deploy web -p '{"spec":{"template":{"spec":{"serviceAccountName":"x"}}}}'
# R7: scaling and several objects
HIGH R7 kubectl scale deploy --all --replicas=0
HIGH R7 kubectl scale rs/web-1 --replicas=2
HIGH R7 kubectl scale -l app=web deploy --replicas=2
HIGH R7 kubectl autoscale deploy/web --max=3
HIGH R7 kubectl patch deploy web -p '{"spec":{"replicas":0}}'
HIGH R7 kubectl patch deploy/web -p 'spec: {replicas: 0}'
HIGH R7 kubectl patch deploy web --type=json -p '[{"op":"replace","path":"/spec/replicas","value":0}]'
HIGH R7 kubectl patch deploy web --subresource=scale --type=merge -p '{}'
HIGH R7 kubectl patch hpa web -p '{}'
HIGH R7 kubectl annotate hpa/web a=b
HIGH R7 kubectl rollout restart deploy
HIGH R7 kubectl rollout restart deploy -l app=web
HIGH R7 kubectl rollout restart deploy/web deploy/api
HIGH R7 kubectl rollout restart deploy web api
HIGH R7 kubectl set image deploy --all web=nginx:1
HIGH R7 kubectl set image deploy/web sts/db web=nginx:1
HIGH R7 kubectl label pods --all a=b
HIGH R7 kubectl label pods -l x=y a=b
HIGH R7 kubectl label pods,svc web a=b
HIGH R7 kubectl delete pod web-1 web-2
HIGH R7 kubectl delete pod/web-1 pod/web-2
HIGH R7 kubectl delete pod web-1,web-2
HIGH R7 kubectl delete pods -l app=web
HIGH R7 kubectl delete pods --field-selector=status.phase=Failed
HIGH R7 kubectl delete pod web-1 --force
HIGH R7 kubectl delete pod web-1 --grace-period=0
HIGH R7 kubectl delete pod web-1 --now
HIGH R7 kubectl delete pod web-1 -- --dry-run=client
HIGH R7 kubectl cordon n-1
HIGH R7 kubectl uncordon n-1
HIGH R7 kubectl taint nodes n-1 a=b:NoSchedule
HIGH R7 kubectl set selector svc web app=x
# R8: deletion and cluster-wide
CRITICAL R8 kubectl delete deploy web
CRITICAL R8 kubectl delete deployment/web
CRITICAL R8 kubectl delete deployments.apps web
CRITICAL R8 kubectl delete svc,pods web
CRITICAL R8 kubectl delete pod/web-1 svc/web
CRITICAL R8 kubectl delete ns staging
CRITICAL R8 kubectl delete pvc data
CRITICAL R8 kubectl delete secret db
CRITICAL R8 kubectl delete widget x
CRITICAL R8 kubectl delete pods.evil.example web-1
CRITICAL R8 kubectl delete all --all
CRITICAL R8 kubectl delete pods --all
CRITICAL R8 kubectl delete pods
CRITICAL R8 kubectl delete pods --all -A
CRITICAL R8 kubectl delete pods -A -l app=web
CRITICAL R8 kubectl delete -f web.yaml
CRITICAL R8 kubectl delete -k .
CRITICAL R8 kubectl delete -f -
CRITICAL R8 kubectl delete pod web-1 --cascade=orphan
CRITICAL R8 kubectl replace --force -f web.yaml
CRITICAL R8 kubectl apply --force -f web.yaml
CRITICAL R8 kubectl apply --prune -l a=b -f web.yaml
CRITICAL R8 kubectl patch deploy web -p '{"metadata":{"finalizers":null}}'
CRITICAL R8 kubectl patch pvc data --type=json -p '[{"op":"remove","path":"/metadata/finalizers"}]'
CRITICAL R8 kubectl patch rs web -p '{"metadata":{"ownerReferences":[]}}'
CRITICAL R8 kubectl patch deploy web -p '{"spec":{"template":{"spec":{"hostNetwork":true}}}}'
CRITICAL R8 kubectl patch deploy web -p '{"spec":{"template":{"spec":{"volumes":[{"hostPath":{"path":"/"}}]}}}}'
CRITICAL R8 kubectl patch deploy web --type=json -p \
'[{"op":"add","path":"/spec/template/spec/containers/0/securityContext/privileged","value":true}]'
CRITICAL R8 kubectl patch deploy web --type=json -p \
'[{"op":"add","path":"/spec/template/spec/containers/0/securityContext","value":{"privileged":true}}]'
CRITICAL R8 kubectl patch deploy web -p '{{{'
CRITICAL R8 kubectl patch pvc data --type=json -p '{"op":"remove","path":"/metadata/annotations"}'
CRITICAL R8 kubectl patch pvc data --type=JSON -p '[{"Op":"remove","Path":"/metadata/annotations"}]'
CRITICAL R8 kubectl patch pvc data --type=json -p '[{"op":"remove","path":"/metadata/annotations"},{}]'
CRITICAL R8 kubectl patch pvc data --type=json -p '[{"op":"remove"}]'
MEDIUM R6 kubectl patch pvc data --type=json -p '[{"op":"remove","path":"/metadata/annotations/a"}]'
CRITICAL R8 kubectl patch ns shop -p '{}'
CRITICAL R8 kubectl drain n-1
CRITICAL R8 kubectl drain n-1 --ignore-daemonsets --force
CRITICAL R8 kubectl taint nodes n-1 a=b:NoExecute
CRITICAL R8 kubectl create ns x
CRITICAL R8 kubectl create namespace x
CRITICAL R8 kubectl create clusterrole x --verb=get --resource=pods
CRITICAL R8 kubectl create clusterrolebinding x --clusterrole=cluster-admin --user=z
CRITICAL R8 kubectl create priorityclass x --value=1
CRITICAL R8 kubectl label ns shop a=b
CRITICAL R8 kubectl annotate crd x a=b
CRITICAL R8 kubectl patch clusterrole x -p '{}'
CRITICAL R8 kubectl certificate approve x
CRITICAL R8 kubectl auth reconcile -f web.yaml
CRITICAL R8 kubectl rollout restart deploy/dns -n kube-system
CRITICAL R8 kubectl label pods -A -l a=b c=d
CRITICAL R8 kubectl apply -f web.yaml -n kube-system
DENY R8 kubectl delete --raw /api/v1/namespaces/shop/pods/web-1
DENY R8 kubectl create --raw /api/v1/namespaces -f x.json
DENY R8 kubectl replace --raw /x -f x.json
# R9: dry runs
LOW R9 kubectl delete ns prod --dry-run=client
LOW R9 kubectl delete pod web-1 --dry-run client
LOW R9 kubectl apply -f web.yaml --dry-run=server
LOW R9 kubectl apply -f web.yaml --dry_run=server
LOW R9 kubectl apply -f web.yaml --dry-run=none --dry-run=client -o yaml
LOW R9 kubectl create secret generic x --from-literal=a=b --dry-run=client -o yaml
LOW R9 kubectl create deploy x --image=nginx --dry-run=client -o yaml
LOW R9 kubectl run x --image=nginx --dry-run=client -o yaml
LOW R9 kubectl drain n-1 --dry-run=server
LOW R9 kubectl scale deploy --all --replicas=0 --dry-run
LOW R9 kubectl expose deploy/web --port=80 --dry-run=client -o yaml
CRITICAL R8 kubectl delete ns prod --dry-run=none
CRITICAL R8 kubectl delete ns prod --dry-run=client --dry-run=none
CRITICAL R8 kubectl delete ns prod --help=false
CRITICAL R8 kubectl delete ns prod -h=false
CRITICAL R8 kubectl delete deploy web -n --dry-run=client
MEDIUM R6 kubectl delete pod web-1 -n --help
CRITICAL R8 kubectl delete ns prod --dry-run=F
DENY R9 kubectl delete ns prod --dry-run=
DENY R9 helm install web ./chart --dry-run=
MEDIUM R6 kubectl patch deploy web -p '{}' --field-manager --dry-run=client
# R10: helm
LOW R10 helm list -A
LOW R10 helm ls
LOW R10 helm status web
LOW R10 helm history web
LOW R10 helm hist web
LOW R10 helm get notes web
LOW R10 helm get metadata web
LOW R10 helm show values ./chart
LOW R10 helm search repo nginx
LOW R10 helm lint ./chart
LOW R10 helm version
LOW R10 helm env
LOW R10 helm repo list
LOW R10 helm plugin list
LOW R10 helm dependency list ./chart
LOW R10 helm template web ./chart
LOW R10 helm install --help
LOW R10 helm help upgrade
HIGH R10 helm test web
HIGH R7 helm install web ./chart
HIGH R7 helm upgrade --install web ./chart --set a=b
HIGH R7 helm rollback web 3
HIGH R7 helm install web ./chart --dry-run=none
HIGH R7 helm install web ./chart --dry-run=false
CRITICAL R8 helm uninstall web
CRITICAL R8 helm delete web
CRITICAL R8 helm upgrade web ./chart --force
CRITICAL R8 helm upgrade web ./chart -n kube-system
LOW R9 helm install web ./chart --dry-run
LOW R9 helm upgrade web ./chart --dry-run=server
LOW R9 helm uninstall web --dry-run
LOW R9 helm rollback web 3 --dry-run
DENY R10 helm repo add x https://example.com
DENY R10 helm repo update
DENY R10 helm repo remove x
DENY R10 helm plugin install https://example.com/x
DENY R10 helm pull bitnami/nginx
DENY R10 helm push x oci://example.com
DENY R10 helm registry login example.com
DENY R10 helm dependency update ./chart
DENY R10 helm dep build ./chart
DENY R10 helm nosuch
DENY R10 helm
DENY R12 helm list --nosuch
DENY R2 helm list --kube-context=other
DENY R2 helm list --kubeconfig=x
DENY R2 helm upgrade web ./chart --post-renderer=./x
DENY R2 helm list --kube-as-user=admin
DENY R2 helm list --registry-config=x
DENY R4 helm template web ./chart --set-file a=/etc/passwd
DENY R4 helm template web ./chart -f /etc/passwd
DENY R4 helm get manifest web
DENY R6 helm upgrade web ./chart -f https://example.com/values.yaml
# R11: other tools
LOW R11 argocd app get web
LOW R11 argocd app list -o json
LOW R11 argocd app diff web
LOW R11 argocd app history web
LOW R11 argocd app logs web --tail 10
LOW R11 istioctl analyze -n shop
LOW R11 istioctl version
LOW R11 istioctl proxy-status
LOW R11 velero backup get
LOW R11 velero get backups
LOW R11 flux get all -A
LOW R11 flux get kustomizations
HIGH R11 argocd app sync web
HIGH R11 argocd app rollback web 3
HIGH R11 flux reconcile kustomization web
CRITICAL R11 argocd app delete web
CRITICAL R11 argocd app sync web --prune
CRITICAL R11 istioctl uninstall --purge
CRITICAL R11 velero backup delete x
CRITICAL R11 flux uninstall
DENY R2 argocd app list --server=example.com
DENY R2 velero backup create x --kubecontext=other
DENY R11 argocd app get web --hard-refresh
DENY R11 istioctl proxy-config log web-1 -r
DENY R4 istioctl analyze /etc/passwd
HIGH R11 flux reconcile kustomization web --dry-run
LOW R9 flux uninstall --dry-run
DENY R2 argocd app get web --auth-token=x
DENY R11 argocd app get web --nosuch
DENY R11 argocd login example.com
DENY R11 crictl ps
DENY R11 etcdctl get /
DENY R11 systemctl restart kubelet
DENY R11 docker ps
DENY R11 aws s3 ls
DENY R11 terraform apply
DENY R11 curl http://127.0.0.1
DENY R11 wget http://127.0.0.1
# flags before the verb, and between its words
LOW R9 kubectl --dry-run=client delete ns prod
LOW R9 kubectl --dry_run=server -n shop delete deploy web
LOW R9 kubectl create --dry-run=client --image=b deployment web
LOW R9 kubectl --dry-run=none delete ns prod --dry-run=server
CRITICAL R8 kubectl --dry-run=none delete ns prod
CRITICAL R8 kubectl --dry-run=client delete ns prod --dry-run=none
CRITICAL R8 kubectl --all=true delete pods
CRITICAL R8 kubectl create --dry-run=none namespace prod
MEDIUM R6 kubectl rollout --dry-run=client restart deploy/web
MEDIUM R6 kubectl --dry-run=client rollout restart deploy/web
HIGH R7 kubectl --replicas=3 scale deploy/web
DENY R2 kubectl --dry-run=client --as=x delete ns prod
DENY R12 kubectl --nosuch=x get pods
DENY R12 kubectl --dry-run=client
DENY R12 kubectl --replicas=3 get pods
DENY R1b kubectl --dry-run delete ns prod
DENY R1b kubectl --all delete pods
DENY R1b kubectl -- get pods
DENY R4 kubectl --output=yaml get secrets
DENY R5 kubectl --stdin=true exec web-1 -- sh
LOW R9 helm --dry-run=true uninstall web
LOW R9 helm --dry-run=client upgrade web ./c
CRITICAL R8 helm --dry-run=false uninstall web
# R12, R13: plugins, unknown verbs, client state
DENY R12 kubectl status web
DENY R12 kubectl foo --help
DENY R12 kubectl create foo x
DENY R12 kubectl set foo deploy/web
DENY R12 kubectl ns shop
DENY R12 kubectl ' get' pods
DENY R12 kubectl 'rollout restart' deploy/web
DENY R12 kubectl create 'deployment ' x --image=y
DENY R2 kubectl help get --as=x
DENY R2 kubectl help -shttps://x
DENY R2 kubectl options --kubeconfig=x
DENY R4 helm install x oci://example.com/c --dry-run
DENY R4 helm upgrade x https://example.com/told.tgz --dry-run=client
DENY R10 helm upgrade x c --repo=https://example.com --dry-run
DENY R10 helm upgrade x ./c --dependency-update --dry-run
LOW R9 helm upgrade x charts/c --dry-run
DENY R4 helm status web -o json
DENY R4 helm status web --output=yaml
LOW R10 helm status web -o table
DENY R2 helm help list --kube-context=x
LOW R3 kubectl help rollout undo
LOW R10 helm help list
DENY R13 kubectl config use-context x
DENY R13 kubectl config use x
DENY R2 kubectl config set-credentials x --username=y
DENY R13 kubectl config set-context --current
DENY R13 kubectl config unset x
DENY R13 kubectl config foo
DENY R13 kubectl kuberc set --section aliases --name status --command delete
"""


def rows() -> list[tuple[str, str, str]]:
    """(line, verdict, rule)."""
    text = ROWS.replace("\\\n", "").strip().splitlines()
    return [
        (line, verdict, rule) for verdict, rule, line in (one.split(" ", 2) for one in text if not one.startswith("#"))
    ]
