"""Law 2: a lost reply or a cancelled request never makes a retry a duplicate of something not stored."""

import asyncio

import pytest

from app.errors import StoreError, StoreFull
from app.ingest.flush_queue import FlushQueue, joined_answers
from app.ingest.lookup import Lookup
from app.models import UNSEEN, Verdict
from app.store.maps import Deliveries
from app.store.partitions import signature_hash
from tests.conftest import MakeSettings
from tests.support.deliver import Gate, block_of, connected_gate, transaction
from tests.support.servers import StoreServer, valkey_server


async def _up_again(gate: Gate) -> None:
    async with asyncio.timeout(60):
        while gate.session.down_partitions.reasons or not gate.session.is_up:
            await gate.session.probe(gate.maps.sizes)


async def test_after_a_lost_reply_a_retry_is_accepted_or_a_duplicate_of_what_is_stored(
    store: StoreServer, settings_for: MakeSettings
) -> None:
    gate = await connected_gate(settings_for(store, store_deadline_seconds=0.2, dedup_window_seconds=60))
    for number in range(5):
        item = transaction(f"lost-{number}", payload={"number": number})
        store.pause()
        with pytest.raises(StoreError):
            await gate.flusher.flush([item])
        store.resume()
        await _up_again(gate)
        [answer] = await gate.flusher.flush([item])
        found = await Lookup(gate.maps).find(item.signature)
        assert found is not None, answer
        assert bytes(found.payload) == bytes(item.payload)
        assert found.first_seen_ms == answer.first_seen_ms
    await gate.session.close()


async def test_a_cancelled_request_leaves_the_next_callers_answer_alone(
    valkey: StoreServer, settings_for: MakeSettings
) -> None:
    settings = settings_for(valkey, dedup_window_seconds=60)
    gate = await connected_gate(settings)
    flush_queue = FlushQueue(gate.flusher.flush, 100, settings.max_queued_items, settings.max_queued_bytes)
    flush_queue.start()
    for number in range(300):
        cancelled = asyncio.create_task(flush_queue.submit([transaction(f"cancelled-{number}")]))
        for _ in range(number % 7):
            await asyncio.sleep(0)
        cancelled.cancel()
        [answer] = joined_answers(await flush_queue.submit([transaction(f"kept-{number}")]))
        assert answer.verdict is Verdict.ACCEPTED
    for number in range(300):
        found = await Lookup(gate.maps).find(f"kept-{number}")
        assert found is not None
        assert found.signature == f"kept-{number}"
    await flush_queue.close()
    await gate.session.close()


async def test_a_store_that_fills_up_between_keeps_nothing_half(settings_for: MakeSettings) -> None:
    with valkey_server(maxmemory="6mb") as server, server.nodes()[0] as node:
        gate = await connected_gate(settings_for(server, dedup_window_seconds=60))
        refused = []
        for number in range(400):
            try:
                await gate.flusher.flush([transaction(f"full-{number}", payload="x" * 20_000)])
            except StoreFull:
                refused.append(number)
            if number == 50:
                node.eval(
                    "for i = 1, 100 do redis.pcall('SET', 'f' .. i, string.rep('x', 60000), 'EX', 60) end", 0
                )
        assert refused
        node.config_set("maxmemory", "0")
        for number in refused:
            [answer] = await gate.flusher.flush([transaction(f"full-{number}")])
            assert answer.verdict is Verdict.ACCEPTED, "refused, so not known either"
        await gate.session.close()


async def test_of_two_gates_that_check_at_the_same_moment_one_claim_wins_and_its_payload_is_kept(
    store: StoreServer, settings_for: MakeSettings
) -> None:
    gates = [await connected_gate(settings_for(store, dedup_window_seconds=60)) for _ in range(2)]
    digest = signature_hash("raced")
    prefix = gates[0].maps.partition_of(digest)
    seen = [await gate.maps.claim(prefix, Deliveries([digest], ["feed"]), b"", 0) for gate in gates]
    assert [ages.codes for ages in seen] == [(UNSEEN,), (UNSEEN,)], "both think it is new"
    blocks = [block_of([transaction("raced", payload=number)]) for number in range(2)]
    claims = await asyncio.gather(
        *(
            gate.maps.claim(prefix, Deliveries([digest], ["feed"]), block, 1)
            for gate, block in zip(gates, blocks, strict=True)
        )
    )
    codes = [claim.codes[0] for claim in claims]
    assert sorted(code == 0 for code in codes) == [False, True]
    found = await Lookup(gates[0].maps).find("raced")
    assert found is not None
    assert bytes(found.payload) == str(codes.index(0)).encode()
    for gate in gates:
        await gate.session.close()
