"""A flush: transactions of several requests, answered with one or two calls to each partition they are in.

Say three feeds deliver at the same moment, and the store has two partitions, P and Q:

    place      0        1        2        3        4
    signature  A        B        C        A        D
    source     helius   helius   quick    quick    grpc
    partition  P        Q        P        P        P
    taken for  new      new      known    repeat   new

1. The plan. A stands there twice and goes to the store once: place 3 repeats place 0. Of the others it is
   guessed which are new. `recent` keeps the signatures that this process flushed lately, with their hashes;
   it has C, so C is taken for known. With several workers, the hashes of A, B and D are also looked up among
   those that other workers had lately; say none is there. A call brings the transactions of what is taken
   for new, compressed together in a *block*; so these signatures come first:

       partition   hashes   their places   block
       P           A D C    0 4 2          the transactions of A and D
       Q           B        1              the transaction of B

2. The claims: the two calls, at the same time. P is told too that quick delivered A. It accepts A and D, and
   answers how long ago C was accepted. The guess about C may be wrong: its window may have passed, or its
   first flush failed (signatures enter `recent` before the store answers). Then P answers UNSEEN for it, and
   a second claim brings C's transaction.
3. The answers. Each goes to the place of its signature: P's to 0, 4 and 2, Q's to 1. Those of a second claim
   replace UNSEEN. Last, place 3 gets the answer of place 0; if that is `accepted`, place 3 is a duplicate of
   age 0.

A guess may be wrong the other way as well: B is taken for new, but another gate with the same feeds has
stored it, so the block was compressed and sent in vain. `recent` keeps the share of what was taken for new
and was not, averaged over the last ten claims or so. While that is a fifth or more, its guesses are *not
reliable*, and the first claim goes without a block. The store answers UNSEEN for all that is new, and a
second claim brings the block.

When a claim fails, as when a master of a Cluster is gone, the transactions of the other claims get their
answers all the same, and those of this one its error: `failed`. Where a second claim fails, what the first
one said of other transactions stands. When no transaction gets an answer, the flush fails, with one of these
errors. Two things may happen to a transaction that failed and is sent again:

- It was stored all the same, by a claim whose answer was lost. Then it is a duplicate.
- It was not stored. Its signature is in `recent`, so it is taken for known and answered UNSEEN, and a second
  claim brings it.

No transaction is answered `accepted` before it is stored. With TIDEGATE_STORE_MIN_REPLICAS no flush is
answered before so many replicas have what it wrote. A duplicate counts as confirmed only if they have the
acceptance that it repeats as well, which another flush may have written a moment ago. Where they do not in
time, all transactions of the claim are `failed`, although they are stored.
"""

import asyncio
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import NamedTuple

from app.decode.columns import Answers, Columns
from app.errors import HttpError, RetryLater
from app.ingest.recent_signatures import Fingerprints, Recent
from app.ingest.source_statistics import SourceStatistics, count_outcomes
from app.metrics.catalogue import Metrics
from app.models import ACCEPTED, FAILED, REFUSED, UNSEEN, Transaction
from app.store.blocks import encode_block
from app.store.maps import ClaimResult, Deliveries, Maps
from app.store.partitions import partition_of
from app.store.replication import Replication

JUST_NOW = 1
"""A duplicate's code is its age in milliseconds + 1; this is the code of age 0."""

Repeats = Sequence[tuple[int, int]]
"""Pairs of places: where a signature comes again, and where it came first."""


class Claim(NamedTuple):
    """What one partition is asked about: its different signatures of a flush, those taken for new first."""

    prefix: str
    """The partition's key prefix."""
    places: Sequence[int]
    """The place in the flush where the signature of each hash stands first: there its answer goes.

    It is a range if the claim has all places of the flush in order: 0, 1, 2, ...
    """
    hashes: Sequence[bytes]
    new_count: int
    """How many are taken for new."""

    def only(self, indices: Sequence[int], new_count: int) -> "Claim":
        """Return a claim of those at `indices` of this one; the first `new_count` of them count as new."""
        places, hashes = [self.places[at] for at in indices], [self.hashes[at] for at in indices]
        return Claim(self.prefix, places, hashes, new_count)


Answered = tuple[Claim, ClaimResult | RetryLater]
"""A claim, and what the store answered, or why it did not."""


