"""Resource types as kubectl takes them: plural, singular, short name, with or without group, to one kind."""

import re

_NAMESPACED = """
configmaps configmap cm ConfigMap core
endpoints endpoints ep Endpoints core
events event ev Event core,events.k8s.io
limitranges limitrange limits LimitRange core
persistentvolumeclaims persistentvolumeclaim pvc PersistentVolumeClaim core
pods pod po Pod core,metrics.k8s.io
podtemplates podtemplate - PodTemplate core
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
networkpolicies networkpolicy netpol NetworkPolicy networking.k8s.io
poddisruptionbudgets poddisruptionbudget pdb PodDisruptionBudget policy
roles role - Role rbac.authorization.k8s.io
rolebindings rolebinding - RoleBinding rbac.authorization.k8s.io
leases lease - Lease coordination.k8s.io
csistoragecapacities csistoragecapacity - CSIStorageCapacity storage.k8s.io
resourceclaims resourceclaim - ResourceClaim resource.k8s.io
resourceclaimtemplates resourceclaimtemplate - ResourceClaimTemplate resource.k8s.io
"""
_CLUSTER_WIDE = """
componentstatuses componentstatus cs ComponentStatus core
namespaces namespace ns Namespace core
nodes node no Node core,metrics.k8s.io
persistentvolumes persistentvolume pv PersistentVolume core
clusterroles clusterrole - ClusterRole rbac.authorization.k8s.io
clusterrolebindings clusterrolebinding - ClusterRoleBinding rbac.authorization.k8s.io
ingressclasses ingressclass - IngressClass networking.k8s.io
ipaddresses ipaddress ip IPAddress networking.k8s.io
servicecidrs servicecidr - ServiceCIDR networking.k8s.io
storageclasses storageclass sc StorageClass storage.k8s.io
volumeattachments volumeattachment - VolumeAttachment storage.k8s.io
volumeattributesclasses volumeattributesclass vac VolumeAttributesClass storage.k8s.io
csidrivers csidriver - CSIDriver storage.k8s.io
csinodes csinode - CSINode storage.k8s.io
priorityclasses priorityclass pc PriorityClass scheduling.k8s.io
runtimeclasses runtimeclass - RuntimeClass node.k8s.io
customresourcedefinitions customresourcedefinition crd,crds CustomResourceDefinition apiextensions.k8s.io
apiservices apiservice - APIService apiregistration.k8s.io
certificatesigningrequests certificatesigningrequest csr CertificateSigningRequest certificates.k8s.io
mutatingwebhookconfigurations mutatingwebhookconfiguration - MutatingWebhookConfiguration admissionregistration.k8s.io
validatingwebhookconfigurations validatingwebhookconfiguration - ValidatingWebhookConfiguration \
admissionregistration.k8s.io
mutatingadmissionpolicies mutatingadmissionpolicy - MutatingAdmissionPolicy admissionregistration.k8s.io
mutatingadmissionpolicybindings mutatingadmissionpolicybinding - MutatingAdmissionPolicyBinding \
admissionregistration.k8s.io
validatingadmissionpolicies validatingadmissionpolicy - ValidatingAdmissionPolicy admissionregistration.k8s.io
validatingadmissionpolicybindings validatingadmissionpolicybinding - ValidatingAdmissionPolicyBinding \
admissionregistration.k8s.io
flowschemas flowschema - FlowSchema flowcontrol.apiserver.k8s.io
prioritylevelconfigurations prioritylevelconfiguration - PriorityLevelConfiguration flowcontrol.apiserver.k8s.io
deviceclasses deviceclass - DeviceClass resource.k8s.io
resourceslices resourceslice - ResourceSlice resource.k8s.io
"""
_CUSTOM = """
applications application app,apps Application argoproj.io
applicationsets applicationset appset,appsets ApplicationSet argoproj.io
appprojects appproject appproj,appprojs AppProject argoproj.io
rollouts rollout ro Rollout argoproj.io
certificates certificate cert,certs Certificate cert-manager.io
certificaterequests certificaterequest cr,crs CertificateRequest cert-manager.io
issuers issuer - Issuer cert-manager.io
gitrepositories gitrepository gitrepo GitRepository source.toolkit.fluxcd.io
helmrepositories helmrepository helmrepo HelmRepository source.toolkit.fluxcd.io
helmcharts helmchart hc HelmChart source.toolkit.fluxcd.io
kustomizations kustomization ks Kustomization kustomize.toolkit.fluxcd.io
helmreleases helmrelease hr HelmRelease helm.toolkit.fluxcd.io
virtualservices virtualservice vs VirtualService networking.istio.io
destinationrules destinationrule dr DestinationRule networking.istio.io
gateways gateway gw,gtw Gateway networking.istio.io,gateway.networking.k8s.io
httproutes httproute - HTTPRoute gateway.networking.k8s.io
servicemonitors servicemonitor smon ServiceMonitor monitoring.coreos.com
podmonitors podmonitor pmon PodMonitor monitoring.coreos.com
prometheusrules prometheusrule promrule PrometheusRule monitoring.coreos.com
externalsecrets externalsecret es ExternalSecret external-secrets.io
verticalpodautoscalers verticalpodautoscaler vpa VerticalPodAutoscaler autoscaling.k8s.io
scaledobjects scaledobject so ScaledObject keda.sh
backups backup - Backup velero.io
schedules schedule - Schedule velero.io
restores restore - Restore velero.io
"""
_VERSION = re.compile(r"v[1-9]\d{0,2}((alpha|beta)[1-9]\d{0,2})?")
_KINDS: dict[str, tuple[str, frozenset[str]]] = {}
_PLURALS: dict[str, str] = {}


def _add(table: str) -> frozenset[str]:
    kinds = set()
    for row in table.split("\n"):
        if row:
            plural, singular, short, kind, groups = row.split()
            kinds.add(kind)
            _PLURALS[kind] = plural
            for name in (plural, singular, *short.split(",")):
                if name != "-":
                    _KINDS[name] = (kind, frozenset(groups.split(",")))
    return frozenset(kinds)


NAMESPACED_KINDS = _add(_NAMESPACED)
CLUSTER_KINDS = _add(_CLUSTER_WIDE)
CUSTOM_KINDS = _add(_CUSTOM)
"""Namespaced kinds of well-known operators: what a change of one sets in motion is not to be seen from here."""
IDENTITY_KINDS = frozenset({"ServiceAccount", "Role", "RoleBinding"})
WORKLOADS = frozenset({"Deployment", "StatefulSet", "DaemonSet"})
_ALL_KNOWN = NAMESPACED_KINDS | CLUSTER_KINDS | CUSTOM_KINDS


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


def kind_in_manifest(kind: str, api_version: str) -> str | None:
    """The kind itself where this gate knows it in that group, else None."""
    group = api_version.rpartition("/")[0] or "core"
    known = _KINDS.get(kind.lower())
    if known is None or known[0] != kind or group not in known[1]:
        return None
    return kind


def plural_of(kind: str, group: str) -> str | None:
    """The word that API paths and Roles have for it; None where this gate does not know the kind in that group."""
    plural = _PLURALS.get(kind)
    return plural if plural is not None and (group or "core") in _KINDS[plural][1] else None


def is_known(kind: str) -> bool:
    return kind in _ALL_KNOWN
