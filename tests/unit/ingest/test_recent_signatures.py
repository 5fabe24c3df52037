"""What a gate had lately saves calls and blocks; what it takes for new or known decides nothing."""

import asyncio
import os
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.errors import StoreTimeout
from app.ingest.lookup import Lookup
from app.ingest.recent_signatures import FINGERPRINT_BYTES, SLOT_BYTES, Fingerprints, Guess, Recent
from app.models import ACCEPTED, UNSEEN, Verdict
from app.process.child_processes import shared_memory
from app.store.maps import ClaimResult, Maps
from app.store.partitions import signature_hashes
from tests.conftest import MakeSettings
from tests.support.deliver import connected_gate, transaction
from tests.support.servers import StoreServer

SIGNATURES = [f"signature-{number}" for number in range(30)]
FEEDS = ("helius-a", "quicknode-b", "grpc-c")
Claim = Callable[..., Any]


@pytest.fixture
def claims(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, int]]:
    """Of each claim, how many signatures it was for, and how many transactions went with it."""
    sizes: list[tuple[int, int]] = []
    claim: Claim = Maps.claim

    async def noted(
        maps: Maps, prefix: str, deliveries: Any, block: bytes, block_count: int, *more: Any
    ) -> ClaimResult:
        sizes.append((len(deliveries.hashes), block_count))
        ages: ClaimResult = await claim(maps, prefix, deliveries, block, block_count, *more)
        return ages

    monkeypatch.setattr(Maps, "claim", noted)
    return sizes


def _known(guess: Guess) -> bytes:
    """1 for each place that is not taken for new."""
    known = bytearray(len(guess.places))
    for place in guess.places[guess.new_count :]:
        known[place] = 1
    return bytes(known)


def _hashes(guess: Guess) -> list[bytes]:
    """The hashes in the order of the signatures that were asked about."""
    hashes = dict(zip(guess.places, guess.hashes, strict=True))
    return [hashes[place] for place in range(len(hashes))]


@given(st.lists(st.lists(st.sampled_from(SIGNATURES), min_size=1), max_size=8), st.integers(1, 20))
def test_the_hashes_are_those_of_the_signatures_and_what_was_asked_for_lately_is_known(
    flushes: list[list[str]], generation: int
) -> None:
    recent, had = Recent(generation), set[str]()
    for signatures in flushes:
        guess = recent.guess(signatures)
        assert _hashes(guess) == signature_hashes(signatures)
        assert {text for text, one in zip(signatures, _known(guess), strict=True) if one} <= had
        had |= set(signatures)
        again = recent.guess(signatures)
        assert (again.places, again.new_count) == (range(len(signatures)), 0), "the last ones are known"
        assert again.hashes == _hashes(guess)


@given(st.lists(st.sampled_from(SIGNATURES), min_size=1, unique=True), st.integers(0, 30))
def test_what_is_new_comes_first_and_beside_others_of_its_kind_each_keeps_its_place(
    signatures: list[str], number: int
) -> None:
    recent, had = Recent(), SIGNATURES[:number]
    if had:
        recent.guess(had)
    places, hashes, new = recent.guess(signatures)
    assert [signatures[at] in had for at in places] == [at >= new for at in range(len(places))]
    assert [list(places[:new]), list(places[new:])] == [sorted(places[:new]), sorted(places[new:])]
    assert hashes == signature_hashes([signatures[at] for at in places])
    assert isinstance(places, range) == (new in (0, len(signatures)))


def test_no_more_than_two_generations_are_kept() -> None:
    recent = Recent(generation=10)
    for number in range(100):
        recent.guess([f"{number}-{at}" for at in range(5)])
    known = [recent.guess([f"{number}-0"]).new_count == 0 for number in range(99, -1, -1)]
    assert sum(known) <= 5, "20 signatures, and a flush on top of each generation"


