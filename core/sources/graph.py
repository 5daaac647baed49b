"""The Neo4j graph: what depends on what, past incidents, and where a resolution that ended is written back.

The schema is in docs/graph.md.
"""

import asyncio
import re
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any, LiteralString
from urllib.parse import urlsplit

import neo4j
from neo4j.exceptions import AuthError, DriverError, Neo4jError

from core.errors import InvalidInputError, UnavailableError
from core.findings import Finding, SourceAnswer
from core.overview import Overview
from core.redaction import redact
from core.resolution import Request, State
from core.resources import Resource
from core.sources.quoting import in_one_line, quoted

OFF = "NEO4J_URI is not set"
LIMIT = 50
SECONDS = 10.0
FAILED = (State.FAILED.value, State.ROLLED_BACK.value, State.ROLLBACK_FAILED.value)
"""The ends that count as failed before; the store counts the same ones."""
_SCHEMES = frozenset({"bolt", "bolt+s", "bolt+ssc", "neo4j", "neo4j+s", "neo4j+ssc"})
_WORD = re.compile(r"[a-z0-9](?:[a-z0-9.-]{0,251}[a-z0-9])?")

NAMED: LiteralString = """
MATCH (r:Resource {namespace: $namespace}) WHERE r.name IN $words
RETURN DISTINCT r.name AS name ORDER BY name LIMIT $limit
"""
ALL: LiteralString = """
MATCH (r:Resource {namespace: $namespace})
RETURN DISTINCT r.name AS name ORDER BY name LIMIT $limit
"""
DEPENDANTS: LiteralString = """
MATCH (other:Resource)-[:DEPENDS_ON]->(r:Resource {namespace: $namespace}) WHERE r.name IN $names
RETURN DISTINCT r.kind AS of_kind, r.name AS of_name, other.kind AS kind, other.name AS name,
       other.namespace AS namespace
ORDER BY of_name, of_kind, namespace, name, kind LIMIT $limit
"""
DEPENDENCIES: LiteralString = """
MATCH (r:Resource {namespace: $namespace})-[:DEPENDS_ON]->(other:Resource) WHERE r.name IN $names
RETURN DISTINCT r.kind AS of_kind, r.name AS of_name, other.kind AS kind, other.name AS name,
       other.namespace AS namespace
ORDER BY of_name, of_kind, namespace, name, kind LIMIT $limit
"""
INCIDENTS: LiteralString = """
MATCH (i:Incident)-[:AFFECTED]->(r:Resource {namespace: $namespace}) WHERE r.name IN $names
WITH i, collect(DISTINCT r.name) AS names ORDER BY i.ended_at DESC LIMIT $limit
RETURN toString(i.ended_at) AS ended_at, i.action_type AS action_type, i.status AS status, i.summary AS summary, names
"""
FAILED_LATELY: LiteralString = """
MATCH (i:Incident {action_type: $action_type})-[:AFFECTED]->(r:Resource {namespace: $namespace})
WHERE r.name IN $names AND i.status IN $failed AND i.ended_at > datetime() - duration('P7D')
RETURN count(DISTINCT i) AS failed
"""
REMEMBER: LiteralString = """
MERGE (i:Incident {id: $id})
SET i.action_type = $action_type, i.status = $status, i.summary = $summary, i.description = $description,
    i.risk_level = $risk_level, i.client_id = $client_id, i.event_id = $event_id, i.ended_at = datetime($ended_at)
WITH i UNWIND $resources AS wanted
MERGE (r:Resource {kind: wanted.kind, name: wanted.name, namespace: wanted.namespace})
MERGE (i)-[:AFFECTED]->(r)
"""

Rows = Sequence[neo4j.Record]


class Graph:
    """A source and the memory of what ended. Without a driver it is off."""

    name = "graph"

    def __init__(self, driver: neo4j.AsyncDriver | None) -> None:
        self._driver = driver

    @property
    def off_reason(self) -> str | None:
        return OFF if self._driver is None else None

    async def look(self, request: Request) -> SourceAnswer:
        """Neighbours and past incidents of the resources that the request names, else of its namespace's first 50."""
        driver = self._opened()
        async with _translated(), driver.session() as session:
            return await session.execute_read(_look, request)

    async def remember(self, overview: Overview) -> None:
        """Writes the end in one transaction; writing it again changes nothing. Nothing where the graph is off."""
        if self._driver is None:
            return
        async with _translated(), self._driver.session() as session:
            await session.execute_write(_remember, overview)

    def _opened(self) -> neo4j.AsyncDriver:
        if self._driver is None:
            raise UnavailableError(OFF)
        return self._driver


