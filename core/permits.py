"""Permits from action type and affected workloads: every object by name, no target no permit. Pure."""

import json
import re
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from math import ceil

from core.assessment import RiskAssessment
from core.effects import Change
from core.findings import IncidentContext
from core.permit import Permit, PermitRule, Precondition
from core.policy.policy import Policy
from core.resolution import ActionType, Request
from core.resources import Resource, Workload
from core.risk_levels import RiskLevel

_WORKLOADS = frozenset({"Deployment", "StatefulSet", "DaemonSet"})
_SCALABLE = frozenset({"Deployment", "StatefulSet"})
_RISK = {
    Change.DELETE_POD: RiskLevel.MEDIUM,
    Change.RESTART: RiskLevel.MEDIUM,
    Change.UNDO: RiskLevel.MEDIUM,
    Change.SET_IMAGE: RiskLevel.MEDIUM,
    Change.SCALE: RiskLevel.HIGH,
}


def make_permit(
    request: Request,
    context: IncidentContext,
    assessment: RiskAssessment,
    policy: Policy,
    *,
    ends_at: datetime,
    cluster: str,
) -> Permit | None:
    """None where there is nothing to name; an investigation's permit has no rules and needs no target."""
    rules = tuple(rule for one in context.affected for rule in _rules(request.action_type, one, policy))
    if not rules and request.action_type is not ActionType.INVESTIGATION:
        return None
    highest = max([RiskLevel.LOW, *(_RISK[rule.change] for rule in rules)])
    return Permit(
        action_type=request.action_type,
        cluster=cluster,
        namespace=request.namespace,
        rules=rules,
        highest_risk=max(highest, assessment.level) if rules else RiskLevel.LOW,
        token_limit=request.token_limit,
        ends_at=ends_at,
        policy_version=policy.version,
    )


def _rules(action: ActionType, workload: Workload, policy: Policy) -> list[PermitRule]:
    match action:
        case ActionType.POD_RESTART:
            return _restart_rules(workload)
        case ActionType.CONFIG_FIX:
            return _config_rules(workload)
        case ActionType.RESOURCE_SCALE:
            return _scale_rules(workload, policy)
        case ActionType.INVESTIGATION:
            return []


def _restart_rules(workload: Workload) -> list[PermitRule]:
    failing = [pod.resource for pod in workload.pods if not pod.is_ready or pod.reason]
    rules = [PermitRule(Change.DELETE_POD, pod) for pod in failing]
    if workload.resource.kind in _WORKLOADS:
        rules.append(PermitRule(Change.RESTART, workload.resource))
    elif workload.resource.kind == "Pod" and not failing:
        rules.append(PermitRule(Change.DELETE_POD, workload.resource))
    return rules


def _config_rules(workload: Workload) -> list[PermitRule]:
    if workload.resource.kind not in _WORKLOADS:
        return []
    rules = [PermitRule(Change.RESTART, workload.resource)]
    if workload.image_history:
        now = _images_now(workload)
        rules.insert(
            0, PermitRule(Change.SET_IMAGE, workload.resource, images=workload.image_history, preconditions=now)
        )
        rules.insert(1, PermitRule(Change.UNDO, workload.resource, preconditions=now))
    return rules


def _scale_rules(workload: Workload, policy: Policy) -> list[PermitRule]:
    if workload.resource.kind not in _SCALABLE:
        return []
    now = (Precondition(workload.resource, ("spec", "replicas"), str(workload.desired_replicas)),)
    return [PermitRule(Change.SCALE, workload.resource, replicas=replica_bounds(workload, policy), preconditions=now)]


def _images_now(workload: Workload) -> tuple[Precondition, ...]:
    """The images as the workload's own template has them."""
    return tuple(
        Precondition(workload.resource, ("spec", "template", "spec", "containers", name, "image"), json.dumps(image))
        for name, image in workload.images
    )


def replica_bounds(workload: Workload, policy: Policy) -> tuple[int, int]:
    """Never to nothing; up to the policy's factor (at least two more), inside an autoscaler's range."""
    now = max(workload.desired_replicas, 1)
    low, high = 1, max(ceil(now * policy.scale_factor), now + 2)
    if workload.hpa_range is not None:
        low, high = max(low, workload.hpa_range[0]), max(min(high, workload.hpa_range[1]), workload.hpa_range[0])
    return low, high


def choose_affected(request: Request, workloads: Sequence[Workload]) -> tuple[Workload, ...]:
    """The workloads a request is about: those its text names (or whose pod it names), else the failing ones.

    A named one that is healthy is chosen too: the caller knows what they ask for. Where pods of a workload are named,
    the others of its pods are left out.
    """
    text = f"{request.action_description} {request.event_id or ''}".lower()
    named = [found for one in workloads if (found := _named(one, text)) is not None]
    chosen = named or [one for one in workloads if one.is_failing]
    return tuple(sorted(chosen, key=lambda one: one.resource))


def _named(workload: Workload, text: str) -> Workload | None:
    pods = tuple(pod for pod in workload.pods if _mentions(text, pod.resource))
    if pods:
        return replace(workload, pods=pods)
    return workload if _mentions(text, workload.resource) else None


def _mentions(text: str, resource: Resource) -> bool:
    """The name as a whole word: `web` is not named by `web-1` or `cobweb`."""
    return re.search(rf"(?<![a-z0-9.-]){re.escape(resource.name.lower())}(?![a-z0-9-]|\.[a-z0-9])", text) is not None
