"""The shelf: finds a block by any of its ordinals, within a fixed number of bytes, and renders it once."""

import msgspec
import pytest

from app.consumers.shelf import Ledger, Shelf
from app.consumers.stream_formats import Form, Lines, Look, Place, render
from app.decode.columns import Columns
from app.store.blocks import StoredBlock, encode_block

LEDGER, OTHER = Ledger(0, 1, 1700000000000), Ledger(0, 1, 1700000000001)
LINES, PLACE = Look(Form.LINES), Place(1, (0,), (0,))


def _block(ordinal: int, count: int = 3) -> StoredBlock:
    names = [f"s{ordinal + at}" for at in range(count)]
    frame = encode_block(Columns(names, ["a"] * count, [None] * count, [msgspec.Raw(b"null")] * count))
    return StoredBlock(1, 0, ordinal, count, b"", frame)


def _begin_at(shelf: Shelf, ordinal: int, ledger: Ledger = LEDGER) -> int | None:
    page = shelf.find(ledger, ordinal)
    return page.begin if page else None


def test_a_block_is_found_by_each_of_its_ordinals_and_by_no_other() -> None:
    shelf = Shelf()
    for ordinal in (46, 40, 43, 60):
        shelf.put(LEDGER, _block(ordinal))
    found = {ordinal: _begin_at(shelf, ordinal) for ordinal in range(38, 65)}
    there = {ordinal: begin for begin in (40, 43, 46, 60) for ordinal in range(begin, begin + 3)}
    assert found == {ordinal: there.get(ordinal) for ordinal in range(38, 65)}


def test_ordinals_of_another_ledger_mean_something_else() -> None:
    shelf = Shelf()
    shelf.put(LEDGER, _block(40))
    assert _begin_at(shelf, 40, OTHER) is None
    shelf.put(OTHER, _block(39))
    assert (_begin_at(shelf, 40), _begin_at(shelf, 40, OTHER)) == (40, 39)


def test_a_block_is_put_once_and_rendered_once_for_all_who_want_it_alike(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    rendered: list[int] = []

    def counted(block: StoredBlock, partition: int, look: Look, place: Place | None) -> Lines:
        rendered.append(block.ordinal)
        return render(block, partition, look, place)

    monkeypatch.setattr("app.consumers.shelf.render", counted)
    shelf = Shelf()
    page = shelf.put(LEDGER, _block(40))
    assert shelf.put(LEDGER, _block(40)) is page
    first = shelf.lines(page, LINES, PLACE)
    assert shelf.lines(page, LINES, PLACE) is first
    assert rendered == [40]
    shelf.lines(page, Look(Form.EVENTS), PLACE)
    assert rendered == [40, 40]


def test_it_holds_so_many_bytes_and_lets_go_of_what_was_put_first() -> None:
    shelf = Shelf(most_bytes=20_000)
    for number in range(100):
        page = shelf.put(LEDGER, _block(3 * number))
        shelf.lines(page, LINES, PLACE)
        assert shelf.held_bytes <= 20_000
    kept = [ordinal for ordinal in range(300) if _begin_at(shelf, ordinal) is not None]
    assert kept == list(range(kept[0], 300)), "the latest, without a hole"
    assert 0 < kept[0] < 300


def test_the_bytes_it_says_it_holds_are_those_of_its_pages_and_their_lines() -> None:
    shelf = Shelf()
    pages = [shelf.put(LEDGER, _block(3 * number)) for number in range(5)]
    bare = sum(page.size for page in pages)
    assert shelf.held_bytes == bare
    for look in (LINES, Look(Form.EVENTS), Look(Form.ARRAY), Look(Form.LINES, has_payload=False)):
        for place in (PLACE, Place(2, (0,), (0,)), None):
            shelf.lines(pages[0], look, place)
    assert shelf.held_bytes == sum(page.size for page in pages) > bare
    shelf.set_back(LEDGER)
    assert shelf.held_bytes == 0


def test_a_ledger_that_was_set_back_is_forgotten_and_readers_are_told() -> None:
    shelf = Shelf()
    shelf.put(LEDGER, _block(40))
    shelf.put(OTHER, _block(40))
    shelf.set_back(LEDGER)
    assert (_begin_at(shelf, 40), _begin_at(shelf, 40, OTHER), shelf.epoch) == (None, 40, 1)


@pytest.mark.parametrize(("ordinal", "count"), [(43, 3), (43, 2), (43, 4), (42, 2), (44, 9)])
def test_another_block_with_ordinals_that_one_has_shows_that_the_ledger_was_set_back(
    ordinal: int, count: int
) -> None:
    shelf = Shelf()
    for first in (40, 43):
        shelf.put(LEDGER, _block(first))
    new = msgspec.structs.replace(_block(ordinal, count), accepted_ms=2)
    page = shelf.put(LEDGER, new)
    assert page.has(new)
    assert shelf.find(LEDGER, ordinal) is page
    assert (_begin_at(shelf, 40), shelf.epoch) == (None, 1)
    assert shelf.held_bytes == page.size


def test_the_lines_of_a_page_that_has_left_are_to_be_had_and_not_counted() -> None:
    shelf = Shelf(most_bytes=1)
    page = shelf.put(LEDGER, _block(0))
    shelf.put(LEDGER, _block(3))
    assert _begin_at(shelf, 0) is None
    held = shelf.held_bytes
    assert shelf.lines(page, LINES, PLACE).text.count(b"\n") == 3
    assert shelf.held_bytes == held
