"""What this identity may do, by the API server's own word (SelfSubjectAccessReview)."""

import asyncio
from dataclasses import dataclass

from core.cluster import kinds
from core.cluster.api import KubernetesApi
from core.cluster.kinds import Kind
from core.errors import first_of

_REVIEW = Kind("SelfSubjectAccessReview", "authorization.k8s.io/v1", "selfsubjectaccessreviews", is_namespaced=False)
_SCALE = tuple(
    Kind(kind.name, kind.api_version, f"{kind.resource}/scale") for kind in (kinds.DEPLOYMENT, kinds.STATEFUL_SET)
)
READS: tuple[tuple[str, Kind], ...] = (
    ("list", kinds.POD),
    ("get", kinds.POD_LOG),
    ("list", kinds.EVENT),
    ("get", kinds.NAMESPACE),
    ("list", kinds.NODE),
    ("list", kinds.DEPLOYMENT),
    ("list", kinds.REPLICA_SET),
    ("list", kinds.STATEFUL_SET),
    ("list", kinds.DAEMON_SET),
    ("list", kinds.CONTROLLER_REVISION),
    ("list", kinds.JOB),
    ("list", kinds.HPA),
    ("list", kinds.PDB),
)
CHANGES: tuple[tuple[str, Kind], ...] = (
    ("delete", kinds.POD),
    ("create", kinds.POD),
    *(
        (verb, kind)
        for kind in (kinds.DEPLOYMENT, kinds.STATEFUL_SET, kinds.DAEMON_SET)
        for verb in ("patch", "update", "create")
    ),
    *(("patch", kind) for kind in _SCALE),
)
SECRETS = ("get", kinds.KINDS["Secret"])


@dataclass(frozen=True, slots=True)
class Access:
    """What is missing, each as the line of a Role that would allow it."""

    missing_reads: tuple[str, ...]
    missing_changes: tuple[str, ...]
    may_read_secrets: bool


async def review_access(api: KubernetesApi, *, namespace: str | None) -> Access:
    """Asks in one namespace, or in all of them where None. UnavailableError when the API does not answer."""
    try:
        async with asyncio.TaskGroup() as group:
            reads = [group.create_task(_line_if_missing(api, verb, kind, namespace)) for verb, kind in READS]
            changes = [group.create_task(_line_if_missing(api, verb, kind, namespace)) for verb, kind in CHANGES]
            secrets = group.create_task(_line_if_missing(api, *SECRETS, namespace))
    except ExceptionGroup as failures:
        raise first_of(failures) from failures
    return Access(
        tuple(line for one in reads if (line := one.result()) is not None),
        tuple(line for one in changes if (line := one.result()) is not None),
        secrets.result() is None,
    )


async def _line_if_missing(api: KubernetesApi, verb: str, kind: Kind, namespace: str | None) -> str | None:
    where = namespace if kind.is_namespaced else None
    is_allowed = await is_allowed_to(api, verb, (kind.group, kind.resource), namespace=where)
    return None if is_allowed else kind.role_line(verb)


async def is_allowed_to(
    api: KubernetesApi, verb: str, what: tuple[str, str], *, namespace: str | None, name: str | None = None
) -> bool:
    """Of this identity, by the API server's own word. `what` is (group, plural with subresource); None means any."""
    group, (resource, _, subresource) = what[0], what[1].partition("/")
    attributes = {"verb": verb, "group": group, "resource": resource}
    given = {"subresource": subresource, "namespace": namespace, "name": name}
    attributes |= {key: value for key, value in given.items() if value}
    body = {
        "apiVersion": _REVIEW.api_version,
        "kind": _REVIEW.name,
        "spec": {"resourceAttributes": attributes},
    }
    answer = await api.send("POST", _REVIEW, path=_REVIEW.path(None), namespace=None, body=body)
    return bool((answer.get("status") or {}).get("allowed"))
