"""The cache finds a block by any of its ordinals, has a fixed number of bytes, and renders a block once."""

import msgspec
import pytest

from app.consumers.block_cache import BlockCache, Ledger
from app.consumers.stream_formats import Form, Lines, Look, Place, render
from app.decode.columns import Columns
from app.store.blocks import StoredBlock, encode_block

LEDGER, OTHER = Ledger(0, 1, 1700000000000), Ledger(0, 1, 1700000000001)
LINES, PLACE = Look(Form.LINES), Place(1, (0,), (0,))


def _block(ordinal: int, count: int = 3) -> StoredBlock:
    names = [f"s{ordinal + at}" for at in range(count)]
    frame = encode_block(Columns(names, ["a"] * count, [None] * count, [msgspec.Raw(b"null")] * count))
    return StoredBlock(1, 0, ordinal, count, b"", frame)


def _begin_at(cache: BlockCache, ordinal: int, ledger: Ledger = LEDGER) -> int | None:
    page = cache.find(ledger, ordinal)
    return page.begin if page else None


def test_a_block_is_found_by_each_of_its_ordinals_and_by_no_other() -> None:
    cache = BlockCache()
    for ordinal in (46, 40, 43, 60):
        cache.put(LEDGER, _block(ordinal))
    found = {ordinal: _begin_at(cache, ordinal) for ordinal in range(38, 65)}
    there = {ordinal: begin for begin in (40, 43, 46, 60) for ordinal in range(begin, begin + 3)}
    assert found == {ordinal: there.get(ordinal) for ordinal in range(38, 65)}


def test_ordinals_of_another_ledger_mean_something_else() -> None:
    cache = BlockCache()
    cache.put(LEDGER, _block(40))
    assert _begin_at(cache, 40, OTHER) is None
    cache.put(OTHER, _block(39))
    assert (_begin_at(cache, 40), _begin_at(cache, 40, OTHER)) == (40, 39)


def test_a_block_is_put_once_and_rendered_once_for_all_who_want_it_alike(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    rendered: list[int] = []

    def counted(block: StoredBlock, partition: int, look: Look, place: Place | None) -> Lines:
        rendered.append(block.ordinal)
        return render(block, partition, look, place)

    monkeypatch.setattr("app.consumers.block_cache.render", counted)
    cache = BlockCache()
    page = cache.put(LEDGER, _block(40))
    assert cache.put(LEDGER, _block(40)) is page
    first = cache.lines(page, LINES, PLACE)
    assert cache.lines(page, LINES, PLACE) is first
    assert rendered == [40]
    cache.lines(page, Look(Form.EVENTS), PLACE)
    assert rendered == [40, 40]


def test_it_holds_so_many_bytes_and_lets_go_of_what_was_put_first() -> None:
    cache = BlockCache(most_bytes=20_000)
    for number in range(100):
        page = cache.put(LEDGER, _block(3 * number))
        cache.lines(page, LINES, PLACE)
        assert cache.held_bytes <= 20_000
    kept = [ordinal for ordinal in range(300) if _begin_at(cache, ordinal) is not None]
    assert kept == list(range(kept[0], 300)), "the latest, without a hole"
    assert 0 < kept[0] < 300


def test_the_bytes_it_says_it_holds_are_those_of_its_pages_and_their_lines() -> None:
    cache = BlockCache()
    pages = [cache.put(LEDGER, _block(3 * number)) for number in range(5)]
    bare = sum(page.size for page in pages)
    assert cache.held_bytes == bare
    for look in (LINES, Look(Form.EVENTS), Look(Form.ARRAY), Look(Form.LINES, has_payload=False)):
        for place in (PLACE, Place(2, (0,), (0,)), None):
            cache.lines(pages[0], look, place)
    assert cache.held_bytes == sum(page.size for page in pages) > bare
    cache.set_back(LEDGER)
    assert cache.held_bytes == 0


def test_a_ledger_that_was_set_back_is_forgotten_and_readers_are_told() -> None:
    cache = BlockCache()
    cache.put(LEDGER, _block(40))
    cache.put(OTHER, _block(40))
    cache.set_back(LEDGER)
    assert (_begin_at(cache, 40), _begin_at(cache, 40, OTHER), cache.epoch) == (None, 40, 1)


@pytest.mark.parametrize(("ordinal", "count"), [(43, 3), (43, 2), (43, 4), (42, 2), (44, 9)])
def test_another_block_with_ordinals_that_one_has_shows_that_the_ledger_was_set_back(
    ordinal: int, count: int
) -> None:
    cache = BlockCache()
    for first in (40, 43):
        cache.put(LEDGER, _block(first))
    new = msgspec.structs.replace(_block(ordinal, count), accepted_ms=2)
    page = cache.put(LEDGER, new)
    assert page.has(new)
    assert cache.find(LEDGER, ordinal) is page
    assert (_begin_at(cache, 40), cache.epoch) == (None, 1)
    assert cache.held_bytes == page.size


def test_the_lines_of_a_page_that_has_left_are_to_be_had_and_not_counted() -> None:
    cache = BlockCache(most_bytes=1)
    page = cache.put(LEDGER, _block(0))
    cache.put(LEDGER, _block(3))
    assert _begin_at(cache, 0) is None
    held = cache.held_bytes
    assert cache.lines(page, LINES, PLACE).text.count(b"\n") == 3
    assert cache.held_bytes == held
