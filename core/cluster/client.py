"""KubernetesCluster: the port Cluster on the real API and the real kubectl."""

import tempfile
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from kubernetes.aio import client as kubernetes_client

from core import owners
from core.cluster import discovery, inventory, kinds
from core.cluster.access import is_allowed_to
from core.cluster.api import KubernetesApi, Query
from core.cluster.kinds import KINDS, Kind
from core.cluster.kubeconfig import Credentials, load_credentials
from core.cluster.runner import Runner, Tool
from core.cluster.targets import resolve_targets
from core.cluster.touching import Ask, Finder
from core.effects import Judged
from core.errors import InvalidInputError, NotAllowedError, NotFoundError, StepFailedError
from core.helm_releases import Release
from core.ports import CommandResult
from core.redaction import redact
from core.resources import Resource, Workload
from core.snapshot import Manifest, Touched

HELM_SECONDS = 120.0
TRY_SECONDS = 60.0


@asynccontextmanager
async def open_cluster(
    kubeconfig: Path | None,
    *,
    kubectl: Path,
    helm: Path | None = None,
    tools: Mapping[str, Tool] | None = None,
    seconds_per_request: float = 15.0,
) -> AsyncIterator["KubernetesCluster"]:
    """One identity's cluster, for as long as the block lasts.

    `kubeconfig` None means the service account of the pod it runs in. `kubectl` is an absolute path
    (`runner.kubectl_path`), `helm` one that undo may use, or None; `tools` are those of rule R11 that are configured.
    InvalidInputError where the kubeconfig cannot be used; nothing is asked of the API yet.
    """
    async with open_as(
        await load_credentials(kubeconfig), kubectl=kubectl, helm=helm, tools=tools, seconds=seconds_per_request
    ) as one:
        yield one


@asynccontextmanager
async def open_as(
    credentials: Credentials,
    *,
    kubectl: Path,
    helm: Path | None = None,
    tools: Mapping[str, Tool] | None = None,
    seconds: float = 15.0,
) -> AsyncIterator["KubernetesCluster"]:
    """The cluster as this identity sees it, for as long as the block lasts; its kubectl has a HOME of its own."""
    with tempfile.TemporaryDirectory(prefix="incident-resolver-home-") as home:
        try:
            client = kubernetes_client.ApiClient(credentials.configuration)
        except OSError as error:  # ssl.SSLError too: it reads the certificate files
            raise InvalidInputError(
                "The kubeconfig cannot be used: its certificates or key are not valid PEM files.", field="KUBECONFIG"
            ) from error
        client.user_agent = owners.FIELD_MANAGER
        async with client:
            api = KubernetesApi(client, seconds_per_request=seconds)
            yield KubernetesCluster(api, credentials, Runner(kubectl, home=Path(home), helm=helm, tools=tools))


