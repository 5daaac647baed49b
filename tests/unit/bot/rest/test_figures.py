"""/metrics answers with what it has."""

import asyncio

from bot.rest.figures import Figures
from core.errors import UnavailableError


async def away():
    await asyncio.sleep(0)
    raise UnavailableError("The database does not answer.")


async def test_with_the_database_down_the_scrape_still_answers_with_what_is_known_without_it():
    told = (await Figures(away, lambda: 61.5).exposition()).decode()

    assert "incident_resolver_database_up 0.0" in told
    assert "incident_resolver_worker_pass_age_seconds 61.5" in told
    assert "incident_resolver_resolutions" not in told
