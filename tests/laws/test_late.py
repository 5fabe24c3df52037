"""Late duplicates: what the window let through a second time is accepted, counted, and no first."""

import asyncio

import pytest

from app.ingest.source_views import SourceView
from app.models import ACCEPTED, MapName, SampledTransaction
from app.store.maps import ClaimResult, Deliveries
from app.store.partitions import partition_of, signature_hash, signature_hashes
from tests.conftest import MakeSettings
from tests.support.deliver import BLOCK, Gate, connected_gate, transaction
from tests.support.ledger import store_key
from tests.support.servers import StoreServer

WINDOW = {"dedup_window_seconds": 0.2, "emergency_transaction_retention_seconds": 60}


def views(gate: Gate) -> dict[str, SourceView]:
    """Each source of the gate by its name."""
    return {view.source: view for view in gate.sources.view().sources}


SAME_BUCKET = WINDOW
"""A bucket of transactions takes them for 5 s, so those of several windows are in one."""
OLDER_BUCKETS = WINDOW | {
    "transaction_retention_seconds": 4.0,
    "emergency_transaction_retention_seconds": 4,
}
"""A bucket of transactions takes them for less than a window."""


async def late_of(gate: Gate, result: ClaimResult, hashes: list[bytes]) -> list[int | None]:
    """What the claim, or else the look that follows it, says of each that it accepted: how late it is."""
    samples = result.samples(hashes, range(len(hashes)), ["feed"] * len(hashes))
    found = {sample.digest: sample.late_ms for sample in await gate.queries.late(samples)}
    return [found[sample.digest] if sample.late_ms is None else sample.late_ms for sample in samples]


async def deliver_until_accepted(gate: Gate, signatures: list[str], source: str) -> None:
    """Deliver until the windows of all have passed, so that each was accepted once more."""
    left = signatures
    while left:
        answers = await gate.flusher.flush([transaction(signature, source) for signature in left])
        left = [signature for signature, code in zip(left, answers.codes, strict=True) if code != ACCEPTED]
        await asyncio.sleep(0.01)


@pytest.mark.parametrize("kept", [SAME_BUCKET, OLDER_BUCKETS])
async def test_what_comes_again_after_the_window_is_late_for_its_source_and_no_first(
    store: StoreServer, settings_for: MakeSettings, kept: dict[str, float]
) -> None:
    gate = await connected_gate(settings_for(store, late_sample=1, **kept))
    signatures = [f"signature-{number}" for number in range(40)]
    await gate.flusher.flush([transaction(signature, "helius-a") for signature in signatures])
    await deliver_until_accepted(gate, signatures[:30], "replay-b")
    await gate.flusher.flush([transaction("own", "replay-b")])
    await gate.late.tick()
    found = views(gate)
    replay, first = found["replay-b"], found["helius-a"]
    assert (first.accepted, replay.accepted) == (40, 31), "the verdict is as ever"
    assert (first.first_share, replay.first_share) == pytest.approx((40 / 41, 1 / 41))
    assert first.late is None
    assert replay.late is not None
    assert (replay.late.count, replay.late.share) == (30, 30 / 31)
    assert replay.late.age_ms.p50 >= 150
    window = gate.sources.view().recommended_window_seconds
    assert window is not None
    assert window >= 0.2
    await gate.session.close()


@pytest.mark.parametrize("kept", [SAME_BUCKET, OLDER_BUCKETS])
async def test_a_late_one_is_told_with_the_age_of_the_latest_acceptance(
    store: StoreServer, settings_for: MakeSettings, kept: dict[str, float]
) -> None:
    gate = await connected_gate(settings_for(store, late_sample=1, **kept))
    digests = signature_hashes([f"signature-{number}" for number in range(8)])
    prefixes = gate.maps.layout.prefixes
    mine = [
        one for one in digests if partition_of(one, len(prefixes)) == partition_of(digests[0], len(prefixes))
    ]
    prefix, accepted_ms = gate.maps.partition_of(mine[0]), list[int]()
    deliveries = Deliveries(mine, ["feed"] * len(mine))
    while len(accepted_ms) < 3:
        result = await gate.maps.claim(prefix, deliveries, BLOCK, len(mine))
        if result.codes[0] != ACCEPTED:
            assert result.late == ()
            continue
        assert list(result.sample) == list(range(len(mine)))
        age = result.now_ms - accepted_ms[-1] if accepted_ms else None
        assert await late_of(gate, result, mine) == [age] * len(mine)
        accepted_ms.append(result.now_ms)
    sizes = await gate.maps.sizes()
    assert sizes[MapName.SIGNATURES].added == 3 * len(mine)
    await gate.session.close()


