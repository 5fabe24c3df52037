"""One plan of a flush: nothing is lost or confused, what is taken for new comes first, and once."""

from collections.abc import Sequence
from itertools import chain

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.errors import StoreTimeout
from app.ingest.flush import Claim, in_order_of_flush, plan_flush
from app.ingest.lookup import Lookup
from app.ingest.recent_signatures import Recent
from app.models import ACCEPTED, REFUSED, UNSEEN, MapName, Verdict
from app.store.maps import ClaimResult, Maps
from app.store.partitions import partition_of, partition_prefixes, signature_hashes
from tests.conftest import MakeSettings
from tests.support.deliver import connected_gate, transaction
from tests.support.servers import StoreServer

ONE, SIXTEEN = (partition_prefixes("tidegate", partitions) for partitions in (1, 16))
SIGNATURES = [f"signature-{number}" for number in range(30)]
SOME = st.lists(st.sampled_from(SIGNATURES), min_size=1, max_size=40)
PREFIXES = st.sampled_from([ONE, SIXTEEN])


def _recent(known: Sequence[str]) -> Recent:
    recent = Recent()
    recent.guess(known)
    return recent


@given(SOME, SOME, PREFIXES)
def test_each_different_signature_is_asked_of_its_partition_once_where_it_stands_first(
    known: list[str], signatures: list[str], prefixes: tuple[str, ...]
) -> None:
    claims, repeats = plan_flush(signatures, _recent(known), prefixes)
    places = list(chain.from_iterable(claim.places for claim in claims))
    assert sorted(places) == sorted(map(signatures.index, set(signatures)))
    assert sorted([*places, *(at for at, _ in repeats)]) == list(range(len(signatures)))
    for at, first in repeats:
        assert first == signatures.index(signatures[at]) < at
    assert len({claim.prefix for claim in claims}) == len(claims)
    for claim in claims:
        assert claim.hashes == signature_hashes([signatures[at] for at in claim.places])
        assert {prefixes[partition_of(digest, len(prefixes))] for digest in claim.hashes} == {claim.prefix}


@given(SOME, SOME, PREFIXES)
def test_those_that_are_new_come_first_and_are_not_moved_if_they_do_already(
    known: list[str], signatures: list[str], prefixes: tuple[str, ...]
) -> None:
    claims, repeats = plan_flush(signatures, _recent(known), prefixes)
    for claim in claims:
        is_known = [signatures[at] in known for at in claim.places]
        assert is_known == [at >= claim.new_count for at in range(len(claim.places))]
        for part in (claim.places[: claim.new_count], claim.places[claim.new_count :]):
            assert list(part) == sorted(part), "beside others of its kind each keeps its place"
    flags = [signature in known for signature in signatures]
    if prefixes is ONE and not repeats:
        assert isinstance(claims[0].places, range) == (len(set(flags)) == 1)


def test_the_example_of_the_module_is_planned_as_it_says() -> None:
    # Of the two partitions of the example these signatures are in the ones that it says.
    names = {"P": [], "Q": []}  # type: dict[str, list[str]]
    for name in (f"x{number}" for number in range(40)):
        names["PQ"[partition_of(signature_hashes([name])[0], 2)]].append(name)
    (a, c, d, *_), (b, *_) = names["P"], names["Q"]
    claims, repeats = plan_flush([a, b, c, a, d], _recent([c]), ["P", "Q"])
    assert [(claim.prefix, list(claim.places), claim.new_count) for claim in claims] == [
        ("P", [0, 4, 2], 2),
        ("Q", [1], 1),
    ]
    assert list(repeats) == [(3, 0)]


def test_each_later_one_is_a_duplicate_of_the_first() -> None:
    claims, repeats = plan_flush(["a", "b", "a", "c", "b", "a"], Recent(), ONE)
    assert [list(claim.places) for claim in claims] == [[0, 1, 3]]
    assert repeats == [(2, 0), (4, 1), (5, 0)]
    answers = in_order_of_flush([(claims[0], ClaimResult(200, (ACCEPTED, 43, REFUSED), 9))], repeats, 6)
    assert list(answers.codes) == [ACCEPTED, 43, 1, REFUSED, 43, 1]
    assert [answer.first_seen_ms for answer in answers] == [200, 158, 200, None, 158, 200]


@given(SOME, SOME, PREFIXES, st.sets(st.sampled_from(SIGNATURES)))
def test_every_answer_goes_to_its_place_whichever_call_said_it(
    known: list[str], signatures: list[str], prefixes: tuple[str, ...], unseen: set[str]
) -> None:
    claims, repeats = plan_flush(signatures, _recent(known), prefixes)
    said: list[tuple[Claim, ClaimResult]] = []
    for number, claim in enumerate(claims):
        texts = [signatures[at] for at in claim.places]
        codes = [UNSEEN if text in unseen else 100 + SIGNATURES.index(text) for text in texts]
        said.append((claim, ClaimResult(number, tuple(codes), 0)))
        again = [at for at, text in enumerate(texts) if text in unseen]
        left = claim.only(again, len(again), claim.prefix)
        if left.places:
            codes = [100 + SIGNATURES.index(signatures[at]) for at in left.places]
            said.append((left, ClaimResult(1000 + number, tuple(codes), 0)))
    answers = in_order_of_flush(said, repeats, len(signatures))
    assert list(answers.codes) == [100 + SIGNATURES.index(text) for text in signatures]
    assert [clock >= 1000 for clock in answers.clocks] == [text in unseen for text in signatures]


