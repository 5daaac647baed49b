"""The incidents of the demo as requests, and as lines for the page's side bar."""

from bot.demo.cluster.scenarios import SCENARIOS, Scenario
from core.resolution import ActionType, Request


def first_request(scenario: Scenario, *, token_limit: int) -> Request:
    """What the platform's alert would ask for."""
    return Request(
        client_id="demo",
        namespace=scenario.namespace,
        action_type=ActionType(scenario.action_type),
        action_description=scenario.description,
        token_limit=token_limit,
    )


def side_bar() -> list[dict[str, str]]:
    """name, title and the line that a person would type, for each incident."""
    return [
        {
            "name": one.name,
            "title": one.title,
            "command": f"/incident resolve {one.action_type} {one.namespace} client=demo {one.description}",
        }
        for one in SCENARIOS
    ]
