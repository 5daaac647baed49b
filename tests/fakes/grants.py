"""Grants in memory: who was issued what, in order, and what was taken away."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from core.errors import ResolverError
from core.grants import Commands, Grant
from core.permit import PermittedLine, Write
from core.resolution import ApprovalId
from core.risk_levels import RiskLevel
from core.snapshot import Touched


@dataclass
class FakeGrants:
    """`refusal` is raised instead of issuing, `unheld` for every line; `is_silent` lets nothing be taken away."""

    commands: Commands
    refusal: ResolverError | None = None
    is_silent: ResolverError | None = None
    unheld: ResolverError | None = None
    told: list[str] = field(default_factory=list)

    async def issue(self, approval_id: ApprovalId, risk: RiskLevel) -> Grant:
        self.told.append(f"issued {approval_id}")
        if self.refusal is not None:
            raise self.refusal
        return Grant(approval_id, self.commands)

    def held(self, line: PermittedLine, touched: Sequence[Touched]) -> PermittedLine:
        if self.unheld is not None:
            raise self.unheld
        return replace(line, writes=tuple(Write(one.target, "whole", "as tried") for one in touched))

    async def revoke(self, approval_id: ApprovalId) -> None:
        self.told.append(f"revoked {approval_id}")
        if self.is_silent is not None:
            raise self.is_silent
