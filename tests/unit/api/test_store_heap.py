"""What an emergency cleanup does to the heap of the embedded store, which is glibc's."""

from collections.abc import AsyncIterator
from itertools import groupby
from typing import Any

import pytest

from app.cleanup.run import STEPS_A_TRIM
from app.models import MapName
from app.settings.model import load_settings
from app.store.cleanup_severity import CleanupStep, CleanupStepResult
from app.store.maps import Maps
from tests.support.api_calls import QUIET, Api, open_api, until

BATCHES, BATCH_ITEMS = 75, 2000
# Buckets of 2 s and of at most 3,125 entries, cut by an emergency after 0.3 s. Without one all stay for
# longer than it takes to fill them on a busy machine.
SETTINGS: dict[str, Any] = {
    "dedup_window_seconds": 0.2,
    "transaction_retention_seconds": 48,
    "observation_retention_seconds": 48,
    "emergency_transaction_retention_seconds": 0.3,
    "emergency_observation_retention_seconds": 0.3,
    "transactions_limit": 200_000,
    "observations_limit": 200_000,
}

pytestmark = [pytest.mark.server, pytest.mark.usefixtures("no_ticks")]


@pytest.fixture
async def embedded(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Api]:
    """A gate with a store of its own, which does not pause for ingest."""
    monkeypatch.setattr("app.cleanup.run.EMERGENCY_PAUSE_SECONDS", 0)
    async with open_api(load_settings(**QUIET, **SETTINGS)) as api:
        yield api


async def _store(api: Api) -> dict[str, Any]:
    [figures] = await api.runtime.session.info("memory")
    return figures


async def _fill(api: Api, batches: int = BATCHES) -> None:
    """Fill the store with what an emergency may remove."""
    for number in range(batches):
        await api.post_many(f"old-{number}", BATCH_ITEMS)

    async def is_all_due() -> bool:
        maps = (await api.clean("/emergency", dry_run=True))["maps"]
        return all(maps[name]["after"] == 0 for name in ("transactions", "observations"))

    await until(is_all_due)


async def test_an_emergency_cleanup_returns_the_stores_memory_to_the_system(embedded: Api) -> None:
    empty = (await _store(embedded))["used_memory_rss"]
    await _fill(embedded)
    full = (await _store(embedded))["used_memory_rss"]
    report = await embedded.clean("/emergency")
    assert report["maps"]["transactions"]["removed"] == BATCHES * BATCH_ITEMS
    released = report["memory"]["released_bytes"]
    assert released > 0.6 * (full - empty), (empty, full, released)


async def test_an_emergency_cleanup_leaves_the_stores_scripts_loaded(embedded: Api) -> None:
    await embedded.post("first")
    await embedded.clean("/emergency")
    before = (await _store(embedded))["number_of_cached_scripts"]
    await embedded.clean("/emergency")
    assert (await _store(embedded))["number_of_cached_scripts"] == before > 0


async def test_what_an_emergency_removes_is_given_back_a_few_buckets_at_a_time(
    embedded: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A trim stops the store for as long as there is much to give back."""
    done: list[str] = []
    step, trim = Maps.cleanup_step, embedded.runtime.session.trim_memory

    async def noted_step(maps: Maps, prefix: str, wanted: CleanupStep) -> CleanupStepResult:
        done.append(f"buckets: {wanted.most_buckets}")
        return await step(maps, prefix, wanted)

    async def noted_trim() -> None:
        done.append("given back")
        await trim()

    await _fill(embedded, 4 * STEPS_A_TRIM)
    monkeypatch.setattr(Maps, "cleanup_step", noted_step)
    monkeypatch.setattr(embedded.runtime.session, "trim_memory", noted_trim)
    await embedded.clean("/emergency", map=MapName.TRANSACTIONS)
    between = [len(list(steps)) for name, steps in groupby(done) if name == "buckets: 1"]
    assert sum(between) + done.count("given back") == len(done)
    assert done[-1] == "given back"
    assert max(between) == STEPS_A_TRIM, between
    assert len(between) >= 2, "a bucket takes two batches at most: its share of the limit is 3,125"
