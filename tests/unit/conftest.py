"""Fixtures of the tests of single rooms."""

from collections.abc import AsyncIterator

import pytest

from tests.conftest import MakeSettings
from tests.support.api_calls import QUIET, Api, open_api
from tests.support.servers import StoreServer


@pytest.fixture
async def api(valkey: StoreServer, settings_for: MakeSettings) -> AsyncIterator[Api]:
    """A gate with the defaults, but for periodic cleanups, in front of an empty Valkey."""
    async with open_api(settings_for(valkey, **QUIET)) as opened:
        yield opened
