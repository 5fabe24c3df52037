"""A lease lasts as long as its caller or the settings say: the store keeps its consumer that much longer."""

import pytest

from tests.conftest import MakeSettings
from tests.support.api_calls import QUIET, open_api
from tests.support.servers import StoreServer

pytestmark = pytest.mark.server

IDLE_SECONDS, SETTING_SECONDS = 3000, 600
# What the calls of the test may take; a lease of another length differs by more.
SLOW_MS = 240_000


@pytest.mark.parametrize(("parameters", "seconds"), [({}, SETTING_SECONDS), ({"lease_seconds": 1200}, 1200)])
async def test_a_lease_lasts_as_long_as_is_said(
    valkey: StoreServer, settings_for: MakeSettings, parameters: dict[str, int], seconds: int
) -> None:
    settings = settings_for(
        valkey, lease_seconds=SETTING_SECONDS, consumer_idle_seconds=IDLE_SECONDS, **QUIET
    )
    async with open_api(settings) as api:
        await api.post_many("leased", 1)
        answer = await api.http.post("/consumers/bot/lease", params=parameters)
        assert answer.json()["lease"]
        with valkey.client() as client:
            [record] = [key for key in client.scan_iter() if key.endswith(b":consumer:bot")]
            kept_ms = client.pttl(record)
    most_ms = (IDLE_SECONDS + seconds) * 1000
    assert most_ms - SLOW_MS < kept_ms <= most_ms
