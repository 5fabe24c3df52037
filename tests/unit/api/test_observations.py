"""Who delivered a transaction, and how long after the first."""

import asyncio
from typing import Any

from tests.conftest import MakeSettings
from tests.support.api_calls import BRIEF, QUIET, Api, open_api
from tests.support.servers import StoreServer

# Long enough for a few posts on a busy machine, and waited for.
WINDOW_SECONDS = 1.5
PAUSE_SECONDS = 0.03


def _sources(found: dict[str, Any]) -> list[str]:
    return [seen["source"] for seen in found["observations"]]


def _delays(found: dict[str, Any]) -> dict[str, int]:
    return {seen["source"]: seen["delay_ms"] for seen in found["observations"]}


async def _post_by(api: Api, *sources: str) -> None:
    for source in sources:
        await api.post("seen", source)
        await asyncio.sleep(PAUSE_SECONDS)


async def test_each_source_is_listed_once_in_the_order_of_delivery_with_its_delay(
    store: StoreServer, settings_for: MakeSettings
) -> None:
    async with open_api(settings_for(store, **QUIET)) as api:
        await _post_by(api, "helius-a", "quicknode", "rpc:1", "quicknode", "helius-a")
        found = await api.find("seen")
        assert found["source"] == "helius-a"
        assert _sources(found) == ["helius-a", "quicknode", "rpc:1"]
        delays = _delays(found)
        assert delays["helius-a"] == 0
        assert 25 <= delays["quicknode"] < delays["rpc:1"] < 1000


async def test_a_repeated_delivery_keeps_the_first_delay_of_its_source(api: Api) -> None:
    await _post_by(api, "helius-a", "quicknode")
    before = await api.find("seen")
    await _post_by(api, "quicknode", "quicknode", "helius-a")
    assert await api.find("seen") == before


async def test_feeds_that_deliver_at_once_are_all_listed_and_the_first_has_no_delay(api: Api) -> None:
    feeds = [f"feed-{number}" for number in range(20)]
    answers = await asyncio.gather(*(api.post("seen", feed) for feed in feeds))
    assert sorted(answer["status"] for answer in answers) == ["accepted"] + ["duplicate"] * 19
    found = await api.find("seen")
    assert sorted(_sources(found)) == sorted(feeds)
    assert _delays(found)[found["source"]] == 0
    assert min(_delays(found).values()) == 0


async def test_sources_of_one_batch_are_listed_each_and_the_default_one_too(api: Api) -> None:
    items = [
        {"signature": "seen", "source": "a"},
        {"signature": "seen"},
        {"signature": "seen", "source": "b"},
    ]
    summary = (await api.http.post("/transactions", json=items)).json()
    assert summary["duplicates"] == [1, 2]
    assert _delays(await api.find("seen")) == {"a": 0, "default": 0, "b": 0}


async def test_the_first_seen_time_of_every_answer_is_that_of_the_acceptance(
    store: StoreServer, settings_for: MakeSettings
) -> None:
    async with open_api(settings_for(store, **QUIET)) as api:
        accepted = await api.post("seen")
        for source in ("helius-a", "quicknode", "rpc:1"):
            await asyncio.sleep(PAUSE_SECONDS)
            answer = await api.post("seen", source)
            assert answer == accepted | {"status": "duplicate"}
        assert (await api.find("seen"))["first_seen_ms"] == accepted["first_seen_ms"]


async def test_a_source_over_the_limit_is_counted_as_added_and_removed_for_capacity(
    store: StoreServer, settings_for: MakeSettings
) -> None:
    async with open_api(settings_for(store, max_sources=3, **QUIET)) as api:
        await _post_by(api, "a", "b", "c", "d")
        assert _sources(await api.find("seen")) == ["a", "b", "c"]
        observations = (await api.stats())["maps"]["observations"]
        assert (observations["entries"], observations["added_total"]) == (3, 4)
        assert observations["removed_total"] == {"expired": 0, "emergency": 0, "manual": 0, "capacity": 1}


async def test_the_sixty_fifth_source_is_not_kept_by_default(api: Api) -> None:
    feeds = [f"feed-{number}" for number in range(65)]
    items = [{"signature": "seen", "source": feed} for feed in feeds]
    await api.http.post("/transactions", json=items)
    assert _sources(await api.find("seen")) == feeds[:64]
    assert (await api.stats())["maps"]["observations"]["removed_total"]["capacity"] == 1


async def test_sources_of_an_earlier_acceptance_are_not_shown_with_the_later_one(
    store: StoreServer, settings_for: MakeSettings
) -> None:
    async with open_api(settings_for(store, dedup_window_seconds=WINDOW_SECONDS, **QUIET)) as api:
        earlier = await api.post("seen", "early-a")
        await api.post("seen", "early-b")
        await asyncio.sleep(WINDOW_SECONDS)
        later = await api.post("seen", "late-a")
        await api.post("seen", "late-b")
        assert later["status"] == "accepted"
        assert later["first_seen_ms"] >= earlier["first_seen_ms"] + 1000 * WINDOW_SECONDS
        found = await api.find("seen")
        assert (found["first_seen_ms"], found["source"]) == (later["first_seen_ms"], "late-a")
        assert _sources(found) == ["late-a", "late-b"]


async def test_a_source_of_both_acceptances_is_shown_with_the_later_one_too(
    store: StoreServer, settings_for: MakeSettings
) -> None:
    async with open_api(settings_for(store, dedup_window_seconds=WINDOW_SECONDS, **QUIET)) as api:
        await _post_by(api, "helius-a", "quicknode")
        await asyncio.sleep(WINDOW_SECONDS)
        await _post_by(api, "helius-a", "quicknode")
        delays = _delays(await api.find("seen"))
        assert list(delays) == ["helius-a", "quicknode"]
        assert delays["helius-a"] == 0
        assert 1000 * PAUSE_SECONDS <= delays["quicknode"] < 1000 * WINDOW_SECONDS


async def test_the_limit_on_sources_holds_for_each_acceptance_by_itself(
    valkey: StoreServer, settings_for: MakeSettings
) -> None:
    settings = settings_for(valkey, dedup_window_seconds=WINDOW_SECONDS, max_sources=2, **QUIET)
    async with open_api(settings) as api:
        await _post_by(api, "a", "b")
        await asyncio.sleep(WINDOW_SECONDS)
        await _post_by(api, "c", "d")
        assert _sources(await api.find("seen")) == ["c", "d"]


async def test_a_transaction_past_its_retention_is_not_found(
    valkey: StoreServer, settings_for: MakeSettings
) -> None:
    async with open_api(settings_for(valkey, **BRIEF, **QUIET)) as api:
        await api.post("seen")
        await asyncio.sleep(1.2)
        response = await api.http.get("/transactions/seen")
        assert (response.status_code, response.headers["content-type"]) == (404, "application/problem+json")
