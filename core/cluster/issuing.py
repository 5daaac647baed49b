"""Grants in the cluster: an account, a Role and its binding made from a permit, and a token that ends by itself."""

import asyncio
import base64
import json
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import datetime
from itertools import groupby
from typing import Any

from kubernetes.aio import client as kubernetes_client

from core import owners
from core.cluster import kinds
from core.cluster.access import is_allowed_to
from core.cluster.api import KubernetesApi
from core.cluster.kinds import KINDS, Kind
from core.cluster.kubeconfig import Credentials
from core.errors import NotAllowedError, NotFoundError, ResolverError, StaleError, StepFailedError, UnavailableError
from core.permit import Permit, PermittedLine
from core.resolution import ApprovalId, ResolutionId
from core.resources import Resource
from core.rights import VALUES_GROUP, Right, merged, rights

GRANTS_NAMESPACE = "incident-resolver-grants"
"""Where the accounts of grants live, as the manifests make it; the policies name it too."""
TOKEN_SECONDS = 600
"""The shortest that the API server gives."""
REVIEW_SECONDS = 5.0
APPROVAL = "incident-resolver/approval"
RESOLUTION = "incident-resolver/resolution"
NAMESPACES = "incident-resolver/namespaces"
_MANAGED_BY = {"app.kubernetes.io/managed-by": "incident-resolver"}
_TOKEN = Kind("TokenRequest", "authentication.k8s.io/v1", "serviceaccounts/token")
_PROBE = "incident-resolver-probe"
_NEEDED = {
    "HorizontalPodAutoscaler": {
        "spec": {"maxReplicas": 1, "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": _PROBE}}
    }
}
"""What the API server asks of a new object before it asks the policies."""
_REVIEWED_NAMES = 20


def grant_name(approval_id: ApprovalId) -> str:
    """What everything of a grant is called: whoever knows the approval can find and delete it."""
    return f"p-{approval_id}"


@dataclass(frozen=True, slots=True)
class IssuedGrant:
    """A grant that stands in the cluster. `has_value_rules` is false where the cluster lets it write other values."""

    name: str
    token: str = field(repr=False)
    token_id: str
    expires_at: datetime
    namespaces: tuple[str, ...] = ()
    has_value_rules: bool = True


@dataclass(frozen=True, slots=True)
class StandingGrant:
    """What is left of a grant, by its account: the last thing of it that is deleted."""

    approval_id: ApprovalId
    resolution_id: ResolutionId
    namespaces: tuple[str, ...]