def plan_flush(
    signatures: Sequence[str], recent: Recent, prefixes: Sequence[str]
) -> tuple[list[Claim], Repeats]:
    """Decide which partition is asked about which signatures, in which order."""
    different, repeats = _different(signatures)
    asked = [signatures[place] for place in different] if repeats else signatures
    indices, hashes, new_count = recent.guess(asked)
    # `guess` was asked about A B C D and answers by their indices, 0 to 3; D, index 3, is at place 4.
    places = [different[index] for index in indices] if repeats else indices
    if len(prefixes) == 1:
        return [Claim(prefixes[0], places, hashes, new_count)], repeats
    return _claims_by_partition(places, hashes, new_count, prefixes), repeats


def _claims_by_partition(
    places: Sequence[int], hashes: Sequence[bytes], new_count: int, prefixes: Sequence[str]
) -> list[Claim]:
    """Return a claim for each partition that has any of the hashes; the first `new_count` are new."""
    parted: dict[int, list[int]] = defaultdict(list)
    for index, digest in enumerate(hashes):
        parted[partition_of(digest, len(prefixes))].append(index)
    # The indices of each partition rise, so those below `new_count` come first there, too.
    return [
        Claim(
            prefixes[number],
            [places[index] for index in indices],
            [hashes[index] for index in indices],
            bisect_left(indices, new_count),
        )
        for number, indices in parted.items()
    ]


def _different(signatures: Sequence[str]) -> tuple[Sequence[int], Repeats]:
    """Return where each different signature stands first, and what comes after as repeats."""
    count = len(signatures)
    if count == 1 or len(set(signatures)) == count:
        return range(count), ()
    first_at: dict[str, int] = {}
    firsts = list(map(first_at.setdefault, signatures, range(count)))  # the place where each stands first
    return list(first_at.values()), [(at, first) for at, first in enumerate(firsts) if at != first]


