"""The issuer process: reads approvals from the database and issues one credential for each. It sees nothing else."""

import asyncio
import json
import os
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path

import structlog
from aiohttp import web

from bot.settings import Settings
from core.cluster.client import open_cluster
from core.cluster.grants import STATUSES
from core.cluster.issuing import GRANTS_NAMESPACE, GrantIssuer, IssuedGrant
from core.cluster.posture import user_of
from core.cluster.runner import kubectl_path
from core.errors import InvalidInputError, NotAllowedError, ResolverError
from core.history import Happened
from core.resolution import ApprovalId
from storage.database import open_engine
from storage.grants import GrantRecords

log = structlog.get_logger()
SWEEP_SECONDS = 60.0
SECOND_LOOK_SECONDS = 3.0
"""An execution that just ended takes its own credential away; only what it left behind is swept."""
_MOST_BYTES = 10_000

Answer = dict[str, object]


@dataclass(frozen=True, slots=True)
class GrantDesk:
    """Takes an approval's id and nothing else: what is issued stands in the database, as people approved it."""

    records: GrantRecords
    issuer: GrantIssuer

    def routes(self) -> list[web.RouteDef]:
        asked: dict[str, Callable[[ApprovalId], Awaitable[Answer]]] = {
            "/issue": self.issue,
            "/renew": self.renew,
            "/revoke": self.revoke,
            "/status": self.status,
        }
        return [web.post(path, _endpoint(answer)) for path, answer in asked.items()]

    async def issue(self, approval_id: ApprovalId) -> Answer:
        """NotAllowedError, NotFoundError or StaleError where it may not be; what was made by then is gone again."""
        claim = await self.records.claim(approval_id)
        if refusal := claim.refusal():
            raise NotAllowedError(refusal)
        grant = await self.issuer.issue(approval_id, claim.approval.resolution_id, claim.approval.permit)
        is_told = False
        try:
            facts = _facts(grant) | {"namespaces": list(grant.namespaces), "has_value_rules": grant.has_value_rules}
            await self.records.record_issued(approval_id, facts)
            is_told = True
        finally:
            if not is_told:
                await asyncio.shield(self.issuer.revoke(approval_id))
        log.info("grant_issued", approval_id=approval_id, token_id=grant.token_id, held=grant.has_value_rules)
        return _answer(grant)

    async def renew(self, approval_id: ApprovalId) -> Answer:
        """A fresh token for an execution that outlives its first one and is still at work."""
        claim = await self.records.claim(approval_id)
        reason = claim.stop_reason() if claim.is_used else "No credential was issued for this approval."
        if reason is not None:
            raise NotAllowedError(reason)
        grant = await self.issuer.renew(approval_id)
        await self.records.record(Happened.GRANT_ISSUED, approval_id, _facts(grant) | {"is_renewal": True})
        return _answer(grant)

    async def revoke(self, approval_id: ApprovalId) -> Answer:
        """Works without the database: taking away is never held up."""
        is_found = await self.issuer.revoke(approval_id)
        if is_found:
            log.info("grant_revoked", approval_id=approval_id)
            await self._told(Happened.GRANT_REVOKED, approval_id)
        return {"is_found": is_found}

    async def status(self, _: ApprovalId) -> Answer:
        return {"problem": await self.issuer.problem(), "user": await user_of(self.issuer.api)}

    async def sweep(self) -> int:
        """Removes what executions left behind that are over, and says so; how many."""
        dead = await self._dead()
        if not dead:
            return 0
        await asyncio.sleep(SECOND_LOOK_SECONDS)
        left = dead & await self._dead()
        for one in sorted(left):
            problem = await self._removed(one)
            log.warning("grant_swept", approval_id=one, problem=problem)
            await self._told(Happened.GRANT_SWEPT, one, **({"problem": problem} if problem else {}))
        return len(left)

    async def _removed(self, approval_id: ApprovalId) -> str | None:
        try:
            await self.issuer.revoke(approval_id)
        except NotAllowedError as error:
            return str(error)
        return None

    async def keep_swept(self) -> None:
        """At the start and each minute, until cancelled."""
        while True:
            try:
                await self.sweep()
            except ResolverError as error:
                log.warning("grant_sweep_failed", error=str(error))
            await asyncio.sleep(SWEEP_SECONDS)

    async def _dead(self) -> set[ApprovalId]:
        standing = [one.approval_id for one in await self.issuer.standing()]
        return await self.records.over(standing) if standing else set()

    async def _told(self, what: Happened, approval_id: ApprovalId, **facts: object) -> None:
        try:
            await self.records.record(what, approval_id, facts)
        except ResolverError as error:
            log.warning("grant_not_recorded", what=what.value, approval_id=approval_id, error=str(error))


