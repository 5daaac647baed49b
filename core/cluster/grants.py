"""The client of the issuer process: asks for a grant, runs its commands with it, and has it taken away."""

import ssl
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from http import HTTPStatus
from pathlib import Path
from typing import Any

import aiohttp

from core.cluster.kubeconfig import Credentials
from core.cluster.runner import Runner
from core.errors import NotAllowedError, NotFoundError, ResolverError, StaleError, StepFailedError, UnavailableError
from core.grants import Grant
from core.permit import PermittedLine
from core.ports import Clock, CommandResult
from core.resolution import ApprovalId
from core.rights import held_line
from core.risk_levels import RiskLevel
from core.snapshot import Touched

SECONDS = 15.0
FRESH_FOR = timedelta(seconds=120)
"""A token that ends sooner than this is replaced before a command starts."""
_ERRORS: dict[int, type[ResolverError]] = {
    HTTPStatus.FORBIDDEN: NotAllowedError,
    HTTPStatus.NOT_FOUND: NotFoundError,
    HTTPStatus.CONFLICT: StaleError,
    HTTPStatus.UNPROCESSABLE_ENTITY: StepFailedError,
}
STATUSES = {error: status for status, error in _ERRORS.items()}
"""How the issuer says what went wrong; anything else is "does not answer"."""


@dataclass(frozen=True, slots=True)
class IssuerAddress:
    """Where the issuer answers: `socket` of a child process, or `url` with the files of mutual TLS."""

    socket: Path | None = None
    url: str = "http://issuer"
    certificate: Path | None = None
    key: Path | None = None
    authority: Path | None = None

    def connector(self) -> aiohttp.BaseConnector:
        """UnavailableError where the files cannot be used."""
        if self.socket is not None:
            return aiohttp.UnixConnector(path=str(self.socket))
        if self.certificate is None or self.key is None or self.authority is None:
            raise UnavailableError("The issuer is reached by mutual TLS only: its three certificate files are needed.")
        try:
            context = ssl.create_default_context(cafile=str(self.authority))
            context.minimum_version = ssl.TLSVersion.TLSv1_3
            context.load_cert_chain(self.certificate, self.key)
        except (OSError, ssl.SSLError) as error:
            raise UnavailableError("The certificate files for the issuer cannot be used.") from error
        return aiohttp.TCPConnector(ssl=context)


@dataclass(frozen=True, slots=True)
class IssuerStatus:
    """Who the issuer is to the API server, None where nobody says, and why it cannot issue, None when it can."""

    user: str | None
    problem: str | None


@dataclass(slots=True)
class Token:
    """The credential of one grant, in memory only."""

    value: str = field(repr=False)
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class IssuerClient:
    """Implements core.grants.Grants. `credentials` say how to reach the cluster; `runner` is the kubectl."""

    address: IssuerAddress
    credentials: Credentials
    runner: Runner
    clock: Clock

    async def issue(self, approval_id: ApprovalId, risk: RiskLevel) -> Grant:  # noqa: ARG002  the approval says it all
        token = _token(await self._ask("issue", approval_id))
        return Grant(approval_id, GrantedCommands(self, approval_id, token))

    async def renew(self, approval_id: ApprovalId) -> Token:
        return _token(await self._ask("renew", approval_id))

    async def revoke(self, approval_id: ApprovalId) -> None:
        await self._ask("revoke", approval_id)

    def held(self, line: PermittedLine, touched: Sequence[Touched]) -> PermittedLine:
        return held_line(line, touched)

    async def status(self) -> IssuerStatus:
        """A fault where it does not answer is a problem like any other."""
        try:
            answer = await self._ask("status", None)
        except ResolverError as error:
            return IssuerStatus(None, str(error))
        user, problem = answer.get("user"), answer.get("problem")
        return IssuerStatus(str(user) if user else None, str(problem) if problem else None)

    async def _ask(self, what: str, approval_id: ApprovalId | None) -> dict[str, Any]:
        try:
            async with (
                aiohttp.ClientSession(
                    connector=self.address.connector(), timeout=aiohttp.ClientTimeout(total=SECONDS), trust_env=False
                ) as http,
                http.post(f"{self.address.url}/{what}", json={"approval_id": approval_id}) as answer,
            ):
                body = await answer.json()
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
            raise UnavailableError(
                f"The issuer of credentials does not answer ({type(error).__name__}); without it nothing is changed."
            ) from error
        if answer.status == HTTPStatus.OK and isinstance(body, dict):
            return body
        told = str(body.get("told", "")) if isinstance(body, dict) else ""
        raise _ERRORS.get(answer.status, UnavailableError)(told or "The issuer of credentials failed.")


@dataclass(frozen=True, slots=True)
class GrantedCommands:
    """kubectl with the grant's token, which is replaced in time: an execution may outlive one."""

    client: IssuerClient
    approval_id: ApprovalId
    token: Token = field(repr=False)

    async def run(
        self, stages: tuple[tuple[str, ...], ...], *, folder: Path, seconds: float, namespace: str
    ) -> CommandResult:
        if self.token.expires_at - self.client.clock() < FRESH_FOR:
            fresh = await self.client.renew(self.approval_id)
            self.token.value, self.token.expires_at = fresh.value, fresh.expires_at
        credentials = await self.client.credentials.with_token(self.token.value)
        kubeconfig = credentials.for_kubectl(namespace)
        return await self.client.runner.run(stages, kubeconfig=kubeconfig, folder=folder, seconds=seconds)


def _token(answer: dict[str, Any]) -> Token:
    try:
        return Token(str(answer["token"]), datetime.fromisoformat(str(answer["expires_at"])))
    except (KeyError, ValueError) as error:
        raise UnavailableError("The issuer answered without a credential.") from error
