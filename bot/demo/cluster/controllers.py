"""The simulator's small controllers: Deployments make ReplicaSets make Pods, and Pods live by the rules of scenarios.

Annotations of a pod (or its template) decide how it fares:
`simulator/corrupt` crashes until the pod is deleted; `simulator/broken-images` crash whoever runs one;
`simulator/half-broken-images` crash the first pod of a ReplicaSet; `simulator/needs-replicas` keeps pods unready while
the Deployment has fewer; `simulator/log` is what containers print. A tag that looks like no release cannot be pulled.
"""

import copy
import hashlib
import json
import re
from collections.abc import Iterator
from datetime import datetime
from typing import Any

from bot.demo.cluster.objects import Object, Objects

HASH = "pod-template-hash"
REVISION = "deployment.kubernetes.io/revision"
START_SECONDS = 1.0
_RELEASE = re.compile(r"v?\d+(\.\d+)*([-_+][\w.+-]*)?|latest|stable|main|alpine|slim", re.IGNORECASE)
_NO_RELEASE = re.compile(r"bad|broken|missing|nonexist|not-?exist|nope|invalid|wrong|typo", re.IGNORECASE)


def tick(objects: Objects, now: datetime) -> None:
    """One round of all controllers; writes only what differs."""
    for deployment in list(objects.of("Deployment")):
        _deployment(objects, deployment)
    for replica_set in list(objects.of("ReplicaSet")):
        _replicas(objects, replica_set)
    for stateful_set in list(objects.of("StatefulSet")):
        _stateful_replicas(objects, stateful_set)
    for pod in list(objects.of("Pod")):
        _pod(objects, pod, now)
    for owner in ("ReplicaSet", "Deployment", "StatefulSet"):
        for one in list(objects.of(owner)):
            _status(objects, one)


def _deployment(objects: Objects, deployment: Object) -> None:
    template = template_of(deployment)
    digest = hashlib.sha256(json.dumps(template, sort_keys=True).encode()).hexdigest()[:10]
    own = list(owned(objects, "ReplicaSet", deployment))
    current = next((one for one in own if one["metadata"]["labels"][HASH] == digest), None)
    newest = max((int(one["metadata"]["annotations"][REVISION]) for one in own), default=0)
    if current is None:
        current = objects.put(_replica_set(deployment, template, digest, revision=newest + 1))
    elif int(current["metadata"]["annotations"][REVISION]) != newest:
        changed = copy.deepcopy(current)
        changed["metadata"]["annotations"][REVISION] = str(newest + 1)
        current = objects.put(changed)
    revision = current["metadata"]["annotations"][REVISION]
    if deployment["metadata"].setdefault("annotations", {}).get(REVISION) != revision:
        changed = copy.deepcopy(deployment)
        changed["metadata"]["annotations"][REVISION] = revision
        objects.put(changed)
    for one in owned(objects, "ReplicaSet", deployment):
        wanted = deployment["spec"].get("replicas", 1) if one["metadata"]["name"] == current["metadata"]["name"] else 0
        if one["spec"]["replicas"] != wanted:
            changed = copy.deepcopy(one)
            changed["spec"]["replicas"] = wanted
            objects.put(changed)


def template_of(deployment: Object) -> Object:
    """The pod template without what the server or kubectl adds."""
    template = copy.deepcopy(deployment["spec"]["template"])
    metadata = {key: value for key, value in template.get("metadata", {}).items() if value not in (None, {}, [])}
    metadata.get("labels", {}).pop(HASH, None)
    return {"metadata": metadata, "spec": template["spec"]}


def owned(objects: Objects, kind: str, owner: Object) -> Iterator[Object]:
    """Objects of a kind whose controller is `owner`."""
    uid = owner["metadata"]["uid"]
    for one in list(objects.of(kind, owner["metadata"]["namespace"])):
        if any(each["uid"] == uid for each in one["metadata"].get("ownerReferences", [])):
            yield one


def _reference(owner: Object) -> list[Object]:
    return [
        {
            "apiVersion": owner["apiVersion"],
            "kind": owner["kind"],
            "name": owner["metadata"]["name"],
            "uid": owner["metadata"]["uid"],
            "controller": True,
            "blockOwnerDeletion": True,
        }
    ]


