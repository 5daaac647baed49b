"""RiskAssessor: how dangerous a request is, from its action type and what the context shows. Pure."""

from core import losses
from core.assessment import RiskAssessment
from core.findings import IncidentContext
from core.policy.policy import ACTION_RISK_MAP, Policy
from core.resolution import ActionType, Request
from core.resources import SYSTEM_NAMESPACES, Resource, Workload
from core.risk_levels import RiskLevel

MANY = 3


class RiskAssessor:
    """Assesses by a policy. A model may raise a level, never lower it."""

    def __init__(self, policy: Policy) -> None:
        self._policy = policy

    def assess(self, request: Request, context: IncidentContext) -> RiskAssessment:
        return assess(request, context, self._policy)


def assess(request: Request, context: IncidentContext, policy: Policy) -> RiskAssessment:
    """Every factor is a sentence with its number; each can only raise the level. An investigation stays LOW."""
    affected = affected_resources(request, context)
    base = max(policy.actions[request.action_type], ACTION_RISK_MAP[request.action_type])
    raised = [
        *_place(request, policy),
        *_workloads(context),
        *_losses(request, context),
        *_surroundings(context),
        *_gaps(context),
    ]
    level = base
    if request.action_type is not ActionType.INVESTIGATION:
        level = max([base, *(least for _, least in raised)])
    factors = (f"{_ACTION_WORDS[request.action_type]} is {base.value} by itself", *(sentence for sentence, _ in raised))
    return RiskAssessment(
        level=level,
        factors=factors,
        estimated_impact=_impact(level, len(affected)),
        mitigation_steps=_mitigation(request),
        affected=affected,
        policy_version=policy.version,
    )


def affected_resources(request: Request, context: IncidentContext) -> tuple[Resource, ...]:
    """By name: for a restart the pods that would be restarted, otherwise the workloads."""
    if request.action_type is not ActionType.POD_RESTART:
        return tuple(one.resource for one in context.affected)
    return tuple(resource for one in context.affected for resource in restart_targets(one))


def restart_targets(workload: Workload) -> tuple[Resource, ...]:
    """The failing pods, or where none is failing the workload itself."""
    failing = tuple(pod.resource for pod in workload.pods if not pod.is_ready or pod.reason)
    return failing or (workload.resource,)


Factor = tuple[str, RiskLevel]


def _place(request: Request, policy: Policy) -> list[Factor]:
    factors: list[Factor] = []
    if request.namespace in SYSTEM_NAMESPACES:
        factors.append((f"System namespace ({request.namespace})", RiskLevel.CRITICAL))
    if policy.is_production(request.namespace):
        factors.append((f"Production namespace ({request.namespace})", RiskLevel.HIGH))
    return factors


def _workloads(context: IncidentContext) -> list[Factor]:
    factors: list[Factor] = []
    count = len(context.affected)
    if count > 1:
        level = RiskLevel.CRITICAL if count > MANY else RiskLevel.HIGH
        factors.append((f"Multiple resources affected ({count})", level))
    for one in context.affected:
        name = str(one.resource)
        if one.is_stateful:
            factors.append((f"{name} is stateful ({one.desired_replicas} replica(s) with data)", RiskLevel.HIGH))
        if one.desired_replicas == 1:
            factors.append((f"{name} has a single replica: 1 of 1 will be away", RiskLevel.MEDIUM))
        if one.disruptions_allowed is not None and one.disruptions_allowed <= 0:
            factors.append((f"The disruption budget of {name} allows 0 more disruptions", RiskLevel.HIGH))
        if one.hpa_range is not None:
            low, high = one.hpa_range
            factors.append((f"An autoscaler keeps {name} between {low} and {high} replicas", RiskLevel.MEDIUM))
        if one.managed_by is not None:
            factors.append((f"{name} is managed by {one.managed_by}, which may undo 1 manual change", RiskLevel.MEDIUM))
    return factors


def _losses(request: Request, context: IncidentContext) -> list[Factor]:
    """What undo could not bring back, said before the question is put."""
    found = [loss for one in context.affected for loss in losses.of_request(request.action_type, one)]
    return [(loss.sentence, loss.level) for loss in found]


def _surroundings(context: IncidentContext) -> list[Factor]:
    factors: list[Factor] = []
    if context.dependants:
        level = RiskLevel.HIGH if len(context.dependants) > MANY else RiskLevel.MEDIUM
        factors.append((f"{len(context.dependants)} resource(s) depend on what is affected", level))
    if context.nodes_not_ready:
        factors.append((f"{len(context.nodes_not_ready)} node(s) are not ready", RiskLevel.MEDIUM))
    if context.failed_before:
        level = RiskLevel.HIGH if context.failed_before > 1 else RiskLevel.MEDIUM
        factors.append((f"{context.failed_before} resolution(s) of this kind failed here in the last 7 days", level))
    return factors


def _gaps(context: IncidentContext) -> list[Factor]:
    missing = [gap for gap in context.gaps if not gap.is_off]
    if not missing:
        return []
    names = ", ".join(gap.source for gap in missing)
    return [(f"{len(missing)} source(s) did not answer, facts are missing: {names}", RiskLevel.HIGH)]


_ACTION_WORDS = {
    ActionType.POD_RESTART: "Restarting pods",
    ActionType.CONFIG_FIX: "Changing a configuration",
    ActionType.RESOURCE_SCALE: "Scaling",
    ActionType.INVESTIGATION: "An investigation",
}


def _impact(level: RiskLevel, count: int) -> str:
    match level:
        case RiskLevel.LOW:
            return "No impact - nothing is changed"
        case RiskLevel.MEDIUM:
            return f"Moderate impact - temporary disruption to {count} resource(s)"
        case RiskLevel.HIGH:
            return f"High impact - disruption to {count} resource(s) and what depends on them"
        case RiskLevel.CRITICAL:
            return f"Critical impact - {count} resource(s) and possibly the whole cluster"


def _mitigation(request: Request) -> tuple[str, ...]:
    if request.action_type is ActionType.INVESTIGATION:
        return ("Read only", "Report findings")
    steps = ["Create rollback snapshot", "Change one object at a time", "Monitor health"]
    if request.action_type is ActionType.RESOURCE_SCALE:
        steps.insert(1, "Stay inside the replica bounds of the approval")
    return tuple(steps)