@asynccontextmanager
async def open_graph(uri: str | None, *, user: str, password: str) -> AsyncIterator[Graph]:
    """Off without a URI. InvalidInputError where it is no address of a graph; nothing is asked yet."""
    if uri is None:
        yield Graph(None)
        return
    try:
        parts = urlsplit(uri)
        if parts.scheme not in _SCHEMES or not parts.hostname or parts.port == 0:
            raise InvalidInputError("NEO4J_URI must be a bolt:// or neo4j:// address.", field="NEO4J_URI")
        driver = neo4j.AsyncGraphDatabase.driver(
            uri,
            auth=(user, password),
            connection_timeout=5.0,
            connection_acquisition_timeout=SECONDS,
            max_transaction_retry_time=2.0,
            notifications_min_severity="OFF",
            telemetry_disabled=True,
        )
    except (DriverError, ValueError) as error:
        raise InvalidInputError("NEO4J_URI is no address that the driver understands.", field="NEO4J_URI") from error
    async with driver:
        yield Graph(driver)


@asynccontextmanager
async def _translated() -> AsyncIterator[None]:
    try:
        async with asyncio.timeout(SECONDS):
            yield
    except AuthError as error:
        raise UnavailableError("Neo4j refuses NEO4J_USER or NEO4J_PASSWORD.") from error
    except Neo4jError as error:
        raise UnavailableError(f"Neo4j answered with an error ({error.code}).") from error
    except (DriverError, OSError, TimeoutError) as error:
        raise UnavailableError(f"Neo4j does not answer ({type(error).__name__}).") from error


async def _look(tx: neo4j.AsyncManagedTransaction, request: Request) -> SourceAnswer:
    place: dict[str, Any] = {"namespace": request.namespace, "limit": LIMIT}
    found = await _rows(tx, NAMED, {**place, "words": _words(request)}) or await _rows(tx, ALL, place)
    if not found:
        return SourceAnswer()
    place["names"] = [row["name"] for row in found]
    dependants = await _rows(tx, DEPENDANTS, place)
    dependencies = await _rows(tx, DEPENDENCIES, place)
    incidents = await _rows(tx, INCIDENTS, place)
    failed = await _rows(tx, FAILED_LATELY, {**place, "action_type": request.action_type.value, "failed": FAILED})
    findings = (
        *_finding("What depends on it", [f"{_other(row)} depends on {_own(row)}" for row in dependants]),
        *_finding("What it depends on", [f"{_own(row)} depends on {_other(row)}" for row in dependencies]),
        *_finding("Past incidents", [_incident(row) for row in incidents]),
    )
    resources = dict.fromkeys(_other(row) for row in dependants)
    return SourceAnswer(findings=findings, dependants=tuple(resources), failed_before=int(failed[0]["failed"]))


async def _rows(tx: neo4j.AsyncManagedTransaction, cypher: LiteralString, values: dict[str, Any]) -> Rows:
    result = await tx.run(cypher, values)
    return [row async for row in result]


async def _remember(tx: neo4j.AsyncManagedTransaction, overview: Overview) -> None:
    resolution = overview.resolution
    values = {
        "id": resolution.id,
        "action_type": resolution.request.action_type.value,
        "status": resolution.state.value,
        "summary": redact(resolution.summary or "")[:2_000],
        "description": redact(resolution.request.action_description)[:2_000],
        "risk_level": overview.assessment.level.name if overview.assessment else None,
        "client_id": resolution.request.client_id,
        "event_id": resolution.request.event_id,
        "ended_at": resolution.updated_at.isoformat(),
        "resources": [
            {"kind": one.kind, "name": one.name, "namespace": one.namespace or ""} for one in _lasting(overview)
        ],
    }
    result = await tx.run(REMEMBER, values)
    await result.consume()


def _lasting(overview: Overview) -> tuple[Resource, ...]:
    """What was affected, without pods of controllers: their names do not come back."""
    affected = overview.assessment.affected if overview.assessment else ()
    return tuple(one for one in affected if one.kind != "Pod") or affected


def _words(request: Request) -> list[str]:
    """All that may be a name in the request's text; of "web.shop.svc" also "web"."""
    words = _WORD.findall(f"{request.action_description} {request.event_id or ''}".lower())
    return sorted({name for word in words for name in (word, word.partition(".")[0])})


def _own(row: neo4j.Record) -> str:
    return f"{row['of_kind']} {row['of_name']}"


def _other(row: neo4j.Record) -> Resource:
    kind, name, namespace = (in_one_line(str(row[key] or ""), limit=253) for key in ("kind", "name", "namespace"))
    return Resource(kind, name, namespace or None)


def _incident(row: neo4j.Record) -> str:
    names = ", ".join(str(name) for name in row["names"])
    return f"{row['ended_at']} {row['action_type']} of {names}: {row['status']}. {row['summary'] or ''}"


def _finding(title: str, lines: Sequence[str]) -> tuple[Finding, ...]:
    if not lines:
        return ()
    text = "\n".join(in_one_line(line, limit=400) for line in lines)
    return (Finding("graph", f"{title} ({len(lines)})", quoted(text)),)