def _replica_set(deployment: Object, template: Object, digest: str, *, revision: int) -> Object:
    labels = {**template["metadata"]["labels"], HASH: digest}
    stamped = copy.deepcopy(template)
    stamped["metadata"]["labels"] = labels
    return {
        "apiVersion": "apps/v1",
        "kind": "ReplicaSet",
        "metadata": {
            "name": f"{deployment['metadata']['name']}-{digest}",
            "namespace": deployment["metadata"]["namespace"],
            "labels": labels,
            "annotations": {REVISION: str(revision)},
            "ownerReferences": _reference(deployment),
        },
        "spec": {
            "replicas": deployment["spec"].get("replicas", 1),
            "selector": {"matchLabels": labels},
            "template": stamped,
        },
        "status": {},
    }


def _replicas(objects: Objects, replica_set: Object) -> None:
    pods = list(owned(objects, "Pod", replica_set))
    wanted = replica_set["spec"]["replicas"]
    for number in range(len(pods), wanted):
        seed = f"{replica_set['metadata']['uid']}{objects.version}{number}"
        suffix = hashlib.sha256(seed.encode()).hexdigest()[:5]
        pod = _new_pod(replica_set, f"{replica_set['metadata']['name']}-{suffix}")
        image = pod["spec"]["containers"][0]["image"]
        if number == 0 and image in _listed(pod, "half-broken-images"):
            pod["metadata"]["annotations"]["simulator/corrupt"] = "true"
        objects.put(pod)
    for pod in sorted(pods, key=lambda one: not _is_failing(one))[: max(len(pods) - wanted, 0)]:
        objects.remove("Pod", pod["metadata"]["namespace"], pod["metadata"]["name"])


def _stateful_replicas(objects: Objects, stateful_set: Object) -> None:
    have = {one["metadata"]["name"] for one in owned(objects, "Pod", stateful_set)}
    for number in range(stateful_set["spec"].get("replicas", 1)):
        name = f"{stateful_set['metadata']['name']}-{number}"
        if name not in have:
            objects.put(_new_pod(stateful_set, name))


def _new_pod(owner: Object, name: str) -> Object:
    template = copy.deepcopy(owner["spec"]["template"])
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": name,
            "namespace": owner["metadata"]["namespace"],
            "labels": template["metadata"].get("labels", {}),
            "annotations": template["metadata"].get("annotations") or {},
            "ownerReferences": _reference(owner),
        },
        "spec": {**template["spec"], "nodeName": "node-a"},
        "status": {"phase": "Pending"},
    }


def _listed(pod: Object, name: str) -> list[str]:
    return str(pod["metadata"].get("annotations", {}).get(f"simulator/{name}", "")).split(",")


def _is_failing(pod: Object) -> bool:
    return any(not one["ready"] for one in pod["status"].get("containerStatuses", [{"ready": False}]))


def _pod(objects: Objects, pod: Object, now: datetime) -> None:
    age = (now - datetime.fromisoformat(pod["metadata"]["creationTimestamp"])).total_seconds()
    phase, state, is_ready, restarts = _fate(objects, pod, age)
    container = pod["spec"]["containers"][0]
    started = pod["metadata"]["creationTimestamp"]
    truth = "True" if is_ready else "False"
    status = {
        "phase": phase,
        "podIP": "10.1.0." + str(int(hashlib.sha256(pod["metadata"]["name"].encode()).hexdigest()[:2], 16)),
        "hostIP": "127.0.0.1",
        "startTime": started,
        "conditions": [
            {"type": kind, "status": truth, "lastTransitionTime": started} for kind in ("Ready", "ContainersReady")
        ],
        "containerStatuses": [
            {
                "name": container["name"],
                "image": container["image"],
                "imageID": "",
                "ready": is_ready,
                "started": is_ready,
                "restartCount": restarts,
                "state": state,
                "lastState": {"terminated": _ended(started)} if restarts else {},
            }
        ],
    }
    if pod["status"] != status:
        changed = copy.deepcopy(pod)
        changed["status"] = status
        objects.put(changed)
        if "waiting" in state and state["waiting"]["reason"] != "ContainerCreating":
            waiting = state["waiting"]
            reason = "Failed" if "Image" in waiting["reason"] else "BackOff"
            record_event(objects, changed, reason=reason, message=waiting["message"])


