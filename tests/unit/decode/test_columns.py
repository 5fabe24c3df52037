"""A batch is the sequence of transactions it was made of, however it is cut and joined."""

from collections import Counter
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.decode.columns import Columns, count_values
from app.models import Transaction
from tests.support.deliver import transaction

ITEMS = [transaction(f"signature-{number}", f"feed-{number % 3}", number) for number in range(12)]
PARTS = st.lists(
    st.tuples(st.booleans(), st.lists(st.sampled_from(ITEMS), min_size=1, max_size=4)), min_size=1, max_size=6
)


@given(PARTS)
def test_joined_parts_are_their_transactions_in_order(parts: list[tuple[bool, list[Transaction]]]) -> None:
    joined = Columns.joined([Columns.of(items) if is_batch else items for is_batch, items in parts])
    assert list(joined) == [item for _, items in parts for item in items]


@given(st.integers(0, 12), st.integers(0, 12))
def test_a_part_of_a_batch_is_a_batch(start: int, end: int) -> None:
    assert list(Columns.of(ITEMS)[start:end]) == ITEMS[start:end]


@pytest.mark.parametrize("places", [range(3, 7), range(12), (), [4, 0, 11]])
def test_only_those_at_the_places_are_left_in_their_order(places: Sequence[int]) -> None:
    assert list(Columns.of(ITEMS).only(places)) == [ITEMS[at] for at in places]


def test_a_batch_is_not_made_twice() -> None:
    batch = Columns.of(ITEMS)
    assert Columns.of(batch) is batch
    assert Columns.joined([batch]) is batch


@given(st.lists(st.integers(0, 2), min_size=1))
def test_a_tally_says_how_often_each_value_is_there(values: list[int]) -> None:
    assert count_values(values) == Counter(values)
