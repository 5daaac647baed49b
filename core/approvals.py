"""ApprovalEngine: who must be asked, for how long, who may answer, and which answer counts. Pure."""

import re
from dataclasses import dataclass, field
from datetime import datetime

from core.actor import Actor
from core.approval import Answer, Approval, ApprovalState
from core.assessment import RiskAssessment
from core.errors import NotAllowedError, StaleError
from core.policy.policy import DEFAULT_POLICY, Policy
from core.resolution import Person, Request, Resolution
from core.risk_levels import RiskLevel

HOW_TO_SET = (
    "Nobody may approve yet: set INCIDENT_RESOLVER_APPROVERS (Slack ids, group ids or `channel`, by commas) or "
    "people.approvers in the policy."
)
_APPROVER = re.compile(r"channel|(slack:[A-Z0-9]+/)?[UW][A-Z0-9]+|S[A-Z0-9]+")
_WORDS = {
    ApprovalState.APPROVED: "approved",
    ApprovalState.REJECTED: "rejected",
    ApprovalState.EXPIRED: "expired",
    ApprovalState.CANCELLED: "cancelled",
}


@dataclass(frozen=True, slots=True)
class ApprovalEngine:
    """Decides by settings and policy; holds no state of its own. One approval is enough, one rejection ends it."""

    default_timeout_seconds: float = 300
    approvers: tuple[str, ...] = ()
    policy: Policy = field(default=DEFAULT_POLICY)
    auto_rollback: bool = False

    @property
    def all_approvers(self) -> tuple[str, ...]:
        return (*self.approvers, *self.policy.approvers)

    def needs_person(self, assessment: RiskAssessment, request: Request, *, caller: Person) -> bool:
        """LOW passes by itself; `auto_approve` counts only where policy lets this caller, never above MEDIUM."""
        if assessment.level is RiskLevel.LOW:
            return False
        if assessment.level > RiskLevel.MEDIUM or not request.auto_approve:
            return True
        return not any(
            one.lets(caller.id, caller.name, request.action_type, request.namespace)
            for one in self.policy.auto_approvals
        )

    def timeout_seconds(self, level: RiskLevel) -> float:
        return self.policy.timeouts_seconds.get(level, self.default_timeout_seconds)

    def rolls_back_by_itself(self, request: Request) -> bool:  # noqa: ARG002  policy may come to look at it
        return self.auto_rollback if self.policy.auto_rollback is None else self.policy.auto_rollback

    def why_nobody(self) -> str | None:
        """How to set approvers, where none are set."""
        return None if self.all_approvers else HOW_TO_SET

    def why_not_these(self) -> str | None:
        """Which of the approvers name nobody, such as a person's name in place of an id; None where there are none."""
        unknown = [one for one in self.all_approvers if not _APPROVER.fullmatch(one)]
        if not unknown:
            return None
        named = ", ".join(repr(one[:40]) for one in unknown[:10])
        return (
            f"Nobody may approve by the name of {named}: approvers are Slack ids (U… or W…, on a person's profile: "
            "Copy member ID), group ids (S…) or `channel`."
        )

    def check_approver(self, actor: Actor) -> None:
        """NotAllowedError unless this person may answer questions. Guests and bots never may."""
        if actor.is_approver:
            return
        if not actor.is_full_member:
            raise NotAllowedError("Only full members of this workspace may approve or reject.")
        if not self.all_approvers:
            raise NotAllowedError(HOW_TO_SET)
        own = {actor.person.id, actor.person.id.rsplit("/", 1)[-1], *actor.groups}
        if "channel" not in self.all_approvers and not own & set(self.all_approvers):
            raise NotAllowedError("You are not among the approvers (INCIDENT_RESOLVER_APPROVERS, people.approvers).")

    def check_requester(self, resolution: Resolution, answer: Answer) -> None:
        """NotAllowedError where policy wants somebody else than the requester to approve."""
        is_own = resolution.requested_by.id == answer.by.id
        if answer.is_approval and is_own and not self.policy.may_requesters_approve:
            raise NotAllowedError("The policy wants somebody else than the requester to approve.")

    def judge_answer(self, approval: Approval, answer: Answer, *, actor: Actor, now: datetime) -> None:
        """StaleError when the question has ended or changed; NotAllowedError when this person may not answer."""
        if approval.state is not ApprovalState.PENDING:
            raise StaleError(_already(approval))
        if now >= approval.deadline:
            raise StaleError(f"The question expired at {approval.deadline:%H:%M:%S} UTC; ask again.")
        is_named = answer.digest is not None
        is_revised = approval.permit.revision > 1 and not approval.is_further_plan  # that one is as it was first put
        if answer.digest != approval.permit.digest and (is_named or is_revised):
            raise StaleError(f"The plan has changed, look again. The digest is {approval.permit.digest} now.")
        if answer.is_approval and approval.permit.policy_version != self.policy.version:
            raise StaleError("The policy has changed since this was asked; reject it, and ask again under the new one.")
        self.check_approver(actor)


def _already(approval: Approval) -> str:
    at = f" at {approval.decided_at:%Y-%m-%d %H:%M:%S} UTC" if approval.decided_at else ""
    if approval.state is ApprovalState.EXPIRED:
        return f"Nobody answered in time: the question expired{at}. It can be asked again."
    who = approval.decided_by.name if approval.decided_by else "the service"
    why = f", because: {approval.reason}" if approval.reason else ""
    return f"This was already {_WORDS[approval.state]} by {who}{at}{why}."