Fate = tuple[str, dict[str, Any], bool, int]


def _fate(objects: Objects, pod: Object, age: float) -> Fate:
    """Phase, container state, readiness and restarts, by the rules above."""
    image = pod["spec"]["containers"][0]["image"]
    annotations = pod["metadata"].get("annotations", {})
    if age < START_SECONDS:
        return "Pending", {"waiting": {"reason": "ContainerCreating"}}, False, 0
    if not is_there(image):
        message = f'Back-off pulling image "{image}": not found'
        return "Pending", {"waiting": {"reason": "ImagePullBackOff", "message": message}}, False, 0
    if annotations.get("simulator/corrupt") == "true" or image in _listed(pod, "broken-images"):
        message = "back-off 5m0s restarting failed container"
        return "Running", {"waiting": {"reason": "CrashLoopBackOff", "message": message}}, False, 7
    running = {"running": {"startedAt": pod["metadata"]["creationTimestamp"]}}
    needed = int(annotations.get("simulator/needs-replicas", "0"))
    is_ready = needed <= _replicas_above(objects, pod)
    return "Running", running, is_ready, 0


def is_there(image: str) -> bool:
    """Whether a registry would have it, by its tag; none means latest."""
    _, _, tag = image.partition("@")[0].rpartition("/")[2].partition(":")
    return not tag or (bool(_RELEASE.fullmatch(tag)) and not _NO_RELEASE.search(tag))


def _replicas_above(objects: Objects, pod: Object) -> int:
    """The replica count of the pod's Deployment."""
    name = pod["metadata"]["name"].rsplit("-", 2)[0]
    found = objects.get("Deployment", pod["metadata"]["namespace"], name)
    return int(found["spec"].get("replicas", 1)) if found else 10_000


def _ended(at: str) -> Object:
    return {"exitCode": 1, "reason": "Error", "startedAt": at, "finishedAt": at}


def _status(objects: Objects, owner: Object) -> None:
    if owner["kind"] == "Deployment":
        pods = [pod for one in owned(objects, "ReplicaSet", owner) for pod in owned(objects, "Pod", one)]
    else:
        pods = list(owned(objects, "Pod", owner))
    ready = sum(not _is_failing(pod) for pod in pods)
    wanted = owner["spec"].get("replicas", 1)
    status: Object = {
        "observedGeneration": owner["metadata"]["generation"],
        "replicas": len(pods),
        "readyReplicas": ready,
        "availableReplicas": ready,
    }
    if owner["kind"] == "Deployment":
        is_available = ready >= wanted
        status |= {
            "updatedReplicas": len(pods),
            "unavailableReplicas": max(wanted - ready, 0),
            "conditions": [
                {
                    "type": "Available",
                    "status": "True" if is_available else "False",
                    "reason": "MinimumReplicasAvailable" if is_available else "MinimumReplicasUnavailable",
                },
                {"type": "Progressing", "status": "True", "reason": "NewReplicaSetAvailable"},
            ],
        }
    if owner.get("status") != status:
        changed = copy.deepcopy(owner)
        changed["status"] = status
        objects.put(changed)


def record_event(objects: Objects, target: Object, *, reason: str, message: str, kind: str = "Warning") -> None:
    """An Event about an object, counted up where it happened before."""
    metadata = target["metadata"]
    digest = hashlib.sha256(f"{metadata['name']}{reason}{message}".encode()).hexdigest()[:12]
    name = f"{metadata['name']}.{digest}"
    old = objects.get("Event", metadata["namespace"], name)
    count = 1 if old is None else int(old["count"]) + 1
    objects.put(
        {
            "apiVersion": "v1",
            "kind": "Event",
            "metadata": {"name": name, "namespace": metadata["namespace"]},
            "involvedObject": {
                "kind": target["kind"],
                "name": metadata["name"],
                "namespace": metadata["namespace"],
                "uid": metadata["uid"],
            },
            "reason": reason,
            "message": message,
            "type": kind,
            "count": count,
            "firstTimestamp": objects.now() if old is None else old["firstTimestamp"],
            "lastTimestamp": objects.now(),
            "source": {"component": "simulator"},
        }
    )
