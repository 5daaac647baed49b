"""Resource types as kubectl takes them: plural, singular, short name, with or without group, to one kind."""

import re

_TABLE = """
configmaps configmap cm ConfigMap core
endpoints endpoints ep Endpoints core
events event ev Event core,events.k8s.io
limitranges limitrange limits LimitRange core
namespaces namespace ns Namespace core
nodes node no Node core
persistentvolumeclaims persistentvolumeclaim pvc PersistentVolumeClaim core
persistentvolumes persistentvolume pv PersistentVolume core
pods pod po Pod core,metrics.k8s.io
replicationcontrollers replicationcontroller rc ReplicationController core
resourcequotas resourcequota quota ResourceQuota core
secrets secret - Secret core
serviceaccounts serviceaccount sa ServiceAccount core
services service svc Service core
controllerrevisions controllerrevision - ControllerRevision apps
daemonsets daemonset ds DaemonSet apps
deployments deployment deploy Deployment apps
replicasets replicaset rs ReplicaSet apps
statefulsets statefulset sts StatefulSet apps
horizontalpodautoscalers horizontalpodautoscaler hpa HorizontalPodAutoscaler autoscaling
cronjobs cronjob cj CronJob batch
jobs job - Job batch
endpointslices endpointslice - EndpointSlice discovery.k8s.io
ingresses ingress ing Ingress networking.k8s.io
ingressclasses ingressclass - IngressClass networking.k8s.io
networkpolicies networkpolicy netpol NetworkPolicy networking.k8s.io
poddisruptionbudgets poddisruptionbudget pdb PodDisruptionBudget policy
clusterroles clusterrole - ClusterRole rbac.authorization.k8s.io
clusterrolebindings clusterrolebinding - ClusterRoleBinding rbac.authorization.k8s.io
roles role - Role rbac.authorization.k8s.io
rolebindings rolebinding - RoleBinding rbac.authorization.k8s.io
storageclasses storageclass sc StorageClass storage.k8s.io
volumeattachments volumeattachment - VolumeAttachment storage.k8s.io
priorityclasses priorityclass pc PriorityClass scheduling.k8s.io
leases lease - Lease coordination.k8s.io
customresourcedefinitions customresourcedefinition crd CustomResourceDefinition apiextensions.k8s.io
apiservices apiservice - APIService apiregistration.k8s.io
"""
_VERSION = re.compile(r"v[1-9]\d{0,2}((alpha|beta)[1-9]\d{0,2})?")
_KINDS: dict[str, tuple[str, frozenset[str]]] = {}
for _row in _TABLE.split("\n"):
    if _row:
        *_names, _kind, _groups = _row.split()
        for _name in _names:
            if _name != "-":
                _KINDS[_name] = (_kind, frozenset(_groups.split(",")))


def kind_of(word: str) -> str | None:
    """The kind a word names ("deploy", "deployments.apps", "deployments.v1.apps"), None for an unknown one."""
    name, _, rest = word.lower().partition(".")
    found = _KINDS.get(name)
    if found is None:
        return None
    kind, groups = found
    if rest:
        version, _, group = rest.partition(".")
        is_versioned = _VERSION.fullmatch(version) is not None and (group or "core") in groups
        if rest not in groups and not is_versioned:
            return None
    return kind
