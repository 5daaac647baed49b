"""Fixtures that every kind of test may use."""

import asyncio

# pytest-asyncio leaves a loop unclosed on Python 3.11, and warnings are errors.
asyncio.set_event_loop(None)

pytest_plugins = ["tests.postgres"]