def _endpoint(answer: Callable[[ApprovalId], Awaitable[Answer]]) -> Callable[[web.Request], Awaitable[web.Response]]:
    async def endpoint(request: web.Request) -> web.Response:
        try:
            body = json.loads(await request.text())
            approval_id = ApprovalId(str(body["approval_id"]))
        except (ValueError, KeyError, TypeError):
            return _refusal(HTTPStatus.BAD_REQUEST, "The request names no approval.")
        try:
            return web.json_response(await answer(approval_id))
        except ResolverError as error:
            log.warning("grant_refused", path=request.path, approval_id=approval_id, error=str(error))
            return _refusal(STATUSES.get(type(error), HTTPStatus.SERVICE_UNAVAILABLE), str(error))

    return endpoint


def _refusal(status: int, told: str) -> web.Response:
    return web.json_response({"told": told}, status=status)


def _facts(grant: IssuedGrant) -> Answer:
    """For history and logs: never the token itself."""
    return {"account": grant.name, "token_id": grant.token_id, "expires_at": grant.expires_at.isoformat()}


def _answer(grant: IssuedGrant) -> Answer:
    return _facts(grant) | {"token": grant.token}


@asynccontextmanager
async def open_issuer(settings: Settings, *, socket: Path | None) -> AsyncIterator[GrantDesk]:
    """Answers while the block lasts: on a Unix socket for its owner alone, else by mutual TLS."""
    if settings.database_url is None:
        raise InvalidInputError("The issuer reads approvals from the service's database: set DATABASE_URL.")
    engine = open_engine(settings.database_url, pool_size=2)
    async with AsyncExitStack() as using:
        using.push_async_callback(engine.dispose)
        kubeconfig = settings.issuer_kubeconfig or settings.kubeconfig
        kubectl = kubectl_path(settings.kubectl_path)
        cluster = await using.enter_async_context(open_cluster(kubeconfig, kubectl=kubectl))
        issuer = GrantIssuer(cluster.api, cluster.credentials, namespace=GRANTS_NAMESPACE)
        desk = GrantDesk(GrantRecords(engine), issuer)
        app = web.Application(client_max_size=_MOST_BYTES)
        app.add_routes(desk.routes())
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        using.push_async_callback(runner.cleanup)
        await _listen(runner, settings, socket)
        yield desk


async def _listen(runner: web.AppRunner, settings: Settings, socket: Path | None) -> None:
    if socket is not None:
        with suppress(FileNotFoundError):
            await asyncio.to_thread(socket.unlink)
        before = os.umask(0o177)
        try:
            await web.UnixSite(runner, str(socket)).start()
        finally:
            os.umask(before)
        return
    host, _, port = (settings.issuer_listen or "").rpartition(":")
    if not host or not port.isdigit():
        raise InvalidInputError("Set INCIDENT_RESOLVER_ISSUER_LISTEN to HOST:PORT, or give --socket.")
    await web.TCPSite(runner, host.strip("[]"), int(port), ssl_context=_mutual_tls(settings)).start()


def _mutual_tls(settings: Settings) -> ssl.SSLContext:
    """Who has no certificate of the authority is not answered at all."""
    files = (settings.issuer_certificate, settings.issuer_key, settings.issuer_ca)
    if None in files:
        raise InvalidInputError(
            "On the network the issuer answers by mutual TLS only: set INCIDENT_RESOLVER_ISSUER_CERTIFICATE, "
            "INCIDENT_RESOLVER_ISSUER_KEY and INCIDENT_RESOLVER_ISSUER_CA."
        )
    certificate, key, authority = (str(one) for one in files)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.verify_mode = ssl.CERT_REQUIRED
    try:
        context.load_cert_chain(certificate, key)
        context.load_verify_locations(authority)
    except (OSError, ssl.SSLError) as error:
        raise InvalidInputError("The certificate files of the issuer cannot be used; they must be PEM.") from error
    return context
