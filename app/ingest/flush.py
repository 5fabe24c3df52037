"""A flush: transactions of several requests, answered with one or two calls to each partition they are in.

Say three feeds deliver at the same moment, and the store has two partitions, P and Q:

    place      0        1        2        3        4
    signature  A        B        C        A        D
    source     helius   helius   quick    quick    grpc
    partition  P        Q        P        P        P
    taken for  new      new      known    repeat   new

1. The plan. A stands there twice and goes to the store once: place 3 repeats place 0. Of the others it is
   guessed which are new (recent_signatures.py); C came lately, so it is taken for known. A call brings the
   transactions of what is taken for new, compressed together in a *block*. The store is told only how many
   signatures have their transaction in it, so those stand first:

       partition   hashes   their places   block
       P           A D C    0 4 2          the transactions of A and D
       Q           B        1              the transaction of B

2. The claims: the two calls, at the same time. P is told too that quick delivered A. It accepts A and D, and
   answers how long ago C was accepted: milliseconds + 1, since 0 says accepted. If that guess is wrong, as
   when the window of C has passed, P answers UNSEEN, and a second claim brings the transaction. When of late
   too many were taken for new and were not, guesses are *not reliable*: first claims bring no block, and a
   second one brings all that is UNSEEN. If P's map of signatures is full, it answers REFUSED for what is new.
3. The answers. Each goes to the place of its signature: P's to 0, 4 and 2, Q's to 1. Those of a second claim
   replace UNSEEN. Place 3 gets the answer of place 0; if that is `accepted`, it is a duplicate of age 0.

When a claim fails, as when a master of a Cluster is gone, its transactions are answered `failed`, with its
error, and the others as ever. When none gets an answer, the flush fails with one of the errors. Nobody knows
whether a failed claim was stored. So when the feed sends again, this gate takes its signatures for known: the
store answers that they are duplicates if it has them, and else UNSEEN, whereupon they are brought.

No transaction is answered `accepted` before it is stored. With TIDEGATE_STORE_MIN_REPLICAS no flush is
answered before so many replicas have what it wrote. Duplicates wait too: another flush may have written what
they repeat a moment ago. If too few replicas answer in time, all of a claim are `failed`, although stored.
"""

from bisect import bisect_left
from collections.abc import Sequence
from itertools import chain
from typing import NamedTuple

from app.decode.columns import Answers, Columns, Repeats, first_places
from app.errors import HttpError, RetryLater
from app.ingest.recent_signatures import Fingerprints, Recent
from app.ingest.source_statistics import SourceStatistics
from app.metrics.catalogue import Metrics
from app.models import ACCEPTED, FAILED, JUST_NOW, UNSEEN, AcceptanceSignal, Transaction
from app.store.blocks import encode_block
from app.store.down_partitions import all_of
from app.store.maps import ClaimResult, Deliveries, Maps
from app.store.partitions import by_partition


class Claim(NamedTuple):
    """What one partition is asked about: its different signatures of a flush, those taken for new first."""

    prefix: str
    """The partition's key prefix."""
    places: Sequence[int]
    """Where in the flush each signature stands first: there its answer goes. All in order are a range."""
    hashes: Sequence[bytes]
    new_count: int
    """How many are taken for new."""

    def only(self, indices: Sequence[int], new_count: int, prefix: str) -> "Claim":
        """Return a claim of those at `indices` of this one; the first `new_count` of them count as new."""
        places, hashes = [self.places[at] for at in indices], [self.hashes[at] for at in indices]
        return Claim(prefix, places, hashes, new_count)


ClaimOutcome = tuple[Claim, ClaimResult | RetryLater]
"""A claim, and what the store answered, or why it did not."""


def plan_flush(
    signatures: Sequence[str], recent: Recent, prefixes: Sequence[str]
) -> tuple[list[Claim], Repeats]:
    """Decide which partition is asked about which signatures, in which order."""
    different, repeats = first_places(signatures)
    asked = [signatures[place] for place in different] if repeats else signatures
    indices, hashes, new_count = recent.guess(asked)
    # `guess` was asked about A B C D and answers by their indices, 0 to 3; D, index 3, is at place 4.
    places = [different[index] for index in indices] if repeats else indices
    whole = Claim(prefixes[0], places, hashes, new_count)
    if len(prefixes) == 1:
        return [whole], repeats
    parts = by_partition(hashes, prefixes).items()
    # The indices of each partition rise, so those below `new_count` come first there, too.
    return [whole.only(part, bisect_left(part, new_count), prefix) for prefix, part in parts], repeats


