"""A flush: transactions of several requests, answered with one or two calls to each partition they are in.

Say three feeds deliver at the same moment, and the store has two partitions, P and Q:

    place      0        1        2        3        4
    signature  A        B        C        A        D
    source     helius   helius   quick    quick    grpc

1. The plan. A stands there twice, and goes to the store once: place 3 repeats place 0. `recent` has C, which
   this process had lately: C is taken for a duplicate. It computes the hashes of A, B and D; no fingerprint
   that the workers share matches them, so they are taken for new. New ones come first, because the block that
   is stored holds the transactions of the first signatures of a call. That gives the places 0 1 4 2. A hash
   belongs to one partition: P gets the places 0 4 2, say, of which the first two are taken for new, and Q
   gets place 1, which is taken for new, too.
2. The claims, one for each partition, all at once. P is asked about the hashes of A, D and C, with a block
   of the transactions of A and D, and is told that quick delivered A too. It accepts A and D, and says that C
   is a duplicate, by its age. C may be new after all: its window has passed, or its first flush failed, since
   a signature enters `recent` before the store answers. Then P calls C UNSEEN, and a second claim brings its
   transaction. While `recent` is reliable, only signatures wrongly taken for duplicates need one.
3. The answers. Each goes to the first place of its signature: P's to 0, 4 and 2, Q's to 1. That of a second
   claim replaces UNSEEN. Then place 3 repeats the answer of place 0; if that is `accepted`, place 3 is a
   duplicate of this moment.

`recent` is not reliable when of late a fifth or more of what it took for new were duplicates, mostly of other
gates that share the feeds. Then compressing transactions on a guess is wasted: the first claim goes without a
block, and what is new is always called UNSEEN and brought by a second one.

When a claim fails, the others are still waited for; then the whole flush fails with the error of the first
claim of the plan that failed. What the others accepted stays stored, and is a duplicate when the client sends
it again. What was not stored is in `recent` all the same, so it needs a second claim when it is sent again.
Nothing is answered `accepted` that is not stored.
"""

import asyncio
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Sequence
from typing import NamedTuple

from app.decode.columns import Answers, Columns
from app.ingest.blocks import encode_block
from app.ingest.recent import Fingerprints, Recent
from app.ingest.source_statistics import SourceStatistics, count_outcomes
from app.metrics.catalogue import Metrics
from app.models import ACCEPTED, REFUSED, UNSEEN, Transaction
from app.store.layout import partition_of
from app.store.maps import ClaimResult, Deliveries, Maps

JUST_NOW = 1
"""A duplicate's code is its age in milliseconds + 1; this is the code of age 0."""

Repeats = Sequence[tuple[int, int]]
"""Pairs of places: where a signature comes again, and where it came first."""


class Claim(NamedTuple):
    """What one partition is asked: about its different signatures of a flush, those taken for new first."""

    prefix: str
    """The partition's key prefix."""
    places: Sequence[int]
    """Where in the flush each of them stands first, and its answer goes."""
    hashes: Sequence[bytes]
    new: int
    """How many are taken for new."""

    def only(self, indices: Sequence[int], new: int) -> "Claim":
        """Return a claim of those at `indices` of this one, the first `new` of which are taken for new."""
        places, hashes = [self.places[at] for at in indices], [self.hashes[at] for at in indices]
        return Claim(self.prefix, places, hashes, new)


Said = tuple[Claim, ClaimResult]
"""A claim, and what the store said of it."""


def plan_flush(
    signatures: Sequence[str], recent: Recent, prefixes: Sequence[str]
) -> tuple[list[Claim], Repeats]:
    """Decide which partition is asked about which signatures, in which order."""
    different, repeats = _different(signatures)
    places, hashes, new = recent.guess([signatures[at] for at in different] if repeats else signatures)
    if repeats:
        places = [different[at] for at in places]
    if len(prefixes) == 1:
        return [Claim(prefixes[0], places, hashes, new)], repeats
    parted: dict[int, list[int]] = defaultdict(list)
    for at, digest in enumerate(hashes):
        parted[partition_of(digest, len(prefixes))].append(at)
    # The indices of a partition are in rising order, so those below `new`, taken for new, come first.
    return [
        Claim(prefixes[number], places, hashes, new).only(indices, bisect_left(indices, new))
        for number, indices in parted.items()
    ], repeats


