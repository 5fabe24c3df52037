"""Laws 1, 3 and 4 while windows, retentions and limits change, and gates change over one after the other."""

import asyncio

from app.models import ACCEPTED, MapName, MapSizes, Reason, Verdict
from app.store.maps import Deliveries
from app.store.partitions import signature_hash
from tests.conftest import MakeSettings
from tests.support.deliver import BLOCK, Gate, connected_gate, transaction
from tests.support.ledger import read_ledger, store_key
from tests.support.processes import wait_until
from tests.support.servers import StoreServer
from tests.support.truth import Truth, assert_balanced, count_entries

LONG, SHORT = 0.6, 0.15
MOST_BUCKETS = 64
RULES = store_key("tidegate:{0}", "rules")
# Of a machine that is busy with other things.
PATIENCE_MS = 400


async def _gates(make: MakeSettings, store: StoreServer, **settings: object) -> tuple[Gate, Gate]:
    return await connected_gate(make(store, **settings)), await connected_gate(make(store, **settings))


async def _change(gate: Gate, **values: object) -> None:
    """What the keeper of the settings does; other gates have not heard of it."""
    live = gate.live
    live.replace(live.settings.model_copy(update=values), live.version + 1)
    await gate.maps.sizes()


async def _accept(gate: Gate, *signatures: str) -> list[int]:
    answers = await gate.flusher.flush([transaction(signature) for signature in signatures])
    assert [answer.verdict for answer in answers] == [Verdict.ACCEPTED] * len(signatures)
    return [answer.first_seen_ms or 0 for answer in answers]


async def _window_ms(gates: tuple[Gate, ...], signature: str, accepted_ms: int) -> int:
    """Milliseconds from the acceptance until one of the gates, asked in turn, accepts again."""
    digest = signature_hash(signature)
    while True:
        for gate in gates:
            ages = await gate.maps.claim(
                gate.maps.partition_of(digest), Deliveries([digest], ["feed"]), BLOCK, 1
            )
            if ages.codes[0] == ACCEPTED:
                return ages.now_ms - accepted_ms
            assert ages.codes[0] - 1 == ages.now_ms - accepted_ms, "the age counts from the acceptance"


async def _close(*gates: Gate) -> None:
    for gate in gates:
        await gate.session.close()


def _is_window(measured_ms: int, seconds: float) -> bool:
    return seconds * 1000 <= measured_ms < seconds * 1000 + PATIENCE_MS


async def test_a_signature_keeps_the_window_it_was_accepted_under_when_the_window_is_shortened(
    store: StoreServer, settings_for: MakeSettings
) -> None:
    told, untold = gates = await _gates(settings_for, store, dedup_window_seconds=LONG)
    [before_ms] = await _accept(told, "before")
    await _change(told, dedup_window_seconds=SHORT)
    [after_ms] = await _accept(untold, "after")
    assert _is_window(await _window_ms(gates, "after", after_ms), SHORT), (
        "by the gate that has not heard of it"
    )
    assert _is_window(await _window_ms(gates, "before", before_ms), LONG)
    await _close(*gates)


async def test_a_signature_keeps_the_window_it_was_accepted_under_when_the_window_is_lengthened(
    store: StoreServer, settings_for: MakeSettings
) -> None:
    told, untold = gates = await _gates(settings_for, store, dedup_window_seconds=SHORT)
    [before_ms] = await _accept(told, "before")
    await _change(told, dedup_window_seconds=LONG)
    [after_ms] = await _accept(untold, "after")
    assert _is_window(await _window_ms(gates, "before", before_ms), SHORT)
    assert _is_window(await _window_ms(gates, "after", after_ms), LONG)
    await _close(*gates)


