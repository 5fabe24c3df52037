"""Callers are told what the store counts, each figure as it is."""

import pytest

from app.store.consumers import Leases
from tests.conftest import MakeSettings
from tests.support.api_calls import QUIET, Api, open_api
from tests.support.handed import IDLE_MS, MEBIBYTE, MOST_CONSUMERS
from tests.support.ledger import store_key
from tests.support.servers import StoreServer
from tests.support.store_clock import StoreClock, let_clocks_be_set

pytestmark = pytest.mark.server

WAITS_SECONDS = 50


async def test_the_list_and_a_lease_have_the_figures_of_the_store(
    valkey: StoreServer, settings_for: MakeSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    let_clocks_be_set(monkeypatch)
    async with open_api(settings_for(valkey, dedup_window_seconds=60, **QUIET)) as api:
        [prefix] = api.runtime.plane.maps.layout.prefixes
        clock = StoreClock(valkey, (prefix,))
        await _lease(api)
        await api.post_many("missed", 3)
        clock.move(200)
        await api.clean()
        await api.post_many("handed", 2)
        for _ in range(3):
            assert any((await _lease(api)).parts)
            clock.move(1)
        with valkey.client() as client:
            client.delete(store_key(prefix, "ledger"))
        await _lease(api)
        await api.post_many("waits", 5)
        clock.move(WAITS_SECONDS)
        [before] = await api.runtime.consumers.consumers.figures()
        [listed] = (await api.http.get("/consumers")).json()["consumers"]
        leased = (await api.http.post("/consumers/bot/lease")).json()
        [after] = await api.runtime.consumers.consumers.figures()
        clock.close()
    totals = [listed[name] for name in ("delivered", "redelivered", "missed", "unknown_gaps", "leases")]
    assert totals == [2, 4, 3, 1, 1]
    assert listed["called_ms"] == before.called_ms
    for lag in (listed["lag"], leased["lag"]):
        assert lag["transactions"] == 5
        assert WAITS_SECONDS <= before.lag_seconds <= lag["seconds"] <= after.lag_seconds


async def _lease(api: Api) -> Leases:
    """Lease as a caller that never commits, for a millisecond."""
    consumers = api.runtime.consumers.consumers
    return await consumers.lease("bot", 100, MEBIBYTE, 1, IDLE_MS, MOST_CONSUMERS)
