"""What a consumer is answered: the transactions of a lease in one order, and what is to be said of them."""

import heapq
from collections.abc import Iterator
from typing import NamedTuple

from app.consumers.block_cache import BlockCache, Ledger, Page
from app.consumers.cursor import store_mark
from app.consumers.lease_name import LeaseName
from app.consumers.readers import Readers
from app.consumers.stream_formats import Form, Gap, Look, Place, joined
from app.store.consumers import Leased, Leases

_LOOK = Look(Form.ARRAY)


class _Stretch(NamedTuple):
    """Transactions of a lease that stand in one block."""

    page: Page
    begin: int
    end: int


async def lease_answer(consumer: str, leases: Leases, readers: Readers) -> bytes:
    """Return the JSON document that answers a lease.

    Partitions are merged by the moments of acceptance.
    """
    cache, name = readers.cache, _name(consumer, leases)
    pieces = [b'{"lease":%b,"transactions":[' % (b'"%b"' % name.text.encode() if name else b"null")]
    at = leases.place
    place = Place(store_mark(at.born_ms), at.before_ms, at.ordinals) if at else None
    async for page, begin, end in readers.pace.in_steps(_in_order(leases, cache)):
        lines = cache.lines(page, _LOOK, place and place.of_block(page.partition))
        pieces.append(lines.text[lines.start(begin - page.begin) : lines.ends[end - page.begin - 1]])
        place = place and place.behind(page.partition, end, page.accepted_ms)
    pieces[-1] = pieces[-1].removesuffix(Form.ARRAY.value)
    pieces.append(_end(leases))
    return b"".join(pieces)


def _name(consumer: str, leases: Leases) -> LeaseName | None:
    parts = [(at, part) for at, part in enumerate(leases.parts) if part is not None]
    if not parts:
        return None
    return LeaseName(consumer, parts[0][1].incarnation, tuple((at, part.number) for at, part in parts))


def _in_order(leases: Leases, cache: BlockCache) -> Iterator[_Stretch]:
    """Yield what was leased, that with the earliest acceptance first; each partition keeps its order."""
    parts = (
        _stretches(Ledger(partition, len(leases.parts), part.extract.born_ms), part, cache)
        for partition, part in enumerate(leases.parts)
        if part is not None
    )
    return heapq.merge(*parts, key=lambda stretch: stretch.page.accepted_ms)


def _stretches(ledger: Ledger, part: Leased, cache: BlockCache) -> Iterator[_Stretch]:
    extract = part.extract
    for block in extract.blocks:
        begin, end = max(extract.begin, block.ordinal), min(extract.end, block.ordinal + block.count)
        if begin < end:
            yield _Stretch(cache.put(ledger, block), begin, end)


def _end(leases: Leases) -> bytes:
    """Return the document from behind the transactions on."""
    gaps = [_gap(part) for part in leases.parts if part is not None and part.extract.missed != 0]
    missed = joined(gaps).transactions if gaps else 0
    return b'],"lag":{"transactions":%d,"seconds":%b},"missed":%b,"gaps":[%b],"new":%b}' % (
        leases.lag_transactions,
        repr(leases.lag_seconds).encode(),
        b"null" if missed is None else b"%d" % missed,
        b",".join(gap.document for gap in gaps),
        b"true" if leases.is_new else b"false",
    )


def _gap(part: Leased) -> Gap:
    extract = part.extract
    to_ms = extract.blocks[0].accepted_ms if extract.blocks else extract.now_ms
    from_ms = extract.born_ms if part.last_ms is None else part.last_ms
    return Gap(extract.missed, from_ms, max(from_ms, to_ms))
