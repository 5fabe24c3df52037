"""`GET /sources`: which feed was first how often, and how late the others were."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.ingest.delay_histogram import BOUNDS_MS, DelayHistogram
from app.ingest.sampled_transactions import MOST_A_SECOND
from app.ingest.source_statistics import METRIC_BOUNDS_MS
from tests.conftest import MakeSettings
from tests.support.api_calls import QUIET, Api, open_api, until
from tests.support.servers import StoreServer, valkey_server

WIDE = {"dedup_window_seconds": 60, "emergency_transaction_retention_seconds": 60}


async def sources(api: Api) -> dict[str, dict[str, Any]]:
    """The document's sources by their name."""
    document = (await api.http.get("/sources")).json()
    assert document["since_ms"] > 0
    return {one["source"]: one for one in document["sources"]}


@pytest.fixture
async def wide(valkey: StoreServer, settings_for: MakeSettings) -> AsyncIterator[Api]:
    """A gate whose window is so long that a duplicate stays one."""
    async with open_api(settings_for(valkey, **WIDE, **QUIET)) as opened:
        yield opened


async def test_before_anything_came_there_are_none(wide: Api) -> None:
    assert await sources(wide) == {}


async def test_each_source_has_its_firsts_and_its_duplicates(wide: Api) -> None:
    await wide.post_many("shared", 30, "helius-a")
    await wide.post_many("shared", 30, "quicknode-a")
    await wide.post_many("own", 10, "quicknode-a")
    found = await sources(wide)
    assert {name: (one["accepted"], one["duplicate"]) for name, one in found.items()} == {
        "helius-a": (30, 0),
        "quicknode-a": (10, 30),
    }
    assert [one["first_share"] for one in found.values()] == [0.75, 0.25]
    assert found["helius-a"]["delay_ms"] is None
    delays = found["quicknode-a"]["delay_ms"]
    assert 0 <= delays["p50"] <= delays["p95"] <= delays["p99"]


async def test_the_delay_is_what_a_lookup_tells(wide: Api) -> None:
    await wide.post("late", "helius-a")
    await asyncio.sleep(0.25)
    await wide.post("late", "quicknode-a")
    [_, sighting] = (await wide.find("late"))["observations"]
    delay_ms = (await sources(wide))["quicknode-a"]["delay_ms"]["p50"]
    assert sighting["delay_ms"] >= 250
    assert delay_ms == pytest.approx(sighting["delay_ms"], rel=0.18)


async def test_last_seen_is_the_latest_delivery_by_the_stores_clock(wide: Api) -> None:
    first = await wide.post("a", "helius-a")
    assert (await sources(wide))["helius-a"]["last_seen_ms"] == first["first_seen_ms"]
    await asyncio.sleep(0.02)
    await wide.post("a", "helius-a")
    last_seen_ms = (await sources(wide))["helius-a"]["last_seen_ms"]
    [own_repeat] = (await wide.find("a"))["observations"]
    assert own_repeat["delay_ms"] == 0
    assert last_seen_ms >= first["first_seen_ms"] + 20


async def test_doubles_in_one_batch_are_duplicates_without_delay(wide: Api) -> None:
    items = 5 * [{"signature": "double", "source": "helius-a"}]
    assert (await wide.http.post("/transactions", json=items)).json()["duplicate"] == 4
    found = (await sources(wide))["helius-a"]
    assert (found["accepted"], found["duplicate"]) == (1, 4)
    assert found["delay_ms"] == {"p50": 0, "p95": 0, "p99": 0}


async def test_sources_past_the_limit_are_other(valkey: StoreServer, settings_for: MakeSettings) -> None:
    async with open_api(settings_for(valkey, max_sources=3, **QUIET)) as api:
        for number in range(10):
            await api.post_many(f"{number}", 2, f"feed-{number}")
        found = await sources(api)
        assert {name: one["accepted"] for name, one in found.items()} == {
            "other": 14,
            "feed-0": 2,
            "feed-1": 2,
            "feed-2": 2,
        }
        assert sum(one["first_share"] for one in found.values()) == pytest.approx(1)


@pytest.fixture
def own_store() -> Iterator[StoreServer]:
    """A store the test may kill."""
    with valkey_server(unix=True) as server:
        yield server


@pytest.mark.server
async def test_what_the_store_never_took_counts_for_nobody(
    own_store: StoreServer, settings_for: MakeSettings
) -> None:
    async with open_api(settings_for(own_store, **QUIET)) as api:
        await api.post("kept")
        own_store.kill()
        answer = await api.http.post("/transactions", json={"signature": "lost", "source": "helius-a"})
        assert answer.status_code == 503
        assert (await sources(api))["helius-a"]["accepted"] == 1


async def test_the_metric_tells_the_same(wide: Api) -> None:
    await wide.post_many("shared", 40, "helius-a")
    await wide.post_many("shared", 40, "quicknode-a")
    assert wide.sample("source_delay_seconds_count", source="quicknode-a") == 40
    assert wide.sample("source_delay_seconds_bucket", source="quicknode-a", le="+Inf") == 40
    buckets = [
        wide.sample("source_delay_seconds_bucket", source="quicknode-a", le=str(bound / 1000)) or 0
        for bound in METRIC_BOUNDS_MS
    ]
    assert buckets == sorted(buckets)
    assert buckets[-1] == 40
    assert wide.sample("source_delay_seconds_count", source="other") == 0


