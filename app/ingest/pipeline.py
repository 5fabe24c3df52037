"""One flush: hash, check, compress, claim. The only way into the store for a transaction."""

import asyncio
from collections import Counter, defaultdict
from collections.abc import Sequence

from app.ingest.blocks import encode_block
from app.ingest.doubles import Doubles
from app.ingest.under_way import UnderWay
from app.metrics import Metrics
from app.models import REFUSED, Answers, Transaction
from app.sources import Sources
from app.store.maps import UNSEEN, Deliveries, Maps
from app.store.partitions import signature_hashes


class Pipeline:
    """Turns transactions into answers, in their order."""

    def __init__(self, maps: Maps, metrics: Metrics, sources: Sources) -> None:
        self._maps = maps
        self._metrics = metrics
        self._sources = sources
        self._under_way = UnderWay()

    async def flush(self, items: Sequence[Transaction]) -> Answers:
        """Answer each transaction; `accepted` only once it is stored.

        Raises:
            StoreError: some of them may have been stored; sent again, those are duplicates.
        """
        self._metrics.ingest_flush_size.observe(len(items))
        hashes = signature_hashes([item.signature for item in items])
        prefixes = self._maps.layout.prefixes
        if len(prefixes) == 1:
            answers = await self._admit(prefixes[0], hashes, items)
        else:
            answers = await self._admit_parted(hashes, items)
        self._count([item.source or "" for item in items], answers)
        return answers

    async def _admit_parted(self, hashes: Sequence[bytes], items: Sequence[Transaction]) -> Answers:
        """The same on every partition at once."""
        groups: dict[str, list[int]] = defaultdict(list)
        for at, digest in enumerate(hashes):
            groups[self._maps.partition_of(digest)].append(at)
        clocks, codes = [0] * len(items), [REFUSED] * len(items)

        async def admit(prefix: str, group: list[int]) -> None:
            found = await self._admit(prefix, [hashes[at] for at in group], [items[at] for at in group])
            for at, clock, code in zip(group, found.clocks, found.codes, strict=True):
                clocks[at], codes[at] = clock, code

        outcomes = await asyncio.gather(*(admit(*pair) for pair in groups.items()), return_exceptions=True)
        for outcome in outcomes:
            if outcome is not None:
                raise outcome
        return Answers(clocks, codes)

    async def _admit(self, prefix: str, hashes: Sequence[bytes], items: Sequence[Transaction]) -> Answers:
        """Each signature goes to the store once a flush, whoever delivered it again with it."""
        sources = [item.source or "" for item in items]
        if len(set(hashes)) == len(hashes):
            return await self._decide(prefix, Deliveries(hashes, sources), items)
        doubles = Doubles(hashes)
        deliveries = Deliveries(
            [hashes[at] for at in doubles.firsts],
            [sources[at] for at in doubles.firsts],
            [(place, sources[at]) for at, place in doubles.later],
        )
        return doubles.spread(await self._decide(prefix, deliveries, [items[at] for at in doubles.firsts]))

    async def _decide(self, prefix: str, deliveries: Deliveries, items: Sequence[Transaction]) -> Answers:
        """What another flush of this gate has in hand is decided after it: a second block would be waste."""
        free, held = self._under_way.split(deliveries.hashes)
        if not held:
            return await self._decide_free(prefix, deliveries, items)
        clocks, codes = [0] * len(items), [REFUSED] * len(items)
        for places, decide in ((free, self._decide_free), (held, self._decide_held)):
            if places:
                found = await decide(prefix, deliveries.only(places), [items[at] for at in places])
                for at, clock, code in zip(places, found.clocks, found.codes, strict=True):
                    clocks[at], codes[at] = clock, code
        return Answers(clocks, codes)

    async def _decide_held(
        self, prefix: str, deliveries: Deliveries, items: Sequence[Transaction]
    ) -> Answers:
        await self._under_way.ended(deliveries.hashes)
        return await self._decide(prefix, deliveries, items)

    async def _decide_free(
        self, prefix: str, deliveries: Deliveries, items: Sequence[Transaction]
    ) -> Answers:
        with self._under_way.noted(deliveries.hashes):
            return await self._ask(prefix, deliveries, items)

    async def _ask(self, prefix: str, deliveries: Deliveries, items: Sequence[Transaction]) -> Answers:
        checked = await self._maps.observe(prefix, deliveries)
        clocks, codes = [checked.now_ms] * len(items), list(checked.codes)
        unseen = [at for at, code in enumerate(codes) if code == UNSEEN]
        if not unseen:
            return Answers(clocks, codes)
        block = encode_block([items[at] for at in unseen])
        claimed = await self._maps.claim(prefix, deliveries.only(unseen), block, checked)
        for at, code in zip(unseen, claimed.codes, strict=True):
            clocks[at], codes[at] = claimed.now_ms, code
        return Answers(clocks, codes)

    def _count(self, sources: Sequence[str], answers: Answers) -> None:
        tally = Counter(zip(sources, answers.codes, strict=True))
        self._sources.note(tally, max(answers.clocks))
        self._metrics.count_answers(tally)