async def test_a_short_window_between_long_ones_ends_with_its_entries_counted_as_expired(
    valkey: StoreServer, settings_for: MakeSettings
) -> None:
    gate, other = await _gates(settings_for, valkey, dedup_window_seconds=30)
    await _accept(gate, "long")
    await _change(gate, dedup_window_seconds=SHORT)
    [short_ms] = await _accept(gate, "short")
    await _change(gate, dedup_window_seconds=30)
    with valkey.nodes()[0] as node:
        name = f"tidegate:{{0}}:2:signatures:{short_ms}"
        assert wait_until(lambda: not node.exists(name), 30), "it is past its window"
    sizes = await gate.maps.sizes()
    assert_balanced(sizes, count_entries(valkey))
    assert sizes[MapName.SIGNATURES].removed[Reason.EXPIRED] == 1
    await _close(gate, other)


async def test_of_two_gates_started_with_different_windows_neither_shortens_that_of_the_other(
    valkey: StoreServer, settings_for: MakeSettings
) -> None:
    short = await connected_gate(settings_for(valkey, dedup_window_seconds=SHORT))
    long = await connected_gate(settings_for(valkey, dedup_window_seconds=LONG))
    await _accept(short, "opens the bucket")
    [accepted_ms] = await _accept(long, "of the long one")
    assert _is_window(await _window_ms((short, long), "of the long one", accepted_ms), LONG)
    await _close(short, long)


async def test_signatures_of_a_short_window_do_not_wait_behind_those_of_a_longer_one(
    store: StoreServer, settings_for: MakeSettings
) -> None:
    gate, other = await _gates(settings_for, store, dedup_window_seconds=30)
    await _accept(gate, *(f"long-{number}" for number in range(50)))
    await _change(gate, dedup_window_seconds=SHORT)
    for number in range(20):
        await _accept(other, *(f"short-{number}-{item}" for item in range(10)))
    sizes = await _sizes_when(gate, MapName.SIGNATURES, 50)
    assert_balanced(sizes, count_entries(store))
    assert sizes[MapName.SIGNATURES].removed[Reason.EXPIRED] == 200
    await _close(gate, other)


async def _sizes_when(
    gate: Gate, name: MapName, entries: int, seconds: float = 30
) -> dict[MapName, MapSizes]:
    async with asyncio.timeout(seconds):
        while (sizes := await gate.maps.sizes())[name].entries != entries:
            await asyncio.sleep(0.005)
    return sizes


async def test_a_shorter_retention_holds_at_once_for_what_is_there_already(
    store: StoreServer, settings_for: MakeSettings
) -> None:
    # Late is what stays longer than an interval past its time, which a busy machine may take.
    patient = {"dedup_window_seconds": 0.1, "cleanup_interval_seconds": 30, **_retention(2)}
    gate, other = await _gates(settings_for, store, **patient)
    for flush in range(12):
        await _accept(gate, *(f"old-{flush}-{number}" for number in range(10)))
        await asyncio.sleep(0.05)
    await _change(gate, **_retention(SHORT))
    truth, sizes = count_entries(store), await gate.maps.sizes()
    assert sizes[MapName.TRANSACTIONS].entries <= truth.transactions <= 60
    assert sizes[MapName.TRANSACTIONS].due == sizes[MapName.TRANSACTIONS].on_time, "nothing was late"
    await _accept(other, *(f"new-{number}" for number in range(60)))
    sizes = await _sizes_when(other, MapName.TRANSACTIONS, 0)
    assert_balanced(sizes, count_entries(store))
    await _close(gate, other)


async def test_a_retention_that_becomes_longer_and_shorter_again_lets_all_go_when_it_says(
    store: StoreServer, settings_for: MakeSettings
) -> None:
    gate, other = await _gates(settings_for, store, dedup_window_seconds=0.1, **_retention(1))
    await _accept(gate, *(f"old-{number}" for number in range(60)))
    await _change(gate, **_retention(20))
    await _accept(other, *(f"new-{number}" for number in range(30)))
    await _change(gate, **_retention(1))
    sizes = await _sizes_when(other, MapName.TRANSACTIONS, 0)
    assert_balanced(sizes, count_entries(store))
    await _close(gate, other)