class KubernetesCluster:
    """Reads and writes objects through one ApiClient, and runs judged commands with the same identity."""

    def __init__(self, api: KubernetesApi, credentials: Credentials, runner: Runner) -> None:
        self.api = api
        self.credentials = credentials
        self.runner = runner

    @property
    def name(self) -> str:
        """What the kubeconfig calls the cluster."""
        return self.credentials.kubeconfig.cluster_name

    async def uid(self) -> str | None:
        """The uid of kube-system, which names a cluster for good; None where it may not be read (403)."""
        try:
            found = await self.api.get(kinds.NAMESPACE, None, "kube-system")
        except (NotAllowedError, NotFoundError):
            return None
        uid = (found.get("metadata") or {}).get("uid")
        return str(uid) if uid else None

    async def workload(self, resource: Resource) -> Workload | None:
        namespace = resource.namespace or "default"
        if await self.read(resource) is None:
            return None
        seen = await inventory.read_inventory(self.api, namespace)
        wanted = replace(resource, namespace=namespace)
        for one in inventory.workloads(seen):
            if one.resource == wanted:
                return one
            for pod in one.pods:
                if pod.resource == wanted:
                    return Workload(wanted, 1, int(pod.is_ready), is_stateful=one.is_stateful, pods=(pod,))
        return None

    async def read(self, resource: Resource) -> Manifest | None:
        try:
            kind = await self._kind(resource.kind, resource.api_version)
            return await self.api.get(kind, resource.namespace, resource.name)
        except NotFoundError:
            return None

    async def check_kept(self, resource: Resource) -> None:
        kind = await self._kind(resource.kind, resource.api_version)
        again = "create" if kind == kinds.POD else "update"
        for verb in ("get", again):
            where = resource.namespace if kind.is_namespaced else None
            if not await is_allowed_to(self.api, verb, (kind.group, kind.resource), namespace=where):
                raise NotAllowedError(
                    f"{resource} could not be put back: the identity that keeps snapshots may not {verb} "
                    f"{kind.resource} there. Add to its Role: {kind.role_line(verb)}"
                )

    async def resolve(self, judged: Judged) -> tuple[Resource, ...]:
        return await resolve_targets(self.api, judged, self)

    async def create(self, manifest: Manifest, *, is_dry_run: bool) -> Manifest:
        kind, namespace, _ = await self._named(manifest)
        path = kind.path(namespace)
        return await self.api.send(
            "POST", kind, path=path, namespace=namespace, query=_writing(is_dry_run=is_dry_run), body=manifest
        )

    async def replace(self, manifest: Manifest, *, is_dry_run: bool) -> Manifest:
        kind, namespace, name = await self._named(manifest)
        if not (manifest.get("metadata") or {}).get("resourceVersion"):
            raise InvalidInputError(
                f"{kind.name} {name} cannot be replaced without the resourceVersion it was read at."
            )
        path = kind.path(namespace, name)
        return await self.api.send(
            "PUT", kind, path=path, namespace=namespace, query=_writing(is_dry_run=is_dry_run), body=manifest
        )

    async def replace_status(self, manifest: Manifest) -> Manifest:
        kind, namespace, name = await self._named(manifest)
        path = f"{kind.path(namespace, name)}/status"
        query = _writing(is_dry_run=False)
        return await self.api.send("PUT", kind, path=path, namespace=namespace, query=query, body=manifest)

    async def listed(self, kind: str, namespace: str | None) -> Sequence[Manifest]:
        try:
            return await self.api.list(await self._kind(kind, ""), namespace)
        except NotAllowedError:
            return ()

    async def objects_of_release(self, release: Release) -> Sequence[Manifest]:
        return await discovery.objects_of_release(self, release)

    async def touched_by_deletion(self, resource: Resource) -> Sequence[Manifest]:
        return await discovery.touched_by_deletion(self.api, resource)

    async def touched(self, judged: Judged, *, folder: Path, namespace: str) -> Sequence[Touched]:
        return await Finder(self.api, self, self.asking(judged, folder=folder, namespace=namespace)).find(
            judged, namespace
        )

    def asking(self, judged: Judged, *, folder: Path, namespace: str) -> Ask:
        """Runs lines that change nothing, to find out about `judged`."""
        is_secret = bool(judged.kinds & {"Secret", "unknown", "unread"})

        async def ask(argv: tuple[str, ...]) -> str:
            kubeconfig = self.credentials.for_kubectl(namespace)
            done = await self.runner.ask(argv, kubeconfig=kubeconfig, folder=folder, seconds=TRY_SECONDS)
            if done.exit_code != 0:
                why = "the answer may quote a Secret and is kept back" if is_secret else redact(done.output[-500:])
                raise StepFailedError(f"The API server refuses it in a dry run: {why.strip()}")
            return done.output

        return ask

    async def delete(self, resource: Resource, *, is_dry_run: bool) -> None:
        if not resource.uid:
            raise InvalidInputError(f"{resource} cannot be deleted without the uid it was seen with.")
        kind = await self._kind(resource.kind, resource.api_version)
        options = {
            "kind": "DeleteOptions",
            "apiVersion": "v1",
            "propagationPolicy": "Background",
            "preconditions": {"uid": resource.uid},
        } | ({"dryRun": ["All"]} if is_dry_run else {})
        path = kind.path(resource.namespace, resource.name)
        query = [("dryRun", "All")] if is_dry_run else []
        try:
            await self.api.send("DELETE", kind, path=path, namespace=resource.namespace, query=query, body=options)
        except NotFoundError:
            return

    async def roll_release_back(self, release: Release) -> None:
        line = ("rollback", release.name, str(release.revision), "-n", release.namespace)
        kubeconfig = self.credentials.for_kubectl(release.namespace)
        done = await self.runner.run_helm(line, kubeconfig=kubeconfig, seconds=HELM_SECONDS)
        if done.exit_code != 0:
            raise StepFailedError(f"helm refused to roll {release.name} back: {redact(done.output[-500:])}")

    async def run(
        self, stages: tuple[tuple[str, ...], ...], *, folder: Path, seconds: float, namespace: str
    ) -> CommandResult:
        kubeconfig = self.credentials.for_kubectl(namespace)
        return await self.runner.run(stages, kubeconfig=kubeconfig, folder=folder, seconds=seconds)

    async def _named(self, manifest: Manifest) -> tuple[Kind, str | None, str]:
        metadata = manifest.get("metadata") or {}
        kind = await self._kind(str(manifest.get("kind", "")), str(manifest.get("apiVersion", "")))
        name, namespace = metadata.get("name"), metadata.get("namespace")
        if not name or (kind.is_namespaced and not namespace):
            raise InvalidInputError(f"The {kind.name} to be written has no name or no namespace.")
        return kind, namespace, str(name)

    async def _kind(self, name: str, api_version: str) -> Kind:
        known = KINDS.get(name)
        if known is not None and api_version in {"", known.api_version}:
            return known
        if not api_version:
            raise InvalidInputError(f"The kind {name or '(none)'} is not known here without its apiVersion.")
        served = await self._served(api_version)
        for one in served:
            if one.get("kind") == name and "/" not in str(one.get("name", "/")):
                return Kind(name, api_version, str(one["name"]), is_namespaced=one.get("namespaced") is True)
        raise NotFoundError(f"The Kubernetes API does not serve {name} in {api_version}.")

    async def _served(self, api_version: str) -> list[dict[str, Any]]:
        root = f"/apis/{api_version}" if "/" in api_version else f"/api/{api_version}"
        discovery = Kind("APIResourceList", api_version, "resources", is_namespaced=False)
        try:
            answer = await self.api.send("GET", discovery, path=root, namespace=None)
        except NotFoundError:
            return []
        return [one for one in answer.get("resources") or [] if isinstance(one, dict)]


def _writing(*, is_dry_run: bool) -> Query:
    dry = [("dryRun", "All")] if is_dry_run else []
    return [*dry, ("fieldManager", owners.FIELD_MANAGER), ("fieldValidation", "Strict")]
