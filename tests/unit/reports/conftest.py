"""Fixtures of the tests of reports."""

from collections.abc import AsyncIterator

import pytest

from tests.conftest import MakeSettings
from tests.support.recording_gates import Bench, bench
from tests.support.servers import StoreServer

# On a busy machine, so that a slow answer is not taken for a store that is down.
PATIENT_SECONDS = 20.0


@pytest.fixture
async def on_matrix(store: StoreServer, settings_for: MakeSettings) -> AsyncIterator[Bench]:
    """In front of each store of the matrix."""
    async with bench(settings_for(store, store_deadline_seconds=PATIENT_SECONDS)) as opened:
        yield opened


@pytest.fixture
async def on_valkey(valkey: StoreServer, settings_for: MakeSettings) -> AsyncIterator[Bench]:
    """In front of an empty Valkey."""
    async with bench(settings_for(valkey, store_deadline_seconds=PATIENT_SECONDS)) as opened:
        yield opened
