"""Fixtures of the tests of alerts."""

from collections.abc import AsyncIterator

import pytest

from tests.conftest import MakeSettings
from tests.support.alerts import AlertedGate, open_gate
from tests.support.api_calls import QUIET
from tests.support.servers import StoreServer


@pytest.fixture
async def gate(valkey: StoreServer, settings_for: MakeSettings) -> AsyncIterator[AlertedGate]:
    """A gate without periodic cleanups, the cooldown on the test's clock."""
    async with open_gate(settings_for(valkey, **QUIET)) as opened:
        yield opened
