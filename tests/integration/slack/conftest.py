"""A local Slack without its page, with short times, and the real Web API client."""

import aiohttp
import pytest
from slack_sdk.web.async_client import AsyncWebClient

from bot.demo.slack.server import open_local_slack


@pytest.fixture
async def slack():
    async with open_local_slack(ack_seconds=0.3, retry_pauses_seconds=(0.0, 0.0, 0.0)) as opened:
        yield opened


@pytest.fixture
async def http():
    async with aiohttp.ClientSession() as session:
        yield session


@pytest.fixture
async def client(slack, http):
    return AsyncWebClient(slack.bot_token, base_url=slack.api_url, session=http, retry_handlers=[])
