"""The Neo4j graph: what depends on what, past incidents, and where a resolution that ended is written back.

The schema is in docs/graph.md.
"""

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, LiteralString
from urllib.parse import urlsplit

import neo4j
from neo4j.exceptions import AuthError, ConfigurationError, DriverError, Neo4jError

from core.errors import InvalidInputError, UnavailableError
from core.findings import Finding, SourceAnswer
from core.overview import Overview
from core.redaction import redact
from core.resolution import Request, State
from core.resources import Resource

OFF = "NEO4J_URI is not set"
LIMIT = 50
SECONDS = 10.0
_FAILED = (State.FAILED.value, State.ROLLED_BACK.value, State.ROLLBACK_FAILED.value)

RESOURCES: LiteralString = """
MATCH (r:Resource {namespace: $namespace})
RETURN r.kind AS kind, r.name AS name LIMIT 500
"""
NEIGHBOURS: LiteralString = """
MATCH (r:Resource {namespace: $namespace}) WHERE r.name IN $names
MATCH (other:Resource)-[:DEPENDS_ON]->(r)
RETURN 'dependant' AS side, r.name AS of, other.kind AS kind, other.name AS name, other.namespace AS namespace
LIMIT $limit
UNION
MATCH (r:Resource {namespace: $namespace}) WHERE r.name IN $names
MATCH (r)-[:DEPENDS_ON]->(other:Resource)
RETURN 'dependency' AS side, r.name AS of, other.kind AS kind, other.name AS name, other.namespace AS namespace
LIMIT $limit
"""
INCIDENTS: LiteralString = """
MATCH (i:Incident)-[:AFFECTED]->(r:Resource {namespace: $namespace}) WHERE r.name IN $names
RETURN DISTINCT i.id AS id, i.action_type AS action_type, i.status AS status, i.summary AS summary,
       toString(i.ended_at) AS ended_at, i.ended_at > datetime() - duration('P7D') AS is_recent
ORDER BY ended_at DESC LIMIT $limit
"""
REMEMBER: LiteralString = """
MERGE (i:Incident {id: $id})
SET i.action_type = $action_type, i.status = $status, i.summary = $summary, i.description = $description,
    i.risk_level = $risk_level, i.client_id = $client_id, i.event_id = $event_id, i.ended_at = datetime($ended_at)
WITH i UNWIND $resources AS wanted
MERGE (r:Resource {kind: wanted.kind, name: wanted.name, namespace: wanted.namespace})
MERGE (i)-[:AFFECTED]->(r)
"""


