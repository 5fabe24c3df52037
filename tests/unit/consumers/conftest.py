"""The way out of a gate in front of an empty Valkey."""

from collections.abc import AsyncIterator

import pytest

from tests.conftest import MakeSettings
from tests.support.api_calls import QUIET
from tests.support.gate import running
from tests.support.servers import StoreServer
from tests.support.way_out import Out

KEPT_LONG = {"transaction_retention_seconds": 3600, "dedup_window_seconds": 60}


@pytest.fixture
async def out(valkey: StoreServer, settings_for: MakeSettings) -> AsyncIterator[Out]:
    """The way out of a gate in front of an empty Valkey."""
    async with running(settings_for(valkey, **KEPT_LONG, **QUIET)) as runtime:
        opened = Out(runtime)
        yield opened
        await opened.tail.close()


@pytest.fixture
async def brief(valkey: StoreServer, settings_for: MakeSettings) -> AsyncIterator[Out]:
    """The way out of a gate whose emergency cleanup removes all but what has just come."""
    short = {
        "dedup_window_seconds": 0.1,
        "emergency_transaction_retention_seconds": 0.1,
        "transaction_retention_seconds": 24,  # a bucket takes what comes within a second
    }
    async with running(settings_for(valkey, **short, **QUIET)) as runtime:
        opened = Out(runtime)
        yield opened
        await opened.tail.close()