async def test_without_any_gate_the_store_lets_go_by_the_shorter_retention(
    store: StoreServer, settings_for: MakeSettings
) -> None:
    gate, other = await _gates(settings_for, store, dedup_window_seconds=SHORT)
    await _accept(gate, *(f"left-{number}" for number in range(60)))
    await _change(gate, **_retention(1))
    await _close(gate, other)
    assert wait_until(lambda: count_entries(store) == Truth(), 30)


async def test_a_lowered_limit_takes_the_oldest_transactions_at_the_next_tick_and_no_signature(
    store: StoreServer, settings_for: MakeSettings
) -> None:
    gate, other = await _gates(settings_for, store, dedup_window_seconds=30, transactions_limit=6000)
    for first in range(0, 600, 60):
        await _accept(gate, *(f"many-{number}" for number in range(first, first + 60)))
    await _change(gate, transactions_limit=120, signatures_limit=120)
    sizes = await gate.maps.sizes()
    assert sizes[MapName.TRANSACTIONS].entries <= 120
    assert sizes[MapName.TRANSACTIONS].removed[Reason.CAPACITY] >= 480
    assert sizes[MapName.SIGNATURES].entries == 600
    assert_balanced(sizes, count_entries(store))
    [refused] = await other.flusher.flush([transaction("one more")])
    assert refused.verdict is Verdict.REFUSED
    [known] = await other.flusher.flush([transaction("many-0")])
    assert known.verdict is Verdict.DUPLICATE, "nothing is forgotten for a lower limit"
    await _close(gate, other)


async def test_changes_without_end_neither_make_buckets_without_end_nor_admit_a_duplicate(
    valkey: StoreServer, settings_for: MakeSettings
) -> None:
    gate, other = await _gates(settings_for, valkey, dedup_window_seconds=30)
    for number in range(3 * MOST_BUCKETS):
        await _accept(gate, f"often-{number}")
        await _change(gate, dedup_window_seconds=20 + number % 2)
    with valkey.nodes()[0] as node:
        assert len(read_ledger(node).buckets[MapName.SIGNATURES]) <= MOST_BUCKETS + 1
    everything = [transaction(f"often-{number}") for number in range(3 * MOST_BUCKETS)]
    answers = await other.flusher.flush(everything)
    assert {answer.verdict for answer in answers} == {Verdict.DUPLICATE}
    assert_balanced(await gate.maps.sizes(), count_entries(valkey))
    await _close(gate, other)


async def test_rules_that_no_gate_brings_any_more_are_forgotten_by_the_store(
    valkey: StoreServer, settings_for: MakeSettings
) -> None:
    gate, other = await _gates(settings_for, valkey, dedup_window_seconds=30)
    await _change(gate, dedup_window_seconds=SHORT)
    with valkey.nodes()[0] as node:
        kept_ms = 60_000 + 1000 * round(gate.live.settings.transaction_retention_seconds)
        assert kept_ms - 60_000 < int(node.pttl(RULES)) <= kept_ms
        node.pexpire(RULES, 5_000)
        await other.maps.sizes()
        assert int(node.pttl(RULES)) <= 5_000, "a gate with older rules does not hold them up"
        await gate.maps.sizes()
        assert int(node.pttl(RULES)) > 5_000
        node.set(RULES, b"\xc1 junk", ex=60)
        assert await _accept(other, "goes on")
        node.delete(RULES)
        node.rpush(RULES, b"junk")
        node.expire(RULES, 60)
        assert await _accept(other, "goes on as well")
    await _close(gate, other)


def _retention(seconds: float) -> dict[str, float]:
    kinds = ("transaction", "observation")
    return {f"{kind}_retention_seconds": seconds for kind in kinds} | {
        f"emergency_{kind}_retention_seconds": min(seconds, 0.1) for kind in kinds
    }