class Graph:
    """A source and the memory of what ended. Without a driver it is off."""

    name = "graph"

    def __init__(self, driver: neo4j.AsyncDriver | None) -> None:
        self._driver = driver

    @property
    def off_reason(self) -> str | None:
        return OFF if self._driver is None else None

    async def look(self, request: Request) -> SourceAnswer:
        """Neighbours and past incidents of the resources that the request names, else of its namespace's."""
        known = await self._read(RESOURCES, namespace=request.namespace)
        names = _wanted([str(row["name"]) for row in known], request)
        if not names:
            return SourceAnswer()
        place: dict[str, Any] = {"namespace": request.namespace, "names": names, "limit": LIMIT}
        neighbours = await self._read(NEIGHBOURS, **place)
        incidents = await self._read(INCIDENTS, **place)
        findings = [*_neighbour_findings(neighbours), *_incident_findings(incidents)]
        dependants = tuple(
            Resource(str(row["kind"]), str(row["name"]), row["namespace"])
            for row in neighbours
            if row["side"] == "dependant"
        )
        failed = sum(
            1
            for row in incidents
            if row["is_recent"] and row["status"] in _FAILED and row["action_type"] == request.action_type.value
        )
        return SourceAnswer(findings=tuple(findings), dependants=dependants, failed_before=failed)

    async def remember(self, overview: Overview) -> None:
        """Writes the end once; writing it again changes nothing more."""
        if self._driver is None:
            return
        resolution = overview.resolution
        affected = overview.assessment.affected if overview.assessment else ()
        values = {
            "id": resolution.id,
            "action_type": resolution.request.action_type.value,
            "status": resolution.state.value,
            "summary": redact(resolution.summary or "")[:2_000],
            "description": redact(resolution.request.action_description)[:2_000],
            "risk_level": overview.assessment.level.value if overview.assessment else None,
            "client_id": resolution.request.client_id,
            "event_id": resolution.request.event_id,
            "ended_at": resolution.updated_at.isoformat(),
            "resources": [
                {"kind": one.kind, "name": one.name, "namespace": one.namespace or ""}
                for one in affected
                if one.kind != "Pod"
            ],
        }
        await self._run(REMEMBER, neo4j.RoutingControl.WRITE, values)

    async def _read(self, cypher: LiteralString, **values: object) -> list[neo4j.Record]:
        return await self._run(cypher, neo4j.RoutingControl.READ, values)

    async def _run(
        self, cypher: LiteralString, routing: neo4j.RoutingControl, values: dict[str, Any]
    ) -> list[neo4j.Record]:
        if self._driver is None:
            raise UnavailableError(OFF)
        try:
            async with asyncio.timeout(SECONDS):
                found = await self._driver.execute_query(neo4j.Query(cypher, timeout=SECONDS), values, routing_=routing)
        except AuthError as error:
            raise UnavailableError("Neo4j refuses NEO4J_USER or NEO4J_PASSWORD.") from error
        except (Neo4jError, DriverError, OSError, TimeoutError) as error:
            raise UnavailableError(f"Neo4j does not answer ({type(error).__name__}).") from error
        return list(found.records)


@asynccontextmanager
async def open_graph(uri: str | None, *, user: str, password: str) -> AsyncIterator[Graph]:
    """Off without a URI. InvalidInputError where it is no address of a graph; nothing is asked yet."""
    if uri is None:
        yield Graph(None)
        return
    if urlsplit(uri).scheme not in {"bolt", "bolt+s", "bolt+ssc", "neo4j", "neo4j+s", "neo4j+ssc"}:
        raise InvalidInputError("NEO4J_URI must be a bolt:// or neo4j:// address.", field="NEO4J_URI")
    try:
        driver = neo4j.AsyncGraphDatabase.driver(
            uri,
            auth=(user, password),
            connection_timeout=5.0,
            max_transaction_retry_time=5.0,
            notifications_min_severity="OFF",
            telemetry_disabled=True,
        )
    except (ConfigurationError, ValueError) as error:
        raise InvalidInputError(f"NEO4J_URI cannot be used: {error}", field="NEO4J_URI") from error
    async with driver:
        yield Graph(driver)


def _wanted(known: list[str], request: Request) -> list[str]:
    """Those the description names as whole words; where it names none, all."""
    text = f"{request.action_description} {request.event_id or ''}".lower()
    named = [one for one in known if re.search(rf"(?<![a-z0-9.-]){re.escape(one.lower())}(?![a-z0-9-])", text)]
    return sorted(set(named or known))[:LIMIT]


def _neighbour_findings(rows: list[neo4j.Record]) -> list[Finding]:
    lines = [
        f"{row['kind']} {row['namespace']}/{row['name']} depends on {row['of']}"
        if row["side"] == "dependant"
        else f"{row['of']} depends on {row['kind']} {row['namespace']}/{row['name']}"
        for row in rows
    ]
    return [Finding("graph", f"{len(lines)} dependencies", "\n".join(lines))] if lines else []


def _incident_findings(rows: list[neo4j.Record]) -> list[Finding]:
    lines = [f"{row['ended_at']}: {row['action_type']} {row['status']}: {str(row['summary'])[:300]}" for row in rows]
    return [Finding("graph", f"{len(lines)} past incidents", "\n".join(lines))] if lines else []
