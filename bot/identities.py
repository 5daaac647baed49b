"""The four identities and who issues credentials: one of the composition roots, used by `serve` and `check`."""

import asyncio
import os
import signal
import sys
import tempfile
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import structlog

from bot.service import Part
from bot.settings import Settings, issuer_environment
from core.cluster.access import Access, review_access
from core.cluster.at_work import ClusterAtWork
from core.cluster.client import KubernetesCluster, open_cluster
from core.cluster.grants import IssuerAddress, IssuerClient, IssuerStatus
from core.cluster.issuing import GRANTS_NAMESPACE, GrantIssuer
from core.cluster.posture import Posture, policy_gaps, user_of
from core.cluster.runner import helm_path, kubectl_path, tools_of
from core.dying import dying_with_us
from core.errors import UnavailableError
from core.grants import Enforcement, Grants, ReadyMade
from core.ports import Clock
from core.risk_levels import RiskLevel

log = structlog.get_logger()
START_SECONDS = 30.0
STOP_SECONDS = 5.0
AGAIN_SECONDS = 1.0
LOOK_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class Identities:
    """`own` is KUBECONFIG's: what is not set separately, and changes where nobody issues credentials.

    `by_risk` are those ready made for changes of one level each, empty where none is set.
    """

    own: KubernetesCluster
    reader: KubernetesCluster
    preview: KubernetesCluster
    keeper: KubernetesCluster
    by_risk: Mapping[RiskLevel, KubernetesCluster]


@asynccontextmanager
async def open_identities(settings: Settings) -> AsyncIterator[Identities]:
    """InvalidInputError where a kubeconfig cannot be used, or there is no kubectl."""
    kubectl, helm = kubectl_path(settings.kubectl_path), helm_path(settings.helm_path)
    tools = tools_of(settings.tool_paths, argocd=settings.argocd_environment)
    opened: dict[Path | None, KubernetesCluster] = {}
    async with AsyncExitStack() as using:

        async def identity(path: Path | None) -> KubernetesCluster:
            chosen = path or settings.kubeconfig
            if chosen not in opened:
                cluster = open_cluster(chosen, kubectl=kubectl, helm=helm, tools=tools)
                opened[chosen] = await using.enter_async_context(cluster)
            return opened[chosen]

        reader = await identity(settings.reader_kubeconfig)
        preview = await identity(settings.preview_kubeconfig)
        keeper = await identity(settings.keeper_kubeconfig)
        own = await identity(None) if _needs_own(settings) else reader
        by_risk = {level: await identity(path) for level, path in _ready_made(settings).items()}
        yield Identities(own, reader, preview, keeper, by_risk)


def _ready_made(settings: Settings) -> dict[RiskLevel, Path]:
    """Nothing but what is issued is ever used for changes, once somebody issues."""
    given = {
        RiskLevel.MEDIUM: settings.medium_kubeconfig,
        RiskLevel.HIGH: settings.high_kubeconfig,
        RiskLevel.CRITICAL: settings.critical_kubeconfig,
    }
    return {} if settings.is_issuing else {level: path for level, path in given.items() if path is not None}


def _needs_own(settings: Settings) -> bool:
    has_others = settings.is_issuing or bool(_ready_made(settings))
    return settings.kubeconfig is not None or settings.reader_kubeconfig is None or not has_others


@dataclass(frozen=True, slots=True)
class Ways:
    """Into the cluster: whoever reads, keeps and issues, and what of it must run beside the service.

    `client` is None where nobody issues credentials; `told` is what the cluster enforces, in sentences.
    """

    identities: Identities
    grants: Grants
    told: tuple[str, ...]
    client: IssuerClient | None = None
    parts: tuple[Part, ...] = ()

    @property
    def reader(self) -> KubernetesCluster:
        return self.identities.reader

    @property
    def preview(self) -> KubernetesCluster:
        return self.identities.preview

    @property
    def keeper(self) -> KubernetesCluster:
        return self.identities.keeper

    def at_work(self, namespaces: tuple[str, ...]) -> ClusterAtWork:
        """What an execution works on; snapshots in these namespaces only."""
        one = self.identities
        return ClusterAtWork(one.reader, one.preview, one.keeper, namespaces)


@asynccontextmanager
async def open_ways(settings: Settings, *, database_url: str, clock: Clock) -> AsyncIterator[Ways]:
    """The identities and the issuer's client, its process started where it is a child of this one.

    Once an issuer is set, nothing but what it issues is ever used for changes; where none is, KUBECONFIG's identity is.
    """
    async with open_identities(settings) as identities:
        if not settings.is_issuing:
            ready_made = ReadyMade(identities.own, identities.by_risk)
            yield Ways(identities, ready_made, await _told_at_start(identities))
            return
        if settings.issuer_url is not None:
            client = _client_by_url(settings, settings.issuer_url, identities, clock)
            yield Ways(identities, client, await _told_at_start(identities, client), client)
            return
        with tempfile.TemporaryDirectory(prefix="ir-issuer-") as folder:
            socket = Path(folder) / "socket"
            child = IssuerChild(socket, issuer_environment(settings, database_url=database_url))
            reader = identities.reader
            client = IssuerClient(IssuerAddress(socket), reader.credentials, reader.runner, clock)
            try:
                await child.start()
                told = await _told_at_start(identities, client)
                yield Ways(identities, client, told, client, (child.keep_running,))
            finally:
                await child.stop()


