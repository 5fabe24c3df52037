"""Fixtures of the tests of the HTTP interface."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.conftest import MakeSettings
from tests.support.api_calls import QUIET, Api, open_api
from tests.support.feed_calls import SIGNED_FEEDS, feeds_file
from tests.support.servers import StoreServer
from tests.support.tokens import INGEST


@pytest.fixture
def no_ticks(monkeypatch: pytest.MonkeyPatch) -> None:
    """After the first tick, entries leave only when the test or the traffic makes them."""
    monkeypatch.setattr("app.schedule.TICK_SECONDS", 3600)


@pytest.fixture
async def closed(valkey: StoreServer, settings_for: MakeSettings, tmp_path: Path) -> AsyncIterator[Api]:
    """A gate with an ingest token, and two feeds that sign."""
    file = feeds_file(tmp_path, SIGNED_FEEDS)
    settings = settings_for(valkey, ingest_tokens=INGEST, admin_tokens="x", feeds_file=file, **QUIET)
    async with open_api(settings) as opened:
        yield opened
