"""Grants: what one execution may use in the cluster, issued for its approval and gone at its end."""

import enum
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Protocol

from typing_extensions import override

from core.approval import Approval, ApprovalState, Subject
from core.errors import NotAllowedError, ResolverError
from core.permit import Permit, PermittedLine
from core.ports import CommandResult
from core.resolution import ApprovalId, State
from core.risk_levels import RiskLevel
from core.snapshot import Touched


class Commands(Protocol):
    """Runs judged argument vectors with one identity, as `core.ports.Cluster.run` describes."""

    async def run(
        self, stages: tuple[tuple[str, ...], ...], *, folder: Path, seconds: float, namespace: str
    ) -> CommandResult: ...


@dataclass(frozen=True, slots=True)
class Grant:
    """What an execution runs its changes with. It is used only while the execution holds its lease."""

    approval_id: ApprovalId
    commands: Commands


class Grants(Protocol):
    """Who issues credentials; UnavailableError when it does not answer, and then nothing is changed."""

    async def issue(self, approval_id: ApprovalId, risk: RiskLevel) -> Grant:
        """A credential that allows exactly what this approval says; each approval has one, once.

        `risk` is the highest that the approval covers, for those who only tell levels apart. NotAllowedError,
        NotFoundError or StaleError say why there is none.
        """

    async def revoke(self, approval_id: ApprovalId) -> None:
        """The next request with the credential is refused. Nothing happens where there is none."""

    def held(self, line: PermittedLine, touched: Sequence[Touched]) -> PermittedLine:
        """The line as people are asked about it, with the values that its credential will be held to.

        `touched` is what it would do by a dry run. NotAllowedError where no credential could be held to it, whoever
        approves it.
        """


class Enforcement(enum.Enum):
    """Who holds an execution to its permit beside the gate. The value is how people are told."""

    VALUES = "the API server holds every execution to its approval: names, verbs and the values it writes"
    NAMES = "the API server holds every execution to the approved names and verbs, not to the values it writes"
    READY_MADE = "changes run with a ready-made identity: the API server knows its kinds and namespaces, no approval"
    BY_RISK = "changes run with a ready-made identity for each risk level: the API server knows its verbs, no approval"
    ONE_IDENTITY = "one identity does everything: no approval is enforced by the API server, only by the gate"

    @override
    def __str__(self) -> str:
        return self.value


@dataclass(frozen=True, slots=True)
class ReadyMade:
    """The fallback without an issuer: identities that are there for every execution, and nobody can take away.

    `by_risk` holds one for each level; a level that is not among them is refused. Where it is empty, `commands` are
    everybody's.
    """

    commands: Commands
    by_risk: Mapping[RiskLevel, Commands] = field(default_factory=dict)

    async def issue(self, approval_id: ApprovalId, risk: RiskLevel) -> Grant:
        if not self.by_risk:
            return Grant(approval_id, self.commands)
        level = max(risk, RiskLevel.MEDIUM)
        if level not in self.by_risk:
            raise NotAllowedError(
                f"There is no ready-made identity for {level.value} changes: set "
                f"INCIDENT_RESOLVER_{level.value}_KUBECONFIG, or have a person make them."
            )
        return Grant(approval_id, self.by_risk[level])

    async def revoke(self, approval_id: ApprovalId) -> None:
        """There is nothing to revoke."""

    def held(self, line: PermittedLine, touched: Sequence[Touched]) -> PermittedLine:  # noqa: ARG002
        """It is held to nothing, so nothing is refused."""
        return line


@dataclass(frozen=True, slots=True)
class NoChanges:
    """What an execution without any permitted change has: every line above LOW is refused here too."""

    async def run(
        self,
        stages: tuple[tuple[str, ...], ...],  # noqa: ARG002  nothing is run
        *,
        folder: Path,  # noqa: ARG002
        seconds: float,  # noqa: ARG002
        namespace: str,  # noqa: ARG002
    ) -> CommandResult:
        raise NotAllowedError("This execution has no credential for changes.")


@dataclass(frozen=True, slots=True)
class NoGrants:
    """What work that only reads has: whoever would ask it for a credential hears no."""

    async def issue(self, approval_id: ApprovalId, risk: RiskLevel) -> Grant:  # noqa: ARG002
        raise NotAllowedError(f"No credential is issued here for approval {approval_id}.")

    async def revoke(self, approval_id: ApprovalId) -> None:
        """There is nothing to revoke."""

    def held(self, line: PermittedLine, touched: Sequence[Touched]) -> PermittedLine:  # noqa: ARG002
        raise NotAllowedError(f"No credential is issued here for {line.line}")


@asynccontextmanager
async def granted(grants: Grants, approval_id: ApprovalId | None, permit: Permit) -> AsyncIterator[Commands]:
    """What an execution inside this permit makes its changes with: issued on entering, taken away at every end."""
    if not (permit.rules or permit.lines) or approval_id is None:
        yield NoChanges()
        return
    try:
        grant = await grants.issue(approval_id, permit.highest_risk)
        yield grant.commands
    finally:
        await taken_away(grants, approval_id)


async def taken_away(grants: Grants, approval_id: ApprovalId | None) -> str:
    """The kill switch; a sentence where it could not be done now, "" where it was. What is left over is swept later."""
    try:
        if approval_id is not None:
            await grants.revoke(approval_id)
    except ResolverError:
        return " Its credential could not be taken away yet; it ends by itself within ten minutes."
    return ""


@dataclass(frozen=True, slots=True)
class Claim:
    """What the database knows, in one look, of an approval that a credential is asked for.

    `digest` is the one that people's answers are bound to; `is_used` whether a credential was issued for it before;
    `is_held` whether a living worker holds the resolution; `is_stopping` whether somebody asked to interrupt.
    """

    approval: Approval
    digest: str
    is_used: bool
    state: State
    is_held: bool
    is_stopping: bool
    now: datetime

    def refusal(self) -> str | None:
        """Why no credential may be issued, None where one may."""
        match self.approval.state:
            case ApprovalState.APPROVED:
                pass
            case state:
                return f"The approval is {state.value}, not approved."
        if self.approval.subject is Subject.ROLLBACK:
            return "A rollback is not done with an execution's credential."
        if self.approval.permit.digest != self.digest:
            return "The stored permit is not the one that was approved: its digest differs."
        if not (self.approval.permit.rules or self.approval.permit.lines):
            return "The approval allows no change."
        if self.is_used:
            return "A credential was issued for this approval before; each approval has one, once."
        if self.now > self.approval.permit.ends_at:
            return "The approval has expired."
        return self.stop_reason()

    def stop_reason(self) -> str | None:
        """Why a credential that was issued may not be used any more."""
        if self.state is not State.EXECUTING:
            return f"The resolution is {self.state.value}; credentials are for executions."
        if not self.is_held:
            return "No living worker holds the resolution."
        if self.is_stopping:
            return "Somebody asked to interrupt the resolution."
        return None