@given(st.lists(SOME, max_size=8), PREFIXES)
def test_a_flush_of_one_needs_no_more_than_one_claim_with_everything_in_its_place(
    flushes: list[list[str]], prefixes: tuple[str, ...]
) -> None:
    recent = Recent()
    for signatures in flushes:
        recent.guess(signatures)
        [claim], repeats = plan_flush(signatures[:1], recent, prefixes)
        assert (list(claim.places), claim.new_count, list(repeats)) == ([0], 0, [])


async def test_what_a_first_claim_has_answered_stands_when_the_second_fails(
    valkey: StoreServer, settings_for: MakeSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate = await connected_gate(settings_for(valkey, dedup_window_seconds=60))
    await gate.flusher.flush([transaction("known")])
    claim = Maps.claim

    async def fails_when_asked_again(maps: Maps, *args: object) -> ClaimResult:
        if isinstance(args[-1], ClaimResult):
            raise StoreTimeout("the second claim is lost")
        return await claim(maps, *args)  # type: ignore[arg-type]  # as they were given

    gate.flusher._recent.guess(["new"])  # noqa: SLF001  so that it is taken for known, and is UNSEEN
    with monkeypatch.context() as patch:
        patch.setattr(Maps, "claim", fails_when_asked_again)
        answers = await gate.flusher.flush([transaction("new"), transaction("known")])
    assert [answer.verdict for answer in answers] == [Verdict.FAILED, Verdict.DUPLICATE]
    answers = await gate.flusher.flush([transaction("new"), transaction("known")])
    assert [answer.verdict for answer in answers] == [Verdict.ACCEPTED, Verdict.DUPLICATE]
    await gate.session.close()


@pytest.mark.parametrize("times", [1, 2])
async def test_one_flush_of_several_feeds_accepts_once_and_knows_who_delivered(
    store: StoreServer, settings_for: MakeSettings, times: int
) -> None:
    gate = await connected_gate(settings_for(store, dedup_window_seconds=60))
    signatures, feeds = [f"signature-{number}" for number in range(40)], ("helius-a", "quicknode-b", "grpc-c")
    for at in range(times):
        items = [transaction(signature, feed) for feed in feeds for signature in signatures]
        answers = list(await gate.flusher.flush(items))
        accepted = [answer.verdict is Verdict.ACCEPTED for answer in answers]
        assert accepted == [at == 0] * 40 + [False] * 80
    first_seen = {answer.first_seen_ms for answer in answers[:40]}
    for signature in signatures:
        found = await Lookup(gate.maps).find(signature)
        assert found is not None
        assert found.first_seen_ms in first_seen
        assert {sighting.source for sighting in found.observations} == set(feeds)
    sizes = await gate.maps.sizes()
    assert [sizes[name].entries for name in MapName] == [40, 40, 120]
    await gate.session.close()


async def test_a_flush_of_known_and_new_signatures_keeps_each_with_its_own_payload(
    store: StoreServer, settings_for: MakeSettings
) -> None:
    gate = await connected_gate(settings_for(store, dedup_window_seconds=60))
    await gate.flusher.flush([transaction(f"known-{n}", payload=f"known-{n}") for n in range(0, 30, 2)])
    items = [transaction(f"known-{n // 2}", f"feed-{n % 2}", payload=f"known-{n // 2}") for n in range(60)]
    answers = list(await gate.flusher.flush(items))
    accepted = [n for n, answer in enumerate(answers) if answer.verdict is Verdict.ACCEPTED]
    assert accepted == [n for n in range(60) if n % 4 == 2], "the odd ones, delivered first by feed-0"
    for n in range(30):
        found = await Lookup(gate.maps).find(f"known-{n}")
        assert found is not None
        assert bytes(found.payload) == f'"known-{n}"'.encode()
        assert {"feed-0", "feed-1"} <= {sighting.source for sighting in found.observations}
    await gate.session.close()


async def test_when_one_partition_fails_the_others_are_answered_and_what_had_failed_is_accepted_afterwards(
    store: StoreServer, settings_for: MakeSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate = await connected_gate(settings_for(store, dedup_window_seconds=60))
    claim, failing = Maps.claim, gate.maps.layout.prefixes[-1]

    async def fails_on_one(maps: Maps, prefix: str, *args: object) -> ClaimResult:
        if prefix == failing:
            raise StoreTimeout("this partition is lost")
        return await claim(maps, prefix, *args)  # type: ignore[arg-type]  # as they were given

    items = [transaction(signature) for signature in [*SIGNATURES, *SIGNATURES[:9]]]
    lost = [gate.maps.partition_of(digest) == failing for digest in signature_hashes(SIGNATURES)]
    with monkeypatch.context() as patch:
        patch.setattr(Maps, "claim", fails_on_one)
        if all(lost):
            with pytest.raises(StoreTimeout):
                await gate.flusher.flush(items)
        else:
            answers = await gate.flusher.flush(items)
            failed = [answer.verdict is Verdict.FAILED for answer in answers]
            assert failed == [*lost, *lost[:9]], "also what comes again of it in the same flush"
            assert [at for at, has_failed in enumerate(failed) if has_failed] == sorted(answers.errors)
            assert {str(error) for error in answers.errors.values()} == {"this partition is lost"}
    items = items[: len(SIGNATURES)]
    answers = await gate.flusher.flush(items)
    assert [answer.verdict is Verdict.ACCEPTED for answer in answers] == lost
    assert any(lost)
    assert all(lost) == (len(gate.maps.layout.prefixes) == 1)
    await gate.session.close()
