"""One flush: hash, compress, claim. The only way into the store for a transaction."""

import asyncio
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from itertools import chain

from app.decode.columns import Batch, tally
from app.ingest.blocks import encode_block
from app.ingest.doubles import Doubles
from app.ingest.fingerprints import Fingerprints
from app.ingest.flush_plan import moved_back, new_first, runs_of, these_first, zeros
from app.ingest.recent import Recent
from app.ingest.source_statistics import Sources
from app.metrics.catalogue import Metrics
from app.models import REFUSED, Answers, Transaction
from app.store.maps import UNSEEN, Ages, Deliveries, Maps


class Pipeline:
    """Turns transactions into answers, in their order."""

    def __init__(
        self, maps: Maps, metrics: Metrics, sources: Sources, shared: Fingerprints | None = None
    ) -> None:
        self._maps = maps
        self._metrics = metrics
        self._sources = sources
        self._recent = Recent(shared=shared)

    async def flush(self, items: Sequence[Transaction], sizes: Sequence[int] = ()) -> Answers:
        """Answer each transaction, `accepted` only once it is stored; `sizes` are those of their requests.

        Raises:
            StoreError: some of them may have been stored; sent again, those are duplicates.
        """
        self._metrics.ingest_flush_size.observe(len(items))
        batch, runs = Batch.of(items), runs_of(sizes or (len(items),))
        if len(runs) == 1:
            answers = await self._answer(batch, *self._recent.hashes(batch.signatures))
        else:
            answers = await self._answer_runs(batch, runs)
        self._count(batch.sources, answers, runs)
        return answers

    async def _answer_runs(self, batch: Batch, runs: Sequence[slice]) -> Answers:
        """The same of several, those that are all new first."""
        looked_up = [self._recent.hashes(batch.signatures[run]) for run in runs]
        order = new_first([known for _, known in looked_up])
        hashes = list(chain.from_iterable([looked_up[at][0] for at in order]))
        known = b"".join([looked_up[at][1] for at in order])
        if order == sorted(order):
            return await self._answer(batch, hashes, known)
        places = [runs[at] for at in order]
        moved = Batch.joined([batch[place] for place in places])
        return moved_back(await self._answer(moved, hashes, known), places)

    async def _answer(self, batch: Batch, hashes: Sequence[bytes], known: bytes) -> Answers:
        deliveries = Deliveries(hashes, batch.sources, known=known)
        prefixes = self._maps.layout.prefixes
        if len(prefixes) == 1:
            return await self._admit(prefixes[0], deliveries, batch)
        return await self._admit_parted(deliveries, batch)

    async def _admit_parted(self, deliveries: Deliveries, batch: Batch) -> Answers:
        """The same on every partition at once."""
        groups: dict[str, list[int]] = defaultdict(list)
        for at, digest in enumerate(deliveries.hashes):
            groups[self._maps.partition_of(digest)].append(at)
        clocks, codes = [0] * len(batch), [REFUSED] * len(batch)

        async def admit(prefix: str, group: list[int]) -> None:
            found = await self._admit(prefix, deliveries.only(group), batch.only(group))
            for at, clock, code in zip(group, found.clocks, found.codes, strict=True):
                clocks[at], codes[at] = clock, code

        outcomes = await asyncio.gather(*(admit(*pair) for pair in groups.items()), return_exceptions=True)
        for outcome in outcomes:
            if outcome is not None:
                raise outcome
        return Answers(clocks, codes)

    async def _admit(self, prefix: str, deliveries: Deliveries, batch: Batch) -> Answers:
        """Each signature goes to the store once a flush, whoever delivered it again with it."""
        hashes, sources = deliveries.hashes, deliveries.sources
        if len(set(hashes)) == len(hashes):
            return await self._decide(prefix, deliveries, batch)
        doubles = Doubles(hashes)
        different = Deliveries(
            [hashes[at] for at in doubles.firsts],
            [sources[at] for at in doubles.firsts],
            [(place, sources[at]) for at, place in doubles.later],
            bytes([deliveries.known[at] for at in doubles.firsts]),
        )
        return doubles.spread(await self._decide(prefix, different, batch.only(doubles.firsts)))

    async def _decide(self, prefix: str, deliveries: Deliveries, batch: Batch) -> Answers:
        """With one call, unless something that was taken for a duplicate is none: that needs a second one."""
        unknown = zeros(deliveries.known)
        new = unknown if self._recent.is_reliable else ()
        order = these_first(new, len(batch))
        asked = deliveries if isinstance(order, range) else deliveries.only(order)
        first = await self._claim(prefix, asked, batch.only(new))
        codes = list(first.codes)
        if asked is not deliveries:
            for at, code in zip(order, first.codes, strict=True):
                codes[at] = code
        if unknown:
            self._recent.learn([codes[at] for at in unknown])
        clocks = [first.now_ms] * len(batch)
        if UNSEEN in codes:
            unseen = [at for at, code in enumerate(codes) if code == UNSEEN]
            left = batch.only(unseen)
            second = await self._claim(prefix, deliveries.only(unseen), left, first)
            for at, code in zip(unseen, second.codes, strict=True):
                clocks[at], codes[at] = second.now_ms, code
        return Answers(clocks, codes)

    async def _claim(
        self, prefix: str, deliveries: Deliveries, new: Batch, checked: Ages | None = None
    ) -> Ages:
        """Ask the store about all of these; with the first ones go their transactions, the `new`."""
        block = encode_block(new) if new else b""
        return await self._maps.claim(prefix, deliveries, block, len(new), checked)

    def _count(self, sources: Sequence[str], answers: Answers, runs: Sequence[slice]) -> None:
        now_ms = max(answers.clocks)
        for run in runs:
            counted = _tally(sources[run], answers.codes[run])
            self._sources.note(counted, now_ms)
            self._metrics.count_answers(counted)


def _tally(sources: Sequence[str], codes: Sequence[int]) -> Mapping[tuple[str, int], int]:
    """How often each source got each code; requests are mostly of one source."""
    first = sources[0]
    if sources.count(first) < len(sources):
        return Counter(zip(sources, codes, strict=True))
    return {(first, code): times for code, times in tally(codes).items()}
