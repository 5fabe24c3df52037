"""Cursors: what a client may send back, and what it is told of one that cannot be."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.consumer_errors import UnknownCursor
from app.consumers.cursor import Cursor, parse_cursor, store_mark
from app.errors import InvalidRequest
from app.store.positions import Positions

BORN = (1700000000000, 1700000000001)
PLACES = st.lists(st.tuples(st.integers(0, 2**44 - 1), st.integers(0, 2**48 - 1)), min_size=1, max_size=6)


@given(st.integers(0, 2**32 - 1), PLACES)
def test_a_cursor_comes_back_as_it_went(store: int, places: list[tuple[int, int]]) -> None:
    cursor = Cursor(store, *zip(*places, strict=True))
    assert parse_cursor(cursor.text.decode(), "after") == cursor


@given(st.integers(0, 2**44 - 1), st.integers(0, 2**44 - 1), st.integers(0, 2**48 - 2))
def test_of_two_cursors_of_a_partition_the_greater_is_the_later(
    first: int, second: int, ordinal: int
) -> None:
    earlier, later = sorted((first, second))
    assert Cursor(7, (earlier,), (ordinal,)).text < Cursor(7, (later,), (ordinal + 1,)).text


NO_CURSORS = (
    "",
    "x",
    "0" * 33,
    "1234567-00000000000-000000000000",
    "12345678-00000000000-000000000000\n",
    "12345678-00000000000-",
    "12345678-00000000000-0000000000000",
    "12345678-0000000000G-000000000000",
    "1234567A-00000000000-000000000000",
    "12345678-00000000000-" + "0" * 12 * 2,
    "12345678-" + "0" * 11 * 2 + "-000000000000",
    "12345678-" + "0" * 11 * 129 + "-" + "0" * 12 * 129,
    "\0" * 100,
)


@pytest.mark.parametrize("text", NO_CURSORS)
def test_what_is_no_cursor_is_said_back_short_and_by_its_name(text: str) -> None:
    with pytest.raises(InvalidRequest, match=r"^after: .{2,400} is no cursor; send one as a line had it$"):
        parse_cursor(text, "after")


def test_a_cursor_is_that_of_one_store_and_of_what_it_has_accepted() -> None:
    cursor = Cursor(store_mark(BORN), (5, 6), (3, 4))
    place = Positions(BORN, (3, 4), (5, 6))
    assert cursor.place(place) == place
    assert cursor.place(Positions(BORN, (30, 40), (50, 60))) == place
    unknown = cursor._replace(before_ms=(5, 0))
    assert unknown.place(place) == place._replace(before_ms=(5, 0))
    others = (
        Positions((BORN[0], 1), (9, 9), (9, 9)),
        Positions(BORN[:1], (9,), (9,)),
        Positions(BORN, (2, 9), (5, 9)),
        Positions(BORN, (9, 3), (9, 5)),
        Positions(BORN, (9, 9), (9, 5)),  # nothing was accepted at the cursor's second moment yet
        Positions(BORN, (3, 4), (5, 7)),  # as many as before a failover, and others
    )
    for newest in others:
        with pytest.raises(UnknownCursor, match="begin with from=oldest"):
            cursor.place(newest)
