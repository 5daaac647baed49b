"""Which objects a changing kubectl line means, and which of their fields it changes: what people are asked about."""

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from core.commands.flags import Invocation
from core.commands.kinds import CLUSTER_KINDS, kind_of
from core.commands.targets import targets_of, without_pairs
from core.commands.verdicts import Reasons
from core.effects import WHOLE, Aim, FieldPath
from core.resources import Resource

_TEMPLATE: FieldPath = ("spec", "template")
_REVISION: FieldPath = ("metadata", "annotations", "deployment.kubernetes.io/revision")
_FIELDS: dict[str, tuple[FieldPath, ...]] = {
    "delete": (),
    "scale": (("spec", "replicas"),),
    "rollout restart": (_TEMPLATE,),
    "rollout undo": (_TEMPLATE, _REVISION),
    "rollout pause": (("spec", "paused"),),
    "rollout resume": (("spec", "paused"),),
    **dict.fromkeys(("set env", "set resources", "set serviceaccount"), (_TEMPLATE,)),
    "set selector": (("spec", "selector"),),
    "set subject": (("subjects",),),
    **dict.fromkeys(("cordon", "uncordon", "drain"), (("spec", "unschedulable"),)),
    "taint": (("spec", "taints"),),
    **dict.fromkeys(("certificate approve", "certificate deny"), (("status", "conditions"),)),
    **dict.fromkeys(("exec", "cp", "debug", "run", "autoscale", "expose"), ()),
}
_CREATED = {
    "configmap": "ConfigMap",
    "deployment": "Deployment",
    "job": "Job",
    "cronjob": "CronJob",
    "ingress": "Ingress",
    "poddisruptionbudget": "PodDisruptionBudget",
    "quota": "ResourceQuota",
    "role": "Role",
    "rolebinding": "RoleBinding",
    "serviceaccount": "ServiceAccount",
    "namespace": "Namespace",
    "priorityclass": "PriorityClass",
    "clusterrole": "ClusterRole",
    "clusterrolebinding": "ClusterRoleBinding",
}
_MAY_MAKE = frozenset({"apply", "create", "auth reconcile"})
_NODES = frozenset({"cordon", "uncordon", "drain"})
_MOST_FIELDS = 20


def aim_of(invocation: Invocation, namespace: str, reasons: Reasons) -> Aim:
    """`reasons` hold the objects of the files that were read, and "unread" among the kinds where one was not."""
    aim = Aim(
        namespace,
        selector=(invocation.last("selector") or "") if invocation.verb != "expose" else "",
        field_selector=invocation.last("field-selector") or "",
        is_everywhere=invocation.is_on("all-namespaces"),
        fields=_fields(invocation),
        drains=invocation.verb == "drain",
    )
    if {"filename", "kustomize"} & invocation.flags.keys():
        return _of_files(invocation, aim, reasons)
    if invocation.verb == "cp":
        return _of_copy(invocation, aim, reasons)
    maker = _BY_VERB.get(invocation.verb)
    if maker is not None:
        return maker(invocation, aim)
    if invocation.verb.startswith("create "):
        return _of_created(invocation, aim)
    return replace(aim, pairs=_pairs(_object_words(invocation)))


def _pairs(words: tuple[str, ...]) -> tuple[tuple[str, str], ...]:
    """Every (kind, name); kinds that this gate does not know keep their word, so that the API server can say."""
    found = targets_of(words)
    unknown = iter(found.unknown)
    return tuple((kind or next(unknown).lower(), name) for kind, name in zip(found.kinds, found.names, strict=True))


def _object_words(invocation: Invocation) -> tuple[str, ...]:
    verb, words = invocation.verb, invocation.words
    if verb in {"set image", "set env", "set selector", "label", "annotate"}:
        return without_pairs(words)
    if verb == "taint":
        return tuple(word for word in without_pairs(words) if ":" not in word)
    if verb == "set serviceaccount":
        return words[:-1]
    if verb in _NODES or verb.startswith("certificate "):
        kind = "nodes" if verb in _NODES else "certificatesigningrequests"
        return (kind, *(word.rpartition("/")[2] for word in words))
    return words


def _of_files(invocation: Invocation, aim: Aim, reasons: Reasons) -> Aim:
    verb = invocation.verb
    if "kustomize" in invocation.flags or invocation.is_on("recursive"):
        return replace(aim, unclear="It names a folder: name each file with -f.")
    if "unread" in reasons.kinds or not reasons.objects:
        return replace(aim, unclear="A file it names could not be read and understood here.")
    if invocation.is_on("prune"):
        return replace(aim, unclear="--prune deletes objects that no file names.")
    if any(not one.name for one in reasons.objects):
        return replace(aim, unclear="An object in the file has no name (generateName): give it one.")
    if verb in {"autoscale", "expose"}:
        return replace(aim, unclear=f"Name the object as KIND/NAME, kubectl {verb} makes another one from it.")
    objects = tuple(Resource(one.kind, one.name, _home(one, aim.namespace), one.api_version) for one in reasons.objects)
    return replace(aim, objects=objects, may_be_new=verb in _MAY_MAKE, selector="", is_everywhere=False)


def _home(one: Resource, namespace: str) -> str | None:
    return None if one.kind in CLUSTER_KINDS else one.namespace or namespace


