"""The parts of a body are held with bounded memory, and nothing of their counts and places is lost."""

from app.decode.columns import Columns
from app.decode.item import InvalidItem, ItemResult
from app.feeds.body_parts import Collection, Part
from app.feeds.document_reader import UnknownShape
from app.models import Transaction


def test_past_the_most_invalid_only_the_kind_of_what_is_wrong_is_kept() -> None:
    valid = Transaction("A", "x")
    results: list[ItemResult] = [
        InvalidItem("first"),
        valid,
        UnknownShape("second"),
        InvalidItem("third"),
        UnknownShape("fourth"),
        InvalidItem("fifth"),
    ]
    found = Collection(2)
    for part in (results[:3], Columns.of([valid, valid]), results[3:]):
        found.add(Part(part, {}, {}))
    assert found.transactions == 3
    first, second, third = (part.results for part in found.parts)
    assert first == results[:3]
    assert len(second) == 2
    assert list(third) == [results[0], results[2], results[0]]


def test_a_kind_that_comes_first_past_the_most_is_kept_once() -> None:
    found = Collection(0)
    found.add(Part([UnknownShape("one"), UnknownShape("two")], {}, {}))
    [part] = found.parts
    assert list(map(str, part.results)) == ["one", "one"]