@dataclass(slots=True)
class IssuerChild:
    """The issuer as a process below this one; started again when it dies, and it dies with this one."""

    socket: Path
    environment: Mapping[str, str]
    process: asyncio.subprocess.Process | None = None

    async def start(self) -> None:
        """Returns once it listens; UnavailableError where it ends or takes longer than half a minute."""
        program = [sys.executable, "-m", "bot", "issuer", "--socket", str(self.socket)]
        self.process = await asyncio.create_subprocess_exec(
            *await asyncio.to_thread(dying_with_us, program),
            stdin=asyncio.subprocess.DEVNULL,
            env=dict(self.environment),
            start_new_session=True,
        )
        try:
            async with asyncio.timeout(START_SECONDS):
                while not await asyncio.to_thread(self.socket.exists):
                    if self.process.returncode is not None:
                        raise UnavailableError("The issuer of credentials ended at its start; the log says why.")
                    await asyncio.sleep(0.05)
        except TimeoutError as error:
            raise UnavailableError(f"The issuer of credentials did not start in {START_SECONDS:g} s.") from error

    async def keep_running(self) -> None:
        """Until cancelled."""
        while True:
            if self.process is not None:
                code = await self.process.wait()
                log.error("issuer_ended", exit_code=code)
            await asyncio.sleep(AGAIN_SECONDS)
            await asyncio.to_thread(self.socket.unlink, missing_ok=True)
            try:
                await self.start()
                log.info("issuer_started_again")
            except UnavailableError as error:
                log.warning("issuer_not_started", error=str(error))

    async def stop(self) -> None:
        if self.process is None or self.process.returncode is not None:
            return
        self.process.terminate()
        try:
            async with asyncio.timeout(STOP_SECONDS):
                await self.process.wait()
        except TimeoutError:
            os.killpg(self.process.pid, signal.SIGKILL)
            await self.process.wait()


async def posture_of(identities: Identities, issuer: IssuerStatus | None) -> Posture:
    """What the cluster enforces, asked of it; UnavailableError where it does not answer."""
    named = {"reader": identities.reader, "preview": identities.preview, "keeper": identities.keeper}
    own = identities.own
    if issuer is None and identities.by_risk:
        return await _posture_by_risk(named, identities.by_risk)
    if issuer is None and all(each is own for each in named.values()):
        return Posture(Enforcement.ONE_IDENTITY, dict.fromkeys([*named, "changes"], "KUBECONFIG"))
    users = {name: await user_of(each.api) for name, each in named.items()}
    if issuer is None:
        users["changes"] = await user_of(own.api)
        is_apart = own is not identities.reader and users["changes"] != users["reader"]
        return Posture(Enforcement.READY_MADE if is_apart else Enforcement.ONE_IDENTITY, users)
    users["issuer"] = issuer.user
    gaps = await policy_gaps(identities.reader.api, users=users)
    problem = (f"nothing can be issued now, so nothing is changed: {issuer.problem}",) if issuer.problem else ()
    return Posture(Enforcement.NAMES if gaps else Enforcement.VALUES, users, (*gaps, *problem))


async def _posture_by_risk(
    named: Mapping[str, KubernetesCluster], by_risk: Mapping[RiskLevel, KubernetesCluster]
) -> Posture:
    levels = [RiskLevel.MEDIUM, RiskLevel.HIGH, RiskLevel.CRITICAL]
    every = {**named, **{f"{level.value} changes": cluster for level, cluster in by_risk.items()}}
    users = {name: await user_of(each.api) for name, each in every.items()}
    gaps = [
        f"{level.value} changes are refused: INCIDENT_RESOLVER_{level.value}_KUBECONFIG is not set"
        for level in levels
        if level not in by_risk
    ]
    return Posture(Enforcement.BY_RISK, users, tuple(gaps))


async def _issuer_itself(settings: Settings) -> IssuerStatus:
    """Without its process, for `check`."""
    async with open_cluster(settings.issuer_kubeconfig, kubectl=kubectl_path(settings.kubectl_path)) as cluster:
        issuer = GrantIssuer(cluster.api, cluster.credentials, namespace=GRANTS_NAMESPACE)
        return IssuerStatus(await user_of(cluster.api), await issuer.problem())


def _client_by_url(settings: Settings, url: str, identities: Identities, clock: Clock) -> IssuerClient:
    files = (settings.issuer_certificate, settings.issuer_key, settings.issuer_ca)
    address = IssuerAddress(None, url.rstrip("/"), *files)
    return IssuerClient(address, identities.reader.credentials, identities.reader.runner, clock)


async def _told_at_start(identities: Identities, client: IssuerClient | None = None) -> tuple[str, ...]:
    """A cluster that does not answer holds no start up."""
    try:
        async with asyncio.timeout(LOOK_SECONDS):
            issuer = await client.status() if client is not None else None
            return (await posture_of(identities, issuer)).told()
    except (UnavailableError, TimeoutError):
        return ("the cluster did not answer, so what it enforces is not known; incident-resolver check asks again",)


@dataclass(frozen=True, slots=True)
class ClusterState:
    """What `check` tells of the cluster: its name, its uid where it may be read, rights and enforcement."""

    name: str
    uid: str | None
    reads: Access
    changes: Access | None
    """Of the one identity that changes; None where somebody issues, or each level has its own."""
    posture: Posture


async def cluster_state(settings: Settings, clock: Clock, *, namespace: str | None) -> ClusterState:
    async with open_identities(settings) as identities:
        reads = await review_access(identities.reader.api, namespace=namespace)
        changes = None
        if not settings.is_issuing and not identities.by_risk:
            is_same = identities.own is identities.reader
            changes = reads if is_same else await review_access(identities.own.api, namespace=namespace)
        issuer = None
        if settings.issuer_url is not None:
            issuer = await _client_by_url(settings, settings.issuer_url, identities, clock).status()
        elif settings.is_issuing:
            issuer = await _issuer_itself(settings)
        found = await posture_of(identities, issuer)
        return ClusterState(identities.reader.name, await identities.reader.uid(), reads, changes, found)
