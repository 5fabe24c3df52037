"""Law 2 under `kill -9`: nothing acknowledged is missing, and no retry is called a duplicate for nothing."""

import asyncio
import random

from tests.support.gate import GateProcess, gate_process
from tests.support.history import Attempt
from tests.support.load import Feed
from tests.support.servers import StoreServer

ROUNDS, ROUNDS_WITH_ANOTHER = 3, 3
WINDOW_SECONDS = 60


def _settings(store: StoreServer) -> dict[str, object]:
    return {"store_url": store.url, "dedup_window_seconds": WINDOW_SECONDS}


async def _kill_under_load(feed: Feed, gate: GateProcess, seconds: float) -> list[Attempt]:
    """Kill a gate after a while of load; returns the requests it left without an answer."""
    before = len(feed.attempts)
    async with feed.running(gate.url, workers=8):
        await asyncio.sleep(seconds)
        gate.kill()
    return feed.unanswered(since=before)


async def _assert_known(feed: Feed, url: str) -> None:
    """Sent once more, everything acknowledged is a duplicate."""
    before = len(feed.attempts)
    await feed.retry(url, feed.processed())
    again = [given for attempt in feed.attempts[before:] for given, _ in attempt.verdicts()]
    assert set(again) == {"duplicate"}


async def test_after_kill_9_everything_acknowledged_is_stored_and_no_retry_is_falsely_a_duplicate(
    store: StoreServer,
) -> None:
    delays, feed, lost = random.Random(store.name), Feed("killed"), 0
    unanswered: list[Attempt] = []
    for _ in range(ROUNDS):
        with gate_process(**_settings(store)) as gate:
            await feed.retry(gate.url, unanswered)
            unanswered = await _kill_under_load(feed, gate, delays.uniform(0.02, 0.12))
        lost += len(unanswered)
    assert lost, "no kill met a request under way"
    with gate_process(**_settings(store)) as gate:
        await feed.retry(gate.url, unanswered)
        assert feed.answered("accepted")
        await _assert_known(feed, gate.url)
        await feed.assert_honest(gate.url, store)


async def test_what_a_killed_gate_left_unanswered_may_be_sent_to_another_gate_at_once(
    valkey: StoreServer,
) -> None:
    delays, killed, steady = random.Random(2), Feed("killed"), Feed("steady")
    with gate_process(**_settings(valkey)) as survivor:
        for _ in range(ROUNDS_WITH_ANOTHER):
            with gate_process(**_settings(valkey)) as victim:
                async with steady.running(survivor.url, workers=1):
                    unanswered = await _kill_under_load(killed, victim, delays.uniform(0.02, 0.12))
                    await killed.retry(survivor.url, unanswered)
        assert steady.unanswered() == []
        assert set(steady.answered("duplicate")) == set()
        for feed in (killed, steady):
            await feed.assert_honest(survivor.url, valkey)