class GrantIssuer:
    """Makes and unmakes grants with the issuer's identity; `namespace` is where their accounts live."""

    def __init__(self, api: KubernetesApi, credentials: Credentials, *, namespace: str) -> None:
        self.api = api
        self.namespace = namespace
        self._credentials = credentials

    async def issue(self, approval_id: ApprovalId, resolution_id: ResolutionId, permit: Permit) -> IssuedGrant:
        """Account, Role, binding, token, and the API server's own word on what the token may and may not do.

        Objects that are others now than those approved are left out. NotAllowedError where the cluster does not let
        it, StaleError where nothing is left; then nothing of it stays.
        """
        wanted = await self._with_history(rights(await self._narrowed(permit)))
        if not wanted:
            raise StaleError("Nothing of what was approved is there any more; no credential was issued.")
        namespaces = tuple(sorted({one.namespace for one in wanted}))
        grant = StandingGrant(approval_id, resolution_id, namespaces)
        await self._make_account(grant)
        is_whole = False
        try:
            await self._make_rules(grant, wanted)
            granted = await self.renew(approval_id)
            has_value_rules = await self._reviewed(granted.token, wanted)
            if not has_value_rules and any(line.writes for line in permit.lines):
                raise _not_held()
            is_whole = True
        finally:
            if not is_whole:
                await asyncio.shield(self.revoke(approval_id))
        return replace(granted, namespaces=namespaces, has_value_rules=has_value_rules)

    async def renew(self, approval_id: ApprovalId) -> IssuedGrant:
        """A fresh token for a grant that stands."""
        name = grant_name(approval_id)
        body = {
            "apiVersion": _TOKEN.api_version,
            "kind": _TOKEN.name,
            "spec": {"expirationSeconds": TOKEN_SECONDS},
        }
        path = f"{kinds.SERVICE_ACCOUNT.path(self.namespace, name)}/token"
        answer = await self.api.send("POST", _TOKEN, path=path, namespace=self.namespace, body=body)
        status = answer.get("status") or {}
        try:
            token = str(status["token"])
            ends = datetime.fromisoformat(str(status["expirationTimestamp"]))
            return IssuedGrant(name, token, token_id_of(token), ends)
        except (KeyError, ValueError) as error:
            raise UnavailableError("The Kubernetes API answered a request for a token without one.") from error

    async def revoke(self, approval_id: ApprovalId) -> bool:
        """The bindings first: the next request after that is refused. False where nothing of it was left.

        NotAllowedError names the namespaces the issuer has no right in any more; then the token ends with its account,
        within ten seconds.
        """
        name = grant_name(approval_id)
        try:
            account = await self.api.get(kinds.SERVICE_ACCOUNT, self.namespace, name)
        except NotFoundError:
            return False
        refused = []
        for kind in (kinds.ROLE_BINDING, kinds.ROLE):
            for namespace in _namespaces_of(account):
                try:
                    await self._delete(kind, namespace, name)
                except NotAllowedError:
                    refused.append(f"{kind.name} {namespace}/{name}")
        await self._delete(kinds.SERVICE_ACCOUNT, self.namespace, name)
        if refused:
            raise NotAllowedError(f"The issuer may not delete {', '.join(refused)}; the account itself is deleted.")
        return True

    async def standing(self) -> list[StandingGrant]:
        """All grants that the cluster knows."""
        listed = await self.api.list(kinds.SERVICE_ACCOUNT, self.namespace, query=[("labelSelector", APPROVAL)])
        found = []
        for one in listed:
            metadata = one.get("metadata") or {}
            labels = metadata.get("labels") or {}
            approval_id = ApprovalId(str(labels.get(APPROVAL)))
            if metadata.get("name") == grant_name(approval_id):
                owner = ResolutionId(str(labels.get(RESOLUTION, "")))
                found.append(StandingGrant(approval_id, owner, _namespaces_of(one)))
        return found

    async def problem(self) -> str | None:
        """Why this identity cannot issue at all, with what to apply, None when it can."""
        needed = [("create", "serviceaccounts"), ("delete", "serviceaccounts"), ("create", "serviceaccounts/token")]
        try:
            for verb, resource in needed:
                if not await is_allowed_to(self.api, verb, ("", resource), namespace=self.namespace):
                    line = Kind("", "v1", resource).role_line(verb)
                    return f"the issuer may not issue in namespace {self.namespace}; add to its Role there: {line}"
            await self.api.list(kinds.SERVICE_ACCOUNT, self.namespace, limit=1)
            await self.api.get(kinds.NAMESPACE, None, self.namespace)
        except NotFoundError:
            return f"the namespace {self.namespace} is missing; apply manifests/grants-namespace.yaml"
        except NotAllowedError:
            return None  # the issuer need not read namespaces
        except ResolverError as error:
            return str(error)
        return None

    # --- parts ---------------------------------------------------------------------------------------------------

    async def _narrowed(self, permit: Permit) -> Permit:
        rules = [rule for rule in permit.rules if await self._is_there(rule.target)]
        lines = [line for line in permit.lines if all([await self._is_as_shown(one, line) for one in line.targets])]
        return replace(permit, rules=tuple(rules), lines=tuple(lines))

    async def _is_as_shown(self, target: Resource, line: PermittedLine) -> bool:
        """An object that the line makes must not be there yet."""
        return await self._is_there(target) is not (target.uid is None and bool(line.writes))

    async def _is_there(self, target: Resource) -> bool:
        """Whether it is the object that was approved. NotAllowedError where the ceiling does not cover it."""
        kind = KINDS.get(target.kind)
        if kind is None:
            raise NotAllowedError(f"No credential can be made for {target}.")
        try:
            live = await self.api.get(kind, target.namespace, target.name)
        except NotFoundError:
            return False
        except NotAllowedError as error:
            raise _not_bound(str(target.namespace), error) from error
        return target.uid in {None, (live.get("metadata") or {}).get("uid")}

    async def _with_history(self, wanted: Sequence[Right]) -> Sequence[Right]:
        """An undo may write the images of the object's own earlier revisions."""
        added = []
        for one in wanted:
            for named in one.names if one.resource == "revisions" else ():
                images = await self._images_of(one.namespace, *named.split("/", 1))
                names = tuple(f"{named}={image}" for image in sorted(images))
                added += [Right(one.namespace, VALUES_GROUP, "images", ("use",), names)] if names else []
        return merged([*wanted, *added])

    async def _images_of(self, namespace: str, resource: str, name: str) -> set[str]:
        kind = kinds.REPLICA_SET if resource == "deployments" else kinds.CONTROLLER_REVISION
        try:
            revisions = await self.api.list(kind, namespace)
        except NotAllowedError as error:
            raise _no_lists(namespace) from error
        found = set()
        for one in revisions:
            owner = owners.controller_of(one) or {}
            spec = (one.get("spec") if kind is kinds.REPLICA_SET else (one.get("data") or {}).get("spec")) or {}
            if owner.get("name") == name and f"{str(owner.get('kind')).lower()}s" == resource:
                containers = ((spec.get("template") or {}).get("spec") or {}).get("containers") or []
                found |= {str(one.get("image")) for one in containers}
        return found

    async def _make_account(self, grant: StandingGrant) -> None:
        """First, and with the names of the namespaces: what follows can be found by it. StaleError where it stands."""
        account = {"metadata": _metadata(grant), "automountServiceAccountToken": False}
        await self._create(kinds.SERVICE_ACCOUNT, self.namespace, account)

    async def _make_rules(self, grant: StandingGrant, wanted: Sequence[Right]) -> None:
        name, metadata = grant_name(grant.approval_id), _metadata(grant)
        subject = {"kind": "ServiceAccount", "name": name, "namespace": self.namespace}
        reference = {"apiGroup": kinds.ROLE.group, "kind": "Role", "name": name}
        for namespace, group in groupby(wanted, lambda one: one.namespace):
            try:
                role = {"metadata": metadata, "rules": [one.as_rule() for one in group]}
                await self._create(kinds.ROLE, namespace, role)
                binding = {"metadata": metadata, "roleRef": reference, "subjects": [subject]}
                await self._create(kinds.ROLE_BINDING, namespace, binding)
            except NotAllowedError as error:
                raise _not_bound(namespace, error) from error

    async def _create(self, kind: Kind, namespace: str, body: Mapping[str, object]) -> None:
        whole = {"apiVersion": kind.api_version, "kind": kind.name, **body}
        query = [("fieldManager", owners.FIELD_MANAGER), ("fieldValidation", "Strict")]
        path = kind.path(namespace)
        await self.api.send("POST", kind, path=path, namespace=namespace, query=query, body=whole)

    async def _delete(self, kind: Kind, namespace: str, name: str) -> None:
        with suppress(NotFoundError):
            await self.api.send("DELETE", kind, path=kind.path(namespace, name), namespace=namespace)

    async def _reviewed(self, token: str, wanted: Sequence[Right]) -> bool:
        """Whether values are held too. StepFailedError where it may less than asked, NotAllowedError where more."""
        async with self._as(token) as granted:
            await self._until_allowed(granted, wanted)
            await self._check_lists(granted, wanted)
            for group, resource, verb, namespace in _forbidden(wanted):
                if await is_allowed_to(granted, verb, (group, resource), namespace=namespace, name=_PROBE):
                    raise NotAllowedError(
                        f"The cluster allows a fresh credential to {verb} {resource} in namespace {namespace}, which "
                        "its Role does not name: another authorizer or binding allows too much, so it was not used."
                    )
            return await self._holds_values(granted, wanted)

    async def _until_allowed(self, granted: KubernetesApi, wanted: Sequence[Right]) -> None:
        loop = asyncio.get_running_loop()
        ends = loop.time() + REVIEW_SECONDS
        while True:
            missing = await self._missing(granted, wanted)
            if missing is None:
                return
            if loop.time() > ends:
                raise StepFailedError(f"The credential was issued, but the cluster does not let it {missing}.")
            await asyncio.sleep(0.1)

    async def _check_lists(self, granted: KubernetesApi, wanted: Sequence[Right]) -> None:
        """What kubectl lists before it undoes a rollout; no issued Role can hold a list without names."""
        for namespace in sorted({one.namespace for one in wanted if one.resource == "revisions"}):
            for kind in (kinds.REPLICA_SET, kinds.CONTROLLER_REVISION):
                if not await is_allowed_to(granted, "list", (kind.group, kind.resource), namespace=namespace):
                    raise _no_lists(namespace)

    async def _missing(self, granted: KubernetesApi, wanted: Sequence[Right]) -> str | None:
        for one in wanted:
            for verb in one.verbs:
                for name in one.names[:_REVIEWED_NAMES]:
                    what = (one.group, one.resource)
                    if not await is_allowed_to(granted, verb, what, namespace=one.namespace, name=name):
                        return f"{verb} {one.resource} {name}"
        return None

    async def _holds_values(self, granted: KubernetesApi, wanted: Sequence[Right]) -> bool:
        """Tries, as a dry run, a label that no approval allows; true where there is nothing to hold."""
        for one in wanted:
            if {"patch", "update"} & set(one.verbs) and await self._may_label(granted, one):
                return False
        return True

    async def _may_label(self, granted: KubernetesApi, right: Right) -> bool:
        """Of the first object of the right; a right that also makes it tries to make it so."""
        name = right.resource.partition("/")[0]
        kind = next(kind for kind in KINDS.values() if (kind.group, kind.resource) == (right.group, name))
        path = kind.path(right.namespace, right.names[0])
        query = [("dryRun", "All"), ("fieldManager", owners.FIELD_MANAGER)]
        body: dict[str, Any] = {"metadata": {"labels": {_PROBE: "x"}}}
        method = "PATCH"
        if "/" in right.resource:
            path, body = f"{path}/scale", {"spec": {"replicas": 2_000_000_000}}
        elif "create" in right.verbs:
            body["metadata"]["name"] = right.names[0]
            body |= {"apiVersion": kind.api_version, "kind": kind.name, **_NEEDED.get(kind.name, {})}
            method = "APPLY"
        elif "update" in right.verbs:
            method, body = "PUT", await granted.get(kind, right.namespace, right.names[0])
            body["metadata"]["labels"] = (body["metadata"].get("labels") or {}) | {_PROBE: "x"}
        try:
            await granted.send(method, kind, path=path, namespace=right.namespace, query=query, body=body)
        except NotAllowedError:
            return False
        return True

    @asynccontextmanager
    async def _as(self, token: str) -> AsyncIterator[KubernetesApi]:
        credentials = await self._credentials.with_token(token)
        async with kubernetes_client.ApiClient(credentials.configuration) as client:
            client.user_agent = owners.FIELD_MANAGER
            yield KubernetesApi(client)


