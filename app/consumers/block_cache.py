"""Keeps blocks that were read lately, decoded and rendered once for all readers of this process.

Readers are at much the same place most of the time: those that tail all read the newest block, and a hundred
that begin with `from=oldest` read the same ones one after another. A reader keeps no block of its own while
it waits for its client, only its place; so one that does not read costs no more than that. What it needs next
is in the cache, or has to be read from the store again.

The cache holds a fixed number of bytes. What came into it first is the first to go.
"""

from bisect import bisect_left, insort
from collections import defaultdict, deque
from typing import Final, NamedTuple

from app.consumers.stream_formats import Lines, Look, Place, render
from app.store.blocks import StoredBlock

CACHE_BYTES: Final = 8 * 1024 * 1024
# Objects of a page beside its frame, and of each of its lines beside the text.
_PAGE_BYTES, _LINE_BYTES = 1024, 64
# Readers that want lines in other ways, or are otherwise on a Cluster, have them rendered for themselves.
_MOST_LOOKS = 4


class Ledger(NamedTuple):
    """Whose ordinals are meant: those of a partition, one of so many, since its ledger was begun."""

    partition: int
    partitions: int
    born_ms: int


class Page:
    """A block in the cache, with the lines that readers wanted of it so far."""

    __slots__ = ("_before_ms", "_block", "_lines", "accepted_ms", "begin", "end", "ledger", "size")

    def __init__(self, ledger: Ledger, block: StoredBlock) -> None:
        self.ledger, self._block = ledger, block
        self.accepted_ms, self._before_ms = block.accepted_ms, block.before_ms
        self.begin, self.end = block.ordinal, block.ordinal + block.count
        self._lines: dict[tuple[Look, Place | None], Lines] = {}
        self.size = _PAGE_BYTES + len(block.frame) + len(block.mask)

    @property
    def partition(self) -> int:
        """The partition that has the block."""
        return self.ledger.partition

    def has(self, block: StoredBlock) -> bool:
        """Tell whether the page is of this very block, and not of one that had its ordinals before."""
        return self._block == block

    def is_next(self, ordinal: int, before_ms: int) -> bool:
        """Tell whether a place is one of this block, and not of what stood here before a failover."""
        return before_ms in (0, self._before_ms if ordinal == self.begin else self.accepted_ms)

    def is_rendered(self, look: Look, place: Place | None) -> bool:
        """Tell whether the lines are there already."""
        return (look, place) in self._lines

    def lines(self, look: Look, place: Place | None) -> Lines:
        """Return all lines of the block, for a reader at this place."""
        found = self._lines.get((look, place))
        if found is None:
            if len(self._lines) == _MOST_LOOKS:
                self.size -= _bytes_of(self._lines.pop(next(iter(self._lines))))
            found = self._lines[look, place] = render(self._block, self.partition, look, place)
            self.size += _bytes_of(found)
        return found


def _bytes_of(lines: Lines) -> int:
    return len(lines.text) + _LINE_BYTES * len(lines.ends)


class BlockCache:
    """The pages of all partitions."""

    def __init__(self, most_bytes: int = CACHE_BYTES) -> None:
        self._most_bytes = most_bytes
        # Of each ledger the pages by their first ordinals, and these in order.
        self._pages: dict[Ledger, dict[int, Page]] = defaultdict(dict)
        self._begins: dict[Ledger, list[int]] = defaultdict(list)
        self._order: deque[Page] = deque()
        self.held_bytes = 0
        self.epoch = 0
        """Grows when a ledger was found set back, so that its latest ordinals are given anew."""

    def put(self, ledger: Ledger, block: StoredBlock) -> Page:
        """Return the page of a block, which is put in the cache unless it is there.

        A block that has ordinals of another one shows that the ledger was set back.
        """
        known = self._last_before(ledger, block.ordinal + block.count)
        if known is not None and known.end > block.ordinal:
            if known.has(block):
                return known
            self.set_back(ledger)
        page = self._pages[ledger][block.ordinal] = Page(ledger, block)
        insort(self._begins[ledger], page.begin)
        self._order.append(page)
        self.held_bytes += page.size
        self._make_room()
        return page

    def find(self, ledger: Ledger, ordinal: int) -> Page | None:
        """Return the page that has the transaction with this ordinal, None if none has it."""
        page = self._last_before(ledger, ordinal + 1)
        return page if page is not None and ordinal < page.end else None

    def lines(self, page: Page, look: Look, place: Place | None) -> Lines:
        """Return the lines of a page, which is in the cache or was until just now."""
        before = page.size
        lines = page.lines(look, place)
        if page.size != before and self._pages.get(page.ledger, {}).get(page.begin) is page:
            self.held_bytes += page.size - before
            self._make_room()
        return lines

    def set_back(self, ledger: Ledger) -> None:
        """Take down all of a ledger that a failover has set back, and have all readers ask."""
        gone = self._pages.pop(ledger, {})
        self._begins.pop(ledger, None)
        self._order = deque(page for page in self._order if page.ledger != ledger)
        self.held_bytes -= sum(page.size for page in gone.values())
        self.epoch += 1

    def _last_before(self, ledger: Ledger, ordinal: int) -> Page | None:
        """Return the last page that begins before an ordinal."""
        begins = self._begins.get(ledger)
        at = bisect_left(begins, ordinal) - 1 if begins else -1
        return None if begins is None or at < 0 else self._pages[ledger][begins[at]]

    def _make_room(self) -> None:
        while self.held_bytes > self._most_bytes and len(self._order) > 1:
            page = self._order.popleft()
            pages, begins = self._pages[page.ledger], self._begins[page.ledger]
            del pages[page.begin]
            del begins[bisect_left(begins, page.begin)]
            self.held_bytes -= page.size
            if not pages:
                del self._pages[page.ledger], self._begins[page.ledger]