class Flusher:
    """Claims the signatures of a flush at the store and answers each: the only way in for a transaction."""

    def __init__(
        self,
        maps: Maps,
        metrics: Metrics,
        sources: SourceStatistics,
        shared: Fingerprints | None = None,
        signal: AcceptanceSignal | None = None,
    ) -> None:
        """Store in these maps; whoever listens to `signal` is told when something was accepted."""
        self._maps, self._metrics, self._sources = maps, metrics, sources
        self._signal = signal or AcceptanceSignal()
        self._recent = Recent(shared=shared)

    async def flush(self, items: Sequence[Transaction]) -> Answers:
        """Answer each transaction, of at least one, in its place: `accepted` only once it is stored.

        Raises:
            RetryLater: every claim failed, with a `StoreError` or because too many calls wait for the store.
                Some may have been stored, and are duplicates when sent again.
        """
        self._metrics.ingest_flush_size.observe(len(items))
        columns = Columns.of(items)
        claims, repeats = plan_flush(columns.signatures, self._recent, self._maps.layout.prefixes)
        if len(claims) == 1:
            answered = await self._decide(claims[0], columns, repeats)
        else:
            deciding = [self._decide(claim, columns, repeats) for claim in claims]
            answered = [*chain.from_iterable(await all_of(deciding))]
        answers = in_order_of_flush(answered, repeats, len(columns))
        # Readers get what is stored, whether replicas confirm it or not; so they are woken before that.
        if ACCEPTED in answers.codes and (tell := self._signal.listener) is not None:
            tell()
        stored = [(claim, result) for claim, result in answered if isinstance(result, ClaimResult)]
        if replication := self._maps.replication:
            written = [(claim, claim.prefix, result.carriers) for claim, result in stored]
            if unconfirmed := await replication.unconfirmed(written):
                answers = in_order_of_flush([*answered, *unconfirmed], repeats, len(columns))
        if len(answers.errors) == len(columns):
            raise next(iter(answers.errors.values()))
        self._metrics.count_answers(self._sources.note_flush(columns, answers))
        # Whether a transaction of the sample was a late duplicate, and which sources missed it, is looked up
        # later (sampled_transactions.py).
        for claim, result in stored:
            if result.sample:
                self._sources.fresh.add(result.samples(claim.hashes, claim.places, columns.sources))
        return answers

    async def _decide(self, claim: Claim, columns: Columns, repeats: Repeats) -> list[ClaimOutcome]:
        """Return a claim and its answer; if some were UNSEEN, also a second claim of those and its answer."""
        result = await self._call(claim, columns, repeats)
        if isinstance(result, RetryLater):
            return [(claim, result)]
        if claim.new_count:
            self._recent.learn(result.codes[: claim.new_count])
        if UNSEEN not in result.codes:
            return [(claim, result)]
        unseen = [at for at, code in enumerate(result.codes) if code == UNSEEN]
        second = claim.only(unseen, len(unseen), claim.prefix)
        return [(claim, result), (second, await self._call(second, columns, repeats, result))]

    async def _call(
        self, claim: Claim, columns: Columns, repeats: Repeats, checked: ClaimResult | None = None
    ) -> ClaimResult | RetryLater:
        """Claim at the store, with a block of what is taken for new; a first claim only if that is reliable.

        A second one gives the first one's result, `checked`: the store looks for acceptances since then only.
        """
        block_count = claim.new_count if checked or self._recent.is_reliable else 0
        block = encode_block(columns.only(claim.places[:block_count])) if block_count else b""
        sources = columns.sources
        # The store notes deliveries of what it accepts or knows, and none of what it answers UNSEEN. So
        # repeats go with the first claim, and those of an UNSEEN signature once more with the second.
        index_of = {place: index for index, place in enumerate(claim.places)} if repeats else {}
        repeated = [(index_of[first], sources[at]) for at, first in repeats if first in index_of]
        if not isinstance(claim.places, range):
            sources = [sources[place] for place in claim.places]
        deliveries = Deliveries(claim.hashes, sources, repeated)
        try:
            return await self._maps.claim(claim.prefix, deliveries, block, block_count, checked)
        except RetryLater as error:
            return error


def in_order_of_flush(results: Sequence[ClaimOutcome], repeats: Repeats, count: int) -> Answers:
    """Return the answers of a flush of `count` transactions in order; for a place the last result holds."""
    claim, result = results[0]
    # Places that are a range: nothing was moved and nothing stands there twice.
    if len(results) == 1 and isinstance(claim.places, range) and isinstance(result, ClaimResult):
        return Answers([result.now_ms] * count, result.codes)
    clocks, codes, errors = [0] * count, [FAILED] * count, dict[int, HttpError]()
    for claim, result in results:
        if isinstance(result, ClaimResult):
            for at, code in zip(claim.places, result.codes, strict=True):
                clocks[at], codes[at] = result.now_ms, code
        else:
            for at in claim.places:  # a first claim may have said UNSEEN
                codes[at], errors[at] = FAILED, result
    for at, first in repeats:
        clocks[at], codes[at] = clocks[first], codes[first]
        if codes[first] == ACCEPTED:
            codes[at] = JUST_NOW
        elif first in errors:
            errors[at] = errors[first]
    return Answers(clocks, codes, errors)
