"""Who is who in the cluster, and what it enforces: told by `check`, by the start and on cards."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from core.cluster.api import KubernetesApi
from core.cluster.kinds import Kind
from core.errors import InvalidInputError, NotAllowedError, NotFoundError, StepFailedError
from core.grants import Enforcement

_WHO = Kind("SelfSubjectReview", "authentication.k8s.io/v1", "selfsubjectreviews", is_namespaced=False)
_GROUP = "admissionregistration.k8s.io/v1"
_POLICY = Kind("ValidatingAdmissionPolicy", _GROUP, "validatingadmissionpolicies", is_namespaced=False)
_BINDING = Kind("ValidatingAdmissionPolicyBinding", _GROUP, "validatingadmissionpolicybindings", is_namespaced=False)
POLICIES = ("issuer-fence", "preview-only", "grant-fence", "grant-values", "grant-objects")


@dataclass(frozen=True, slots=True)
class Posture:
    """`users` are the identities by name ("reader") as the API server knows them, None where it does not say.

    `gaps` are sentences: what is not enforced, and what to apply.
    """

    enforcement: Enforcement
    users: Mapping[str, str | None]
    gaps: tuple[str, ...] = ()

    def told(self) -> tuple[str, ...]:
        """For people, the most important first."""
        same = (f"{' and '.join(names)} are one and the same identity" for names in self.same())
        return (str(self.enforcement), *same, *self.gaps)

    def same(self) -> tuple[tuple[str, ...], ...]:
        """The identities that are one and the same, by name."""
        by_user: dict[str, list[str]] = {}
        for name, user in self.users.items():
            by_user.setdefault(user or name, []).append(name)
        return tuple(tuple(names) for names in by_user.values() if len(names) > 1)


async def user_of(api: KubernetesApi) -> str | None:
    """None where the API server has no word for it (before 1.28)."""
    body = {"apiVersion": _WHO.api_version, "kind": _WHO.name}
    try:
        answer = await api.send("POST", _WHO, path=_WHO.path(None), namespace=None, body=body)
    except (NotFoundError, NotAllowedError, InvalidInputError, StepFailedError):
        return None
    user = ((answer.get("status") or {}).get("userInfo") or {}).get("username")
    return str(user) if user else None


async def policy_gaps(api: KubernetesApi, *, users: Mapping[str, str | None]) -> tuple[str, ...]:
    """A sentence for each admission policy that is missing or is not about these users; `api` may read policies."""
    gaps = []
    for short in POLICIES:
        name = f"incident-resolver-{short}"
        try:
            policy = await api.get(_POLICY, None, name)
            binding = await api.get(_BINDING, None, name)
        except NotFoundError:
            gaps.append(f"the admission policy {name} or its binding is missing: apply manifests/{short}-policy*.yaml")
            continue
        except NotAllowedError:
            lines = f"{_POLICY.role_line('get')} and {_BINDING.role_line('get')}"
            return (f"the admission policies may not be read; add to the reader's ClusterRole: {lines}",)
        if told := _weakness(policy, binding, users.get(short.partition("-")[0])):
            gaps.append(f"the admission policy {name} {told}")
    return tuple(gaps)


def _weakness(policy: Mapping[str, Any], binding: Mapping[str, Any], user: str | None) -> str | None:
    spec = policy.get("spec") or {}
    if spec.get("failurePolicy") != "Fail":
        return "lets pass what it cannot evaluate: set failurePolicy to Fail"
    if "Deny" not in ((binding.get("spec") or {}).get("validationActions") or []):
        return "only warns: its binding must deny"
    conditions = [str(one.get("expression")) for one in spec.get("matchConditions") or []]
    if user is not None and not any(f"'{user}'" in one for one in conditions):
        return f"is not about {user}: write this user into its matchConditions"
    return None
