"""A world for each test; the test starts the replicas and kills them."""

from collections.abc import AsyncIterator, Iterator

import pytest

from tests.faults.replica import Maker, open_maker
from tests.faults.world import World, open_world


@pytest.fixture(scope="session")
def maker() -> Iterator[Maker]:
    with open_maker() as opened:
        yield opened


@pytest.fixture
async def world(database_url, tmp_path, maker) -> AsyncIterator[World]:
    async with open_world(database_url, tmp_path, maker=maker) as opened:
        yield opened