@pytest.mark.parametrize("one_in", [0, 1, 4, 16])
async def test_the_sample_is_chosen_by_the_hash_and_nothing_else(
    valkey: StoreServer, settings_for: MakeSettings, one_in: int
) -> None:
    gate = await connected_gate(settings_for(valkey, late_sample=one_in, **WINDOW))
    digests = signature_hashes([f"signature-{number}" for number in range(400)])
    [prefix] = gate.maps.layout.prefixes

    async def claim(some: list[bytes]) -> ClaimResult:
        return await gate.maps.claim(prefix, Deliveries(some, ["feed"] * len(some)), BLOCK, len(some))

    chosen = {at for at, digest in enumerate(digests) if one_in and digest[-1] % one_in == 0}
    assert set((await claim(digests)).sample) == chosen
    assert len(chosen) == pytest.approx(400 / one_in if one_in else 0, rel=0.5)
    backwards = (await claim(digests[::-1])).sample
    assert {399 - at for at in backwards} == chosen, "also of duplicates, which the store does not look for"
    await gate.session.close()


async def test_a_retry_after_a_claim_that_failed_in_the_middle_is_no_late_duplicate(
    store: StoreServer, settings_for: MakeSettings
) -> None:
    """Transactions are written before signatures, so that only these may be missing."""
    gate = await connected_gate(settings_for(store, late_sample=1, dedup_window_seconds=60))
    digest = signature_hash("retried")
    prefix, deliveries = gate.maps.partition_of(digest), Deliveries([digest], ["feed"])
    await gate.maps.claim(prefix, deliveries, BLOCK, 1)
    for node in store.nodes():
        with node:
            for key in node.scan_iter(match=store_key("tidegate:*", "signatures", "*")):
                node.delete(key)
    again = await gate.maps.claim(prefix, deliveries, BLOCK, 1)
    assert again.codes == (ACCEPTED,)
    assert await late_of(gate, again, [digest]) == [None]
    await gate.session.close()


async def test_a_second_call_looks_for_late_ones_too(store: StoreServer, settings_for: MakeSettings) -> None:
    """A gate that had a signature lately takes it for a duplicate, and brings it with a second call."""
    gate = await connected_gate(settings_for(store, late_sample=1, **WINDOW))
    await gate.flusher.flush([transaction("again", "helius-a")])
    await asyncio.sleep(0.3)
    [answer] = await gate.flusher.flush([transaction("again", "helius-a")])
    assert answer.verdict == "accepted"
    await gate.late.tick()
    late = views(gate)["helius-a"].late
    assert late is not None
    assert (late.count, late.share) == (1, 0.5)
    await gate.session.close()


async def test_one_call_tells_of_each_acceptance_what_came_before_it(
    store: StoreServer, settings_for: MakeSettings
) -> None:
    """By then a signature may have been accepted once more, which says nothing of the acceptance before."""
    gate = await connected_gate(settings_for(store, late_sample=1, **OLDER_BUCKETS))
    digests = signature_hashes([f"signature-{number}" for number in range(20)])
    samples, expected = list[SampledTransaction](), list[SampledTransaction]()
    for turn in range(3):
        for number, digest in enumerate(digests):
            deliveries = Deliveries([digest], ["feed"])
            while True:
                result = await gate.maps.claim(gate.maps.partition_of(digest), deliveries, BLOCK, 1)
                if result.codes == (ACCEPTED,):
                    break
                await asyncio.sleep(0.01)
            [sample] = result.samples([digest], [0], ["feed"])
            before = samples[(turn - 1) * len(digests) + number].accepted_ms if turn else None
            samples.append(sample)
            late_ms = None if before is None else sample.accepted_ms - before
            expected.append(sample._replace(late_ms=late_ms))
    assert sorted(await gate.queries.late(samples)) == sorted(expected)
    assert await gate.queries.late([]) == []
    await gate.session.close()


async def test_what_is_no_longer_kept_is_not_late(store: StoreServer, settings_for: MakeSettings) -> None:
    brief = {"transaction_retention_seconds": 1, "emergency_transaction_retention_seconds": 0.5}
    gate = await connected_gate(settings_for(store, late_sample=1, dedup_window_seconds=0.2, **brief))
    await gate.flusher.flush([transaction("gone", "helius-a")])
    await asyncio.sleep(1.2)
    await gate.flusher.flush([transaction("gone", "helius-a")])
    await gate.late.tick()
    found = views(gate)["helius-a"]
    assert (found.accepted, found.late) == (2, None)
    await gate.session.close()


async def test_who_delivered_is_told_of_many_as_the_lookup_tells_of_one(
    store: StoreServer, settings_for: MakeSettings
) -> None:
    gate = await connected_gate(settings_for(store, dedup_window_seconds=60))
    signatures = [f"signature-{number}" for number in range(100)]
    for feed, step in (("a", 1), ("b", 2), ("c", 3)):
        await gate.flusher.flush([transaction(signature, feed) for signature in signatures[::step]])
    digests = signature_hashes([*signatures, "unknown"])
    found = await gate.queries.deliverers(digests)
    assert list(found) != []
    assert set(found) == set(digests[:-1])
    for digest in digests[:-1]:
        alone = await gate.maps.lookup(digest)
        assert alone is not None
        assert found[digest] == (alone.first_seen_ms, alone.sightings)
    assert await gate.queries.deliverers([]) == {}
    await gate.session.close()
