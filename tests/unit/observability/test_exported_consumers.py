"""Consumers at work: every gate exports the figures of the store, and none of one that was deleted."""

from itertools import count

import pytest

from tests.conftest import MakeSettings
from tests.support.api_calls import BRIEF, QUIET, Api, open_api, until
from tests.support.servers import StoreServer

pytestmark = pytest.mark.server

TOTALS = ("delivered_total", "redelivered_total", "missed_total", "unknown_gaps_total")
SAME_EVERYWHERE = ("lag_transactions", *TOTALS)


async def exported(api: Api, consumer: str) -> dict[str, float | None]:
    """What a gate exports of a consumer after the next reading."""
    await api.runtime.consumer_metrics.refresh()
    names = (*SAME_EVERYWHERE, "lag_seconds", "idle_seconds")
    return {name: api.sample(f"consumer_{name}", consumer=consumer) for name in names}


async def take(api: Api, count: int, *, commits: bool) -> None:
    """All there is for the consumer `bot`."""
    leased = (await api.http.post("/consumers/bot/lease", params={"limit": 1000})).json()
    assert len(leased["transactions"]) == count
    if commits:
        body = {"lease": leased["lease"]}
        assert (await api.http.post("/consumers/bot/commit", json=body)).is_success


async def test_every_gate_of_a_store_exports_the_same(store: StoreServer, settings_for: MakeSettings) -> None:
    settings = settings_for(store, **QUIET)
    async with open_api(settings) as one, open_api(settings) as two:
        await one.post_many("first", 30)
        await take(one, 30, commits=True)
        await one.post_many("second", 20)
        await take(two, 20, commits=False)
        await one.post_many("third", 10)
        of_one, of_two = await exported(one, "bot"), await exported(two, "bot")
        expected = dict.fromkeys(SAME_EVERYWHERE, 0) | {"lag_transactions": 30, "delivered_total": 50}
        assert {name: of_one[name] for name in SAME_EVERYWHERE} == expected
        assert {name: of_two[name] for name in SAME_EVERYWHERE} == expected
        assert of_one["lag_seconds"]
        assert of_one["idle_seconds"] is not None


async def test_a_consumer_that_was_deleted_has_no_series(
    store: StoreServer, settings_for: MakeSettings
) -> None:
    async with open_api(settings_for(store, **QUIET)) as api:
        await api.post_many("kept", 10)
        await take(api, 10, commits=False)
        assert None not in (await exported(api, "bot")).values()
        assert (await api.http.delete("/consumers/bot")).is_success
        assert set((await exported(api, "bot")).values()) == {None}
        assert 'consumer="bot"' not in await api.metrics()


async def test_a_consumer_that_lags_is_warned_of_in_the_stats(
    valkey: StoreServer, settings_for: MakeSettings
) -> None:
    async with open_api(settings_for(valkey, **BRIEF, **QUIET)) as api:
        await take(api, 0, commits=False)
        await api.runtime.consumer_metrics.refresh()
        assert (await api.stats())["warnings"] == []
        numbers = count()

        async def is_warned_of() -> bool:
            await api.post(f"more-{next(numbers)}")
            await api.runtime.consumer_metrics.refresh()
            return any("The consumer bot is " in warning for warning in (await api.stats())["warnings"])

        await until(is_warned_of)


async def test_a_store_that_loses_everything_is_a_gap_of_unknown_size_to_every_gate(
    store: StoreServer, settings_for: MakeSettings
) -> None:
    settings = settings_for(store, **QUIET)
    async with open_api(settings) as one, open_api(settings) as two:
        await one.post_many("kept", 30)
        await take(one, 30, commits=True)
        assert [(await exported(api, "bot"))["unknown_gaps_total"] for api in (one, two)] == [0, 0]
        await one.post_many("not-taken", 10)
        store.flush()
        await one.post_many("later", 20)
        assert [(await exported(api, "bot"))["unknown_gaps_total"] for api in (one, two)] == [1, 1]
        assert any("what the consumer bot had not" in text for text in (await two.stats())["warnings"])
        await take(two, 20, commits=True)
        assert [(await exported(api, "bot"))["unknown_gaps_total"] for api in (one, two)] == [1, 1]
        assert [(await exported(api, "bot"))["delivered_total"] for api in (one, two)] == [20, 20]