def test_what_comes_again_stays_known() -> None:
    recent = Recent(generation=10)
    for number in range(100):
        guess = recent.guess(["again", *(f"{number}-{at}" for at in range(5))])
        assert guess.new_count == 5 + (number == 0)


def test_what_another_worker_had_is_known_too() -> None:
    memory = shared_memory("fingerprints", FINGERPRINT_BYTES, "this test")
    one, other = (Recent(shared=Fingerprints.follow(memory)) for _ in range(2))
    os.close(memory)
    assert _known(one.guess(SIGNATURES[:20])) == bytes(20)
    guess = other.guess(SIGNATURES)
    assert (_hashes(guess), _known(guess)) == (signature_hashes(SIGNATURES), b"\1" * 20 + bytes(10))
    mixed = [SIGNATURES[at] if at % 2 else f"new-{at}" for at in range(30)]
    guess = one.guess(mixed)
    assert _hashes(guess) == signature_hashes(mixed)
    assert _known(guess) == bytes(at % 2 for at in range(30)), "its own, and of the last ten the other one's"


@given(st.lists(st.lists(st.sampled_from(signature_hashes(SIGNATURES)), unique=True)))
def test_a_slot_that_another_took_is_forgotten_and_none_is_known_that_was_not_had(
    flushes: list[list[bytes]],
) -> None:
    fingerprints, had = Fingerprints(bytearray(4 * SLOT_BYTES)), set[bytes]()
    for hashes in flushes:
        known = fingerprints.note(hashes)
        assert {digest for digest, one in zip(hashes, known, strict=True) if one} <= had
        had |= set(hashes)
        assert sum(fingerprints.note(hashes[-1:])) == len(hashes[-1:]), "the last one always is"


async def test_feeds_at_different_workers_cost_a_call_each_and_one_block(
    valkey: StoreServer, settings_for: MakeSettings, claims: list[tuple[int, int]]
) -> None:
    memory = shared_memory("fingerprints", FINGERPRINT_BYTES, "this test")
    settings = settings_for(valkey, dedup_window_seconds=60)
    gates = [await connected_gate(settings, Fingerprints.follow(memory)) for _ in FEEDS]
    os.close(memory)
    for feed, gate in zip(FEEDS, gates, strict=True):
        await gate.flusher.flush([transaction(signature, feed) for signature in SIGNATURES])
    assert claims == [(30, 30), (30, 0), (30, 0)]
    for gate in gates:
        await gate.session.close()


async def test_batches_of_several_feeds_cost_a_call_each_and_one_block(
    valkey: StoreServer, settings_for: MakeSettings, claims: list[tuple[int, int]]
) -> None:
    gate = await connected_gate(settings_for(valkey, dedup_window_seconds=60))
    for feed, verdict in zip(FEEDS, (Verdict.ACCEPTED, Verdict.DUPLICATE, Verdict.DUPLICATE), strict=True):
        answers = await gate.flusher.flush([transaction(signature, feed) for signature in SIGNATURES])
        assert [answer.verdict for answer in answers] == [verdict] * 30
    assert claims == [(30, 30), (30, 0), (30, 0)]
    found = await Lookup(gate.maps).find(SIGNATURES[-1])
    assert found is not None
    assert [sighting.source for sighting in found.observations] == list(FEEDS)
    await gate.session.close()


async def test_in_a_flush_of_both_the_new_ones_alone_are_in_the_block(
    store: StoreServer, settings_for: MakeSettings, claims: list[tuple[int, int]]
) -> None:
    gate = await connected_gate(settings_for(store, dedup_window_seconds=60))
    await gate.flusher.flush([transaction(signature, payload=at) for at, signature in enumerate(SIGNATURES)])
    claims.clear()
    mixed = [f"new-{at}" if at % 3 else signature for at, signature in enumerate(SIGNATURES)]
    answers = await gate.flusher.flush([transaction(text, payload=at) for at, text in enumerate(mixed)])
    assert [answer.verdict is Verdict.ACCEPTED for answer in answers] == [bool(at % 3) for at in range(30)]
    assert (sum(count for count, _ in claims), sum(new for _, new in claims)) == (30, 20)
    for at, text in enumerate(mixed):
        found = await Lookup(gate.maps).find(text)
        assert found is not None
        assert bytes(found.payload) == str(at).encode()
    await gate.session.close()