class Flusher:
    """The only way into the store for a transaction."""

    def __init__(
        self,
        maps: Maps,
        metrics: Metrics,
        sources: SourceStatistics,
        shared: Fingerprints | None = None,
        on_accepted: Sequence[Callable[[], object]] = (),
    ) -> None:
        """Store in these maps; what is in `on_accepted` by then is called when something was accepted."""
        self._maps, self._metrics, self._sources, self._on_accepted = maps, metrics, sources, on_accepted
        self._recent = Recent(shared=shared)

    async def flush(self, items: Sequence[Transaction]) -> Answers:
        """Answer each transaction, of at least one, in its place: `accepted` only once it is stored.

        Raises:
            StoreError: none was answered; some may have been stored, and are duplicates when sent again.
        """
        self._metrics.ingest_flush_size.observe(len(items))
        columns = Columns.of(items)
        claims, repeats = plan_flush(columns.signatures, self._recent, self._maps.layout.prefixes)
        if len(claims) == 1:
            results = await self._decide(claims[0], columns, repeats)
        else:
            results = await self._decide_all(claims, columns, repeats)
        if self._maps.replication is not None:
            results = await self._confirmed(results, self._maps.replication)
        answers = scattered(results, repeats, len(columns))
        if len(answers.errors) == len(columns):
            raise next(iter(answers.errors.values()))
        if ACCEPTED in answers.codes:
            # Where replicas confirm, `_confirmed` has done so too: it only wakes readers.
            for tell in self._on_accepted:
                tell()
        counts = count_outcomes(columns.sources, answers.codes)
        self._sources.note(counts, max(answers.clocks))
        self._metrics.count_answers(counts)
        # The highest slot of each source is noted, of transactions that were stored. A flush in which some
        # were not is rare and left out as a whole: it is not worth sorting out the slots of the others.
        if REFUSED not in answers.codes and not answers.errors and any(columns.slots):
            self._sources.note_slots(columns.sources, columns.slots)
        # One in TIDEGATE_LATE_SAMPLE signatures, chosen by its hash, is in the sample. If it was accepted,
        # two questions are asked afterwards: was an earlier transaction of it still kept, so that this one
        # is a late duplicate (late_duplicates.py)? And which sources delivered it (source_misses.py)?
        for claim, result in results:
            if isinstance(result, ClaimResult) and result.sample:
                samples = result.samples(claim.hashes, claim.places, columns.sources)
                self._sources.fresh.add(samples)
        return answers

    async def _decide_all(self, claims: list[Claim], columns: Columns, repeats: Repeats) -> list[Answered]:
        """Wait for all claims, and return each with its answer."""
        deciding = (self._decide(claim, columns, repeats) for claim in claims)
        outcomes = await asyncio.gather(*deciding, return_exceptions=True)
        results: list[Answered] = []
        for outcome in outcomes:
            if isinstance(outcome, BaseException):
                raise outcome
            results += outcome
        return results

    async def _decide(self, claim: Claim, columns: Columns, repeats: Repeats) -> list[Answered]:
        """Return a claim and its answer; if some were UNSEEN, also a second claim of those and its answer."""
        block_count = claim.new_count if self._recent.is_reliable else 0
        try:
            result = await self._call(claim, block_count, columns, repeats)
        except RetryLater as error:
            return [(claim, error)]
        if claim.new_count:
            self._recent.learn(result.codes[: claim.new_count])
        if UNSEEN not in result.codes:
            return [(claim, result)]
        unseen = [at for at, code in enumerate(result.codes) if code == UNSEEN]
        second = claim.only(unseen, len(unseen))
        try:
            again = await self._call(second, len(unseen), columns, repeats, checked=result)
        except RetryLater as error:
            return [(claim, result), (second, error)]
        return [(claim, result), (second, again)]

    async def _confirmed(self, results: list[Answered], replication: Replication) -> list[Answered]:
        """Return the answers that enough replicas have confirmed, and why not in the place of the others."""
        stored = [(claim, result) for claim, result in results if isinstance(result, ClaimResult)]
        if any(ACCEPTED in result.codes for _, result in stored):
            # Before replicas confirm it, and if they do not: readers get what is stored.
            for tell in self._on_accepted:
                tell()
        carriers = {link: claim.prefix for claim, result in stored for link in result.carriers}
        refusals = await replication.confirm(carriers)
        for claim, result in stored:
            results += [(claim, refusals[link]) for link in result.carriers if link in refusals]
        return results

    async def _call(
        self,
        claim: Claim,
        block_count: int,
        columns: Columns,
        repeats: Repeats,
        checked: ClaimResult | None = None,
    ) -> ClaimResult:
        """Claim at the store, with a block of the transactions of the first `block_count` signatures.

        `checked` is the first claim's result: the store then looks only for acceptances since that call.
        """
        block = _block_of(columns.only(claim.places[:block_count])) if block_count else b""
        sources = columns.sources
        # The store notes deliveries of what it accepts or knows, and none of what it answers UNSEEN. So
        # repeats go with the first claim, and those of an UNSEEN signature once more with the second.
        index_of = {place: index for index, place in enumerate(claim.places)} if repeats else {}
        repeated = [(index_of[first], sources[at]) for at, first in repeats if first in index_of]
        if not isinstance(claim.places, range):
            sources = [sources[place] for place in claim.places]
        deliveries = Deliveries(claim.hashes, sources, repeated)
        return await self._maps.claim(claim.prefix, deliveries, block, block_count, checked)


def _block_of(columns: Columns) -> bytes:
    return encode_block(columns.signatures, columns.sources, columns.slots, columns.payloads)


def scattered(results: Sequence[Answered], repeats: Repeats, count: int) -> Answers:
    """Return the answers of a flush of `count` transactions in order; a second claim's replace UNSEEN."""
    claim, result = results[0]
    if len(results) == 1 and isinstance(claim.places, range) and isinstance(result, ClaimResult):
        return Answers([result.now_ms] * count, result.codes)
    clocks, codes, errors = [0] * count, [FAILED] * count, dict[int, HttpError]()
    for claim, result in results:
        if isinstance(result, ClaimResult):
            for at, code in zip(claim.places, result.codes, strict=True):
                clocks[at], codes[at] = result.now_ms, code
        else:
            errors |= dict.fromkeys(claim.places, result)
    for at in errors:
        codes[at] = FAILED  # a first claim may have said UNSEEN of it
    for at, first in repeats:
        clocks[at], codes[at] = clocks[first], codes[first]
        if codes[first] == ACCEPTED:
            codes[at] = JUST_NOW
        elif first in errors:
            errors[at] = errors[first]
    return Answers(clocks, codes, errors)