def _metadata(grant: StandingGrant) -> dict[str, object]:
    labels = {**_MANAGED_BY, APPROVAL: grant.approval_id, RESOLUTION: grant.resolution_id}
    notes = {NAMESPACES: ",".join(grant.namespaces)}
    return {"name": grant_name(grant.approval_id), "labels": labels, "annotations": notes}


def _namespaces_of(account: Mapping[str, Any]) -> tuple[str, ...]:
    notes = (account.get("metadata") or {}).get("annotations") or {}
    return tuple(part for part in str(notes.get(NAMESPACES, "")).split(",") if part)


def token_id_of(token: str) -> str:
    """The `jti` of a token, by which the API server's audit log names it; ValueError where it has none."""
    payload = token.split(".")[1] if token.count(".") == 2 else ""  # noqa: PLR2004  a JWT has three parts
    claims = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    if not isinstance(claims, dict) or not claims.get("jti"):
        raise ValueError("a token without an id")
    return str(claims["jti"])


def _forbidden(wanted: Sequence[Right]) -> list[tuple[str, str, str, str]]:
    """(group, resource, verb, namespace) that must be refused: the same on an object of another name, and Secrets."""
    asked = [(one.group, one.resource, one.verbs[-1], one.namespace) for one in wanted]
    return [*asked, *(("", "secrets", "get", namespace) for namespace in sorted({one.namespace for one in wanted}))]


def _no_lists(namespace: str) -> NotAllowedError:
    return NotAllowedError(
        f"No rollout can be undone in namespace {namespace}: bind the ClusterRole incident-resolver-grant-reads there "
        "(manifests/grant-reads-role-binding.yaml)."
    )


def _not_held() -> NotAllowedError:
    return NotAllowedError(
        "The cluster does not hold a credential to the approved values, so none was issued for this line: apply "
        "manifests/grant-values-policy*.yaml and grant-objects-policy*.yaml (incident-resolver check tells more)."
    )


def _not_bound(namespace: str, error: NotAllowedError) -> NotAllowedError:
    return NotAllowedError(
        f"No credential could be issued for namespace {namespace}: {error} Bind the ClusterRole "
        "incident-resolver-issuer there (manifests/issuer-role-binding.yaml)."
    )
