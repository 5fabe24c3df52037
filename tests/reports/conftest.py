"""Fixtures of the tests of reports."""

from collections.abc import AsyncIterator

import pytest

from tests.conftest import MakeSettings
from tests.reports.machine import Bench, bench
from tests.support.servers import StoreServer


@pytest.fixture
async def on_matrix(store: StoreServer, settings_for: MakeSettings) -> AsyncIterator[Bench]:
    """In front of each store of the matrix."""
    async with bench(settings_for(store)) as opened:
        yield opened


@pytest.fixture
async def on_valkey(valkey: StoreServer, settings_for: MakeSettings) -> AsyncIterator[Bench]:
    """In front of an empty Valkey."""
    async with bench(settings_for(valkey)) as opened:
        yield opened