async def test_what_another_flush_has_not_claimed_yet_is_claimed_by_the_first_to_bring_it(
    valkey: StoreServer, settings_for: MakeSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate = await connected_gate(settings_for(valkey, dedup_window_seconds=60))
    claim: Claim = Maps.claim
    other_asked = asyncio.Event()
    first_held: list[object] = []

    async def overtaken(maps: Maps, *args: Any) -> ClaimResult:
        if not first_held:
            first_held.append(args)
            await other_asked.wait()
        ages: ClaimResult = await claim(maps, *args)
        if UNSEEN in ages.codes:
            other_asked.set()
        return ages

    monkeypatch.setattr(Maps, "claim", overtaken)
    items = [transaction(signature) for signature in SIGNATURES]
    async with asyncio.timeout(60):
        first, second = await asyncio.gather(gate.flusher.flush(items), gate.flusher.flush(items))
    for one, other in zip(first, second, strict=True):
        assert {one.verdict, other.verdict} == {Verdict.ACCEPTED, Verdict.DUPLICATE}
        assert one.first_seen_ms == other.first_seen_ms
    await gate.session.close()


async def test_when_the_flush_that_has_it_fails_the_other_one_claims(
    valkey: StoreServer, settings_for: MakeSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate = await connected_gate(settings_for(valkey, dedup_window_seconds=60))
    claim: Claim = Maps.claim
    failures = [StoreTimeout("the first claim is lost")]

    async def failing_once(maps: Maps, *args: Any) -> ClaimResult:
        if failures:
            failure = failures.pop()
            await asyncio.sleep(0)
            raise failure
        ages: ClaimResult = await claim(maps, *args)
        return ages

    monkeypatch.setattr(Maps, "claim", failing_once)
    items = [transaction(signature) for signature in SIGNATURES]
    lost, kept = await asyncio.gather(
        gate.flusher.flush(items), gate.flusher.flush(items), return_exceptions=True
    )
    assert isinstance(lost, StoreTimeout)
    assert not isinstance(kept, BaseException)
    assert [answer.verdict for answer in kept] == [Verdict.ACCEPTED] * 30
    await gate.session.close()


async def test_a_gate_that_guesses_wrong_answers_right_asks_first_from_then_on_and_guesses_again(
    valkey: StoreServer, settings_for: MakeSettings, claims: list[tuple[int, int]]
) -> None:
    settings = settings_for(valkey, dedup_window_seconds=60)
    one, other = await connected_gate(settings), await connected_gate(settings)
    for number in range(6):
        items = [transaction(f"{number}-{signature}") for signature in SIGNATURES]
        await one.flusher.flush(items)
        claims.clear()
        answers = await other.flusher.flush(items)
        assert {answer.verdict for answer in answers} == {Verdict.DUPLICATE}
    assert claims == [(30, 0)], "nothing is compressed in vain any more"
    for number in range(30):
        claims.clear()
        answers = await other.flusher.flush([transaction(f"new-{number}-{text}") for text in SIGNATURES])
        assert {answer.verdict for answer in answers} == {Verdict.ACCEPTED}
        assert claims[-1] == (30, 30)
    assert claims == [(30, 30)]
    for gate in (one, other):
        await gate.session.close()


def test_reliability_follows_what_the_store_says() -> None:
    recent = Recent()
    for _ in range(5):
        recent.learn([7] * 30)
    assert not recent.is_reliable
    for _ in range(30):
        recent.learn([ACCEPTED, UNSEEN] * 15)
    assert recent.is_reliable
