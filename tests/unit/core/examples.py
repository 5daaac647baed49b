"""The smallest whole values the tests of core speak about; every test changes only what it is about."""

import datetime
from datetime import UTC

from core.assessment import RiskAssessment
from core.effects import Change
from core.permit import Permit, PermitRule
from core.resolution import ActionType, Person, Request, Resolution, ResolutionId, State
from core.resources import PodState, Resource, Workload
from core.risk_levels import RiskLevel

NOW = datetime.datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
LATER = NOW + datetime.timedelta(minutes=10)
ANNA = Person("slack:T1/U1", "Anna")
BEN = Person("slack:T1/U2", "Ben")
WEB = Resource("Deployment", "web", "shop", "apps/v1", "uid-web")
WEB_1 = Resource("Pod", "web-1", "shop", "v1", "uid-web-1")


def request(action: ActionType = ActionType.POD_RESTART, **given) -> Request:
    return Request(
        **{"client_id": "loc-01", "namespace": "shop", "action_description": "it fails"} | given, action_type=action
    )


def pod(name: str, *, is_ready: bool = True, reason: str = "", restarts: int = 0) -> PodState:
    return PodState(
        Resource("Pod", name, "shop"), "Running", reason, restarts, is_ready=is_ready, node="node-1", controller=WEB
    )


def workload(name: str = "web", *, kind: str = "Deployment", desired: int = 3, ready: int = 3, **given) -> Workload:
    return Workload(Resource(kind, name, "shop", "apps/v1", f"uid-{name}"), desired, ready, **given)


def resolution(action: ActionType = ActionType.POD_RESTART, **given) -> Resolution:
    return Resolution(
        **{
            "id": ResolutionId("r-1"),
            "request": request(action),
            "requested_by": ANNA,
            "state": State.EXECUTING,
            "created_at": NOW,
            "updated_at": NOW,
        }
        | given
    )


def permit(*rules: PermitRule, **given) -> Permit:
    return Permit(
        **{
            "action_type": ActionType.POD_RESTART,
            "cluster": "uid-cluster",
            "namespace": "shop",
            "rules": rules or (PermitRule(Change.DELETE_POD, WEB_1),),
            "highest_risk": RiskLevel.MEDIUM,
            "token_limit": 100_000,
            "ends_at": LATER,
        }
        | given
    )


def assessment(level: RiskLevel = RiskLevel.MEDIUM) -> RiskAssessment:
    return RiskAssessment(level, (), "", (), ())
