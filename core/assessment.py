"""RiskAssessment: how dangerous a resolution is, and why."""

from dataclasses import dataclass

from core.resources import Resource
from core.risk_levels import RiskLevel


@dataclass(frozen=True, slots=True)
class RiskAssessment:
    """Every factor is a sentence with its number. `affected` names what may be changed, controllers and pods."""

    level: RiskLevel
    factors: tuple[str, ...]
    estimated_impact: str
    mitigation_steps: tuple[str, ...]
    affected: tuple[Resource, ...]
    policy_version: str = "default"
