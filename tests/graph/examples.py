"""Requests and ends of resolutions, and a small graph."""

import uuid
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import neo4j

from core.assessment import RiskAssessment
from core.overview import Overview
from core.resolution import ActionType, Person, Request, Resolution, ResolutionId, State
from core.resources import Resource
from core.risk_levels import RiskLevel
from core.usage import Usage

WEB = Resource("Deployment", "web", "shop")
CHECKOUT = Resource("Deployment", "checkout", "shop")
ORDERS = Resource("StatefulSet", "orders", "data")
NOW = datetime.now(UTC)


def asked(text: str, *, action: ActionType = ActionType.POD_RESTART, namespace: str = "shop") -> Request:
    return Request("loc-01", namespace, action, text)


def ended(
    *affected: Resource,
    state: State = State.COMPLETED,
    request: Request | None = None,
    summary: str = "Restarted.",
    days_ago: float = 0,
) -> Overview:
    at = NOW - timedelta(days=days_ago)
    resolution = Resolution(
        id=ResolutionId(str(uuid.uuid4())),
        request=request or asked("Restart checkout"),
        requested_by=Person("key:ci", "ci"),
        state=state,
        created_at=at,
        updated_at=at,
        summary=summary,
    )
    assessment = RiskAssessment(RiskLevel.MEDIUM, (), "", (), affected)
    return Overview(resolution=resolution, usage=Usage(), assessment=assessment)


def in_state(overview: Overview, state: State) -> Overview:
    return replace(overview, resolution=replace(overview.resolution, state=state))


async def load(cypher: neo4j.AsyncDriver, *depends: tuple[Resource, Resource]) -> None:
    """Each pair: the first depends on the second."""
    rows = [[_key(one), _key(other)] for one, other in depends]
    await cypher.execute_query(
        "UNWIND $rows AS row"
        " MERGE (a:Resource {kind: row[0].kind, name: row[0].name, namespace: row[0].namespace})"
        " MERGE (b:Resource {kind: row[1].kind, name: row[1].name, namespace: row[1].namespace})"
        " MERGE (a)-[:DEPENDS_ON]->(b)",
        {"rows": rows},
    )


async def counted(cypher: neo4j.AsyncDriver, pattern: str) -> int:
    found = await cypher.execute_query(f"MATCH {pattern} RETURN count(*) AS number")
    return int(found.records[0]["number"])


def _key(resource: Resource) -> dict[str, str]:
    return {"kind": resource.kind, "name": resource.name, "namespace": resource.namespace or ""}
