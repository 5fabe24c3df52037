"""Laws 1, 2 and 3 while workers are killed under load."""

import asyncio

from tests.support.load import Feed
from tests.support.processes import wait_until
from tests.support.servers import StoreServer
from tests.support.worker_gates import NAMES, SECONDS, figure, kill_worker, two_workers

WINDOW_SECONDS = 60


async def test_workers_killed_under_load_lose_nothing_acknowledged_and_make_no_false_duplicate(
    valkey: StoreServer,
) -> None:
    feed, lost = Feed("workers"), 0
    with two_workers(store_url=valkey.url, dedup_window_seconds=WINDOW_SECONDS) as gate:
        for name in NAMES * 2:
            before = len(feed.attempts)
            async with feed.running(gate.url, workers=16):
                await asyncio.sleep(0.2)
                await asyncio.to_thread(kill_worker, gate, name)
                await asyncio.sleep(0.1)
            unanswered = feed.unanswered(since=before)
            lost += len(unanswered)
            assert await asyncio.to_thread(wait_until, lambda: figure(gate, "workers_up") == 2, SECONDS)
            await feed.retry(gate.url, unanswered)
        assert lost, "no kill met a request under way"
        await feed.assert_honest(gate.url, valkey)