def _of_created(invocation: Invocation, aim: Aim) -> Aim:
    what, _, _ = invocation.verb.removeprefix("create ").partition(" ")
    kind = {"service": "Service", "secret": "Secret"}.get(what) or _CREATED.get(what, "")
    words = invocation.words[: invocation.dash]
    if not kind or len(words) < 1:
        return replace(aim, unclear="What it creates cannot be told.")
    if invocation.is_on("append-hash"):
        return replace(aim, unclear="--append-hash makes a name that is not known beforehand.")
    if len(words) > 1 and what != "job":
        return replace(aim, unclear="It creates one object: give it one name.")
    return replace(aim, objects=(_made(kind, words[0], aim.namespace),), may_be_new=True)


def _made(kind: str, name: str, namespace: str) -> Resource:
    return Resource(kind, name, None if kind in CLUSTER_KINDS else namespace)


def _of_second(kind: str) -> Callable[[Invocation, Aim], Aim]:
    """For autoscale and expose: they read one object and make another."""

    def make(invocation: Invocation, aim: Aim) -> Aim:
        pairs = _pairs(invocation.words)
        if len(pairs) != 1 or not pairs[0][1]:
            return replace(
                aim, unclear=f"Name one object as KIND/NAME; kubectl {invocation.verb} makes another from it."
            )
        name = invocation.last("name") or pairs[0][1]
        return replace(aim, objects=(_made(kind, name, aim.namespace),), may_be_new=True)

    return make


def _of_run(invocation: Invocation, aim: Aim) -> Aim:
    words = invocation.words[: invocation.dash]
    if not words:
        return replace(aim, unclear="kubectl run needs a name.")
    if invocation.is_on("rm"):
        return replace(aim, unclear="--rm deletes what it made; leave it out.")
    made = [_made("Pod", words[0], aim.namespace)]
    if invocation.is_on("expose"):
        made.append(_made("Service", words[0], aim.namespace))
    return replace(aim, objects=tuple(made), may_be_new=True)


def _of_pod(invocation: Invocation, aim: Aim) -> Aim:
    """For exec and debug: one pod by name; a workload would leave the choice of the pod to kubectl."""
    words = invocation.words[: invocation.dash]
    first = words[0] if words else ""
    kind, has_slash, name = first.partition("/")
    if not first or (has_slash and kind_of(kind) != "Pod"):
        return replace(aim, unclear=f"kubectl {invocation.verb}: name one pod; which one it would be cannot be told.")
    made = invocation.last("copy-to")
    objects = (_made("Pod", made, aim.namespace),) if made else ()
    return replace(aim, pairs=(("Pod", name if has_slash else first),), objects=objects, may_be_new=bool(made))


def _of_copy(invocation: Invocation, aim: Aim, reasons: Reasons) -> Aim:
    """One file of the workspace, read once, into one pod by name."""
    pod = invocation.words[-1].partition(":")[0]
    if "unread" in reasons.kinds:
        return replace(
            aim, unclear="What cp copies could not be read: name one file of your folder, of at most 256 KB."
        )
    if "/" in pod:
        return replace(aim, unclear="kubectl cp: name the namespace with -n, and the pod as POD:PATH.")
    return replace(aim, pairs=(("Pod", pod),))


_BY_VERB: dict[str, Callable[[Invocation, Aim], Aim]] = {
    "autoscale": _of_second("HorizontalPodAutoscaler"),
    "expose": _of_second("Service"),
    "run": _of_run,
    "exec": _of_pod,
    "debug": _of_pod,
}


# --- fields ------------------------------------------------------------------------------------------------------


def _fields(invocation: Invocation) -> tuple[FieldPath, ...]:
    verb = invocation.verb
    if verb == "set image":
        return _image_fields(invocation)
    if verb in {"label", "annotate"}:
        part = "labels" if verb == "label" else "annotations"
        pairs = [word for word in invocation.words if "=" in word or word.endswith("-")]
        return tuple(("metadata", part, word.partition("=")[0].removesuffix("-")) for word in pairs)
    if verb == "patch" and "subresource" not in invocation.flags:
        return _patch_fields(invocation)
    return _FIELDS.get(verb, (WHOLE,))


def _image_fields(invocation: Invocation) -> tuple[FieldPath, ...]:
    containers = [word.partition("=")[0] for word in invocation.words if "=" in word]
    if not containers or "*" in containers:
        return (_TEMPLATE,)
    return tuple(("spec", "template", "spec", "containers", one, "image") for one in containers)


def _patch_fields(invocation: Invocation) -> tuple[FieldPath, ...]:
    """The leaves of a merge patch; a JSON patch, a file or a list inside it counts as the whole object."""
    given = invocation.flags.get("patch", ())
    if len(given) != 1 or "patch-file" in invocation.flags or invocation.last("type") == "json":
        return (WHOLE,)
    try:
        value = json.loads(given[0])
    except (ValueError, RecursionError):
        return (WHOLE,)
    found = list(_leaves(value, ()))
    is_told = isinstance(value, dict) and 0 < len(found) <= _MOST_FIELDS and all(found)
    return tuple(found) if is_told else (WHOLE,)


def _leaves(value: Any, path: FieldPath) -> list[FieldPath]:  # noqa: ANN401  parsed JSON
    if not isinstance(value, dict) or not value:
        return [path]
    return [leaf for key, inner in value.items() for leaf in _leaves(inner, (*path, str(key)))]
