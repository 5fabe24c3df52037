"""One flush: hash, check, compress, claim. The only way into the store for a transaction."""

import asyncio
from collections import defaultdict
from collections.abc import Sequence

from app.ingest.blocks import encode_block
from app.metrics import Metrics
from app.models import Answer, Transaction, Verdict
from app.sources import Sources
from app.store.maps import ACCEPTED, REFUSED, UNSEEN, Ages, Maps
from app.store.partitions import signature_hash

_REFUSED = Answer(Verdict.REFUSED, None)


class Pipeline:
    """Turns transactions into answers, in their order."""

    def __init__(self, maps: Maps, metrics: Metrics, sources: Sources) -> None:
        self._maps = maps
        self._metrics = metrics
        self._sources = sources

    async def flush(self, items: list[Transaction]) -> list[Answer]:
        """Answer each transaction; `accepted` only once it is stored.

        Raises:
            StoreError: some of them may have been stored; sent again, those are duplicates.
        """
        self._metrics.ingest_flush_size.observe(len(items))
        hashes = [signature_hash(item.signature) for item in items]
        groups: dict[str, list[int]] = defaultdict(list)
        for at, digest in enumerate(hashes):
            groups[self._maps.partition_of(digest)].append(at)
        answers: list[Answer] = [_REFUSED] * len(items)

        async def admit(prefix: str, group: list[int]) -> None:
            found = await self._admit(prefix, [hashes[at] for at in group], [items[at] for at in group])
            for at, answer in zip(group, found, strict=True):
                answers[at] = answer

        outcomes = await asyncio.gather(*(admit(*pair) for pair in groups.items()), return_exceptions=True)
        for outcome in outcomes:
            if outcome is not None:
                raise outcome
        return answers

    async def _admit(self, prefix: str, hashes: list[bytes], items: list[Transaction]) -> list[Answer]:
        sources = [item.source or "" for item in items]
        seen = await self._maps.observe(prefix, hashes, sources)
        codes, now_ms, answers = list(seen.codes), seen.now_ms, _answers(seen)
        unseen = [at for at, code in enumerate(codes) if code == UNSEEN]
        if unseen:
            fresh = [hashes[at] for at in unseen]
            block = encode_block(_firsts(fresh, [items[at] for at in unseen]))
            claimed = await self._maps.claim(prefix, fresh, [sources[at] for at in unseen], block)
            now_ms = claimed.now_ms
            for at, code, answer in zip(unseen, claimed.codes, _answers(claimed), strict=True):
                codes[at], answers[at] = code, answer
        self._sources.note(sources, codes, now_ms)
        return answers


def _firsts(hashes: Sequence[bytes], items: Sequence[Transaction]) -> list[Transaction | None]:
    """Only the first of equal signatures brings its payload into the block."""
    first = {digest: at for at, digest in reversed(list(enumerate(hashes)))}
    return [
        item if first[digest] == at else None
        for at, (digest, item) in enumerate(zip(hashes, items, strict=True))
    ]


def _answers(ages: Ages) -> list[Answer]:
    return [_answer(code, ages.now_ms) for code in ages.codes]


def _answer(code: int, now_ms: int) -> Answer:
    if code == ACCEPTED:
        return Answer(Verdict.ACCEPTED, now_ms)
    if code == REFUSED:
        return _REFUSED
    return Answer(Verdict.DUPLICATE, now_ms - (code - 1))