def _different(signatures: Sequence[str]) -> tuple[Sequence[int], Repeats]:
    """Return where each different signature stands first, and what comes after as repeats."""
    count = len(signatures)
    if count == 1 or len(set(signatures)) == count:
        return range(count), ()
    first_at: dict[str, int] = {}
    firsts = list(map(first_at.setdefault, signatures, range(count)))
    return list(first_at.values()), [(at, first) for at, first in enumerate(firsts) if at != first]


class Flusher:
    """The only way into the store for a transaction."""

    def __init__(
        self, maps: Maps, metrics: Metrics, sources: SourceStatistics, shared: Fingerprints | None = None
    ) -> None:
        self._maps, self._metrics, self._sources = maps, metrics, sources
        self._recent = Recent(shared=shared)

    async def flush(self, items: Sequence[Transaction]) -> Answers:
        """Answer each transaction in its place, `accepted` only once it is stored.

        Raises:
            StoreError: some of them may have been stored; sent again, those are duplicates.
        """
        self._metrics.ingest_flush_size.observe(len(items))
        columns = Columns.of(items)
        claims, repeats = plan_flush(columns.signatures, self._recent, self._maps.layout.prefixes)
        if len(claims) == 1:
            said = await self._decide(claims[0], columns, repeats)
        else:
            said = await self._decide_all(claims, columns, repeats)
        answers = scattered(said, repeats, len(columns))
        counts = count_outcomes(columns.sources, answers.codes)
        self._sources.note(counts, max(answers.clocks))
        self._metrics.count_answers(counts)
        if REFUSED not in answers.codes and any(columns.slots):
            self._sources.note_slots(columns.sources, columns.slots)
        for claim, result in said:
            if result.sample:
                delivered = Deliveries(claim.hashes, [columns.sources[at] for at in claim.places])
                self._sources.note_samples(result.samples(delivered), self._maps.layout.late_sample)
        return answers

    async def _decide_all(self, claims: Sequence[Claim], columns: Columns, repeats: Repeats) -> list[Said]:
        """Wait for all claims; return what was said of each, or raise the error of the first that failed."""
        deciding = (self._decide(claim, columns, repeats) for claim in claims)
        outcomes = await asyncio.gather(*deciding, return_exceptions=True)
        said: list[Said] = []
        for outcome in outcomes:
            if isinstance(outcome, BaseException):
                raise outcome
            said += outcome
        return said

    async def _decide(self, claim: Claim, columns: Columns, repeats: Repeats) -> list[Said]:
        """Return a claim and its answer; if some were UNSEEN, also a second claim of those and its answer."""
        result = await self._call(claim, claim.new if self._recent.is_reliable else 0, columns, repeats)
        if claim.new:
            self._recent.learn(result.codes[: claim.new])
        if UNSEEN not in result.codes:
            return [(claim, result)]
        unseen = [at for at, code in enumerate(result.codes) if code == UNSEEN]
        second = claim.only(unseen, len(unseen))
        return [(claim, result), (second, await self._call(second, second.new, columns, repeats, result))]

    async def _call(
        self, claim: Claim, new: int, columns: Columns, repeats: Repeats, checked: ClaimResult | None = None
    ) -> ClaimResult:
        """Claim at the store, with a block of the transactions of the first `new` signatures.

        `checked` is the first claim's result: the store then looks only for acceptances since that call.
        """
        block = encode_block(columns.only(claim.places[:new])) if new else b""
        sources, later = columns.sources, list[tuple[int, str]]()
        if repeats:
            index_of = {place: at for at, place in enumerate(claim.places)}
            later = [(index_of[first], sources[at]) for at, first in repeats if first in index_of]
        if not isinstance(claim.places, range):
            sources = [sources[place] for place in claim.places]
        return await self._maps.claim(
            claim.prefix, Deliveries(claim.hashes, sources, later), block, new, checked
        )


def scattered(said: Sequence[Said], repeats: Repeats, count: int) -> Answers:
    """Return the answers of a flush of `count` transactions in order; a second claim's replace UNSEEN."""
    claim, result = said[0]
    clocks: list[int] = [result.now_ms] * count
    if len(said) == 1 and isinstance(claim.places, range):
        return Answers(clocks, result.codes)
    codes = [REFUSED] * count  # every place is written below; REFUSED only fills the list
    for claim, result in said:
        for at, code in zip(claim.places, result.codes, strict=True):
            clocks[at], codes[at] = result.now_ms, code
    for at, first in repeats:
        clocks[at], codes[at] = clocks[first], codes[first]
        if codes[first] == ACCEPTED:
            codes[at] = JUST_NOW
    return Answers(clocks, codes)