async def _deliver_late(api: Api, prefix: str, count: int, source: str) -> None:
    """Deliver what was accepted, until its window has passed and all of it is accepted again."""
    accepted = 0
    while accepted < count:
        accepted += (await api.post_many(prefix, count, source))["accepted"]
        await asyncio.sleep(0.02)


async def test_late_ones_are_shown_counted_and_warned_of(
    valkey: StoreServer, settings_for: MakeSettings
) -> None:
    settings = settings_for(valkey, dedup_window_seconds=0.3, late_sample=1, **QUIET)
    async with open_api(settings) as api:
        await api.post_many("late", 20, "helius-a")
        assert (await api.http.get("/sources")).json()["recommended_window_seconds"] is None
        await _deliver_late(api, "late", 20, "replay-b")

        async def is_counted() -> bool:
            found = (await sources(api))["replay-b"]["late"]
            return bool(found and found["count"] == 20)

        await until(is_counted)
        document = (await api.http.get("/sources")).json()
        helius, replay = document["sources"]
        assert (helius["source"], helius["first_share"], helius["late"]) == ("helius-a", 1, None)
        assert (replay["source"], replay["accepted"], replay["first_share"]) == ("replay-b", 20, 0)
        assert (replay["late"]["count"], replay["late"]["share"]) == (20, 1)
        assert replay["late"]["age_ms"]["p50"] * 1.2 >= 300
        window = document["recommended_window_seconds"]
        assert window >= 0.3
        assert api.sample("late_duplicates_total", source="replay-b") == 20
        assert api.sample("late_duplicate_age_seconds_count") == 20
        assert api.sample("recommended_window_seconds") == window
        warned = [text for text in (await api.stats())["warnings"] if "window" in text]
        assert warned == [text for text in warned if f"has to be {window:g} s" in text]
        assert len(warned) == (window > 0.3)


async def test_misses_and_solo_finds_come_with_a_tick(
    valkey: StoreServer, settings_for: MakeSettings
) -> None:
    settings = settings_for(valkey, dedup_window_seconds=2, late_sample=1, **QUIET)
    each = MOST_A_SECOND // 3  # so that all of them are looked up, none drawn by chance
    async with open_api(settings) as api:
        for name, feeds in (("both", "ab"), ("own", "a"), ("again", "ab")):
            for feed in feeds:
                await api.post_many(name, each, feed)

        async def is_counted() -> bool:
            found = await sources(api)
            return bool(found["b"]["missed"] == {"count": each, "share": pytest.approx(1 / 3)})

        await until(is_counted)
        found = await sources(api)
        assert found["a"]["solo"] == {"count": each, "share": pytest.approx(1 / 3)}
        assert found["a"]["missed"] == found["b"]["solo"] == {"count": 0, "share": 0}
        assert api.sample("source_missed_total", source="b") == each
        assert api.sample("source_solo_total", source="a") == each
        seen = api.sample("source_last_seen_timestamp_seconds", source="b")
        assert seen == pytest.approx(found["b"]["last_seen_ms"] / 1000)


async def test_the_highest_slot_is_shown(wide: Api) -> None:
    for at, slot in enumerate((7, 304573958, None, 12)):
        await wide.http.post("/transactions", json={"signature": f"slot-{at}", "source": "a", "slot": slot})
    await wide.post("without", "b")
    assert {name: one["highest_slot"] for name, one in (await sources(wide)).items()} == {
        "a": 304573958,
        "b": None,
    }


DELAYS_MS = st.lists(st.integers(0, 3_600_000), min_size=1, max_size=200)


@given(delays=DELAYS_MS, percent=st.sampled_from([50, 95, 99]))
def test_a_quantile_is_that_of_the_delays_or_near_it(delays: list[int], percent: int) -> None:
    histogram = DelayHistogram()
    for delay in delays:
        histogram.observe(delay)
    exact = sorted(delays)[max(0, -(-percent * len(delays) // 100) - 1)]
    found = histogram.quantile(percent / 100)
    assert found == pytest.approx(exact, rel=0.22, abs=1e-9)


@given(delays=DELAYS_MS)
def test_buckets_of_the_metric_are_exact(delays: list[int]) -> None:
    histogram = DelayHistogram()
    for delay in delays:
        histogram.observe(delay)
    exact = [sum(delay <= bound for delay in delays) for bound in METRIC_BOUNDS_MS]
    assert histogram.up_to(METRIC_BOUNDS_MS) == exact
    assert (histogram.count, histogram.sum) == (len(delays), sum(delays))


def test_every_window_that_can_be_set_has_a_bucket() -> None:
    assert list(BOUNDS_MS) == sorted(set(BOUNDS_MS))
    assert BOUNDS_MS[-1] >= 3_600_000
