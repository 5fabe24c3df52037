"""What no feed was told is handed on all the same; what left before a consumer came is told and counted."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from app.store.partitions import signature_hash
from tests.support.consuming import Consumer
from tests.support.gate import gate_process
from tests.support.handed_on import LASTING
from tests.support.load import transaction
from tests.support.outages import paused
from tests.support.proxied_gates import ProxiedGates
from tests.support.servers import StoreServer
from tests.support.wire import Connection, ask_once, connected, request_bytes

PATIENCE_SECONDS, LOOK_SECONDS = 60.0, 0.02
# Long enough for a lease that is committed at once, short enough to wait for one whose answer was lost.
LEASE_SECONDS = 5
BRIEF: dict[str, object] = {
    "dedup_window_seconds": 0.5,
    "emergency_transaction_retention_seconds": 1,
    "transaction_retention_seconds": 1,
    "cleanup_interval_seconds": 0.2,
}
LosesAnswer = Callable[[Connection, ProxiedGates, bytes], Awaitable[None]]
EARLY, MISSED, LATER = 10, 25, 5


@asynccontextmanager
async def _one_gate(server: StoreServer, folder: Path, **settings: object) -> AsyncIterator[ProxiedGates]:
    server.flush()
    async with (
        asyncio.timeout(PATIENCE_SECONDS),
        ProxiedGates(server, folder, 1, **LASTING | settings).running() as gates,
    ):
        yield gates


async def _give_up_when_sent(feed: Connection, gates: ProxiedGates, claimed: bytes) -> None:
    """A client that waits no longer: its claim is on its way to the store by then."""
    while not gates.have_sent(claimed):
        await asyncio.sleep(LOOK_SECONDS)
    feed.reset()


async def _be_refused(feed: Connection, gates: ProxiedGates, claimed: bytes) -> None:
    """A client that waits, until the gate gives the store up."""
    (await feed.answer()).assert_try_again()
    assert gates.have_sent(claimed)


# The gate gives a store up that has not answered anybody for so long, and sends it no claim from then on.
# On a busy machine a second is over before the claim is sent.
@pytest.mark.parametrize(("loses_answer", "deadline"), [(_give_up_when_sent, 40), (_be_refused, 8)])
async def test_after_a_lost_answer_the_retry_is_a_duplicate_and_the_consumer_has_both_once(
    breakable: StoreServer, tmp_path: Path, loses_answer: LosesAnswer, deadline: int
) -> None:
    bot = Consumer("bot", lease_seconds=LEASE_SECONDS)
    async with _one_gate(breakable, tmp_path, store_deadline_seconds=deadline) as gates:
        [url] = gates.urls
        async with bot.running([url], 1), connected(url, 2) as [feed, retrying]:
            assert (await feed.post(transaction("told"))).json()["status"] == "accepted"
            async with paused(breakable):
                lost = json.dumps(transaction("lost")).encode()
                await feed.send(request_bytes("POST", "/transactions", lost))
                await loses_answer(feed, gates, signature_hash("lost"))
            while (await retrying.get("/transactions/lost")).status != 200:
                await asyncio.sleep(LOOK_SECONDS)
            assert (await retrying.post(lost)).json()["status"] == "duplicate"
            await bot.drained()
    assert bot.handed == {"told": 1, "lost": 1}
    assert bot.committed.keys() == {"told", "lost"}


async def _post(url: str, name: str, number: int) -> None:
    for batch in range(0, number, 5):
        items = [transaction(f"{name}-{at}") for at in range(batch, batch + 5)]
        assert (await ask_once(url, "POST", "/transactions", items)).status == 200


async def test_a_consumer_that_stops_for_longer_than_the_retention_is_told_exactly_how_many_it_missed(
    breakable: StoreServer,
) -> None:
    breakable.flush()
    bot = Consumer("bot")
    with gate_process(store_url=breakable.url, store_deadline_seconds=10, **BRIEF) as gate:
        async with asyncio.timeout(PATIENCE_SECONDS):
            async with bot.running([gate.url], 1):
                await _post(gate.url, "early", EARLY)
                await bot.drained()
            assert len(bot.handed) + bot.missed == EARLY
            missed_before = bot.missed
            await _post(gate.url, "missed", MISSED)
            while (await ask_once(gate.url, "GET", "/stats")).json()["maps"]["transactions"]["entries"]:
                await asyncio.sleep(LOOK_SECONDS)
            longer = {"transaction_retention_seconds": 3600}
            assert (await ask_once(gate.url, "PATCH", "/settings", longer)).status == 200
            await _post(gate.url, "later", LATER)
            async with connected(gate.url, 1) as [connection]:
                lease = await bot.lease(connection)
                assert lease is not None
                assert sum(gap.transactions or 0 for gap in lease.gaps) == MISSED
                assert set(lease.signatures) == {f"later-{at}" for at in range(LATER)}
                assert await bot.commit(connection, lease)
            assert bot.missed - missed_before == MISSED
