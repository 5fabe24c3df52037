"""The parts of a body are held with bounded memory, and nothing of their counts and places is lost."""

from app.decode.columns import Columns
from app.decode.item import InvalidItem, ItemResult
from app.feeds.body_parts import Collection, Part
from app.feeds.document_reader import UnknownShape
from app.feeds.feed_rules import NO_RULES
from app.feeds.provider_body import read_provider_body
from app.models import Transaction
from tests.support.deliveries import LIMITS


class Held:
    """Counts what is held, and the most of it."""

    def __init__(self) -> None:
        self.bytes = self.most = 0

    def keep(self, size: int) -> None:
        self.bytes += size
        self.most = max(self.most, self.bytes)


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


async def test_what_is_wrong_is_counted_until_its_part_is_done_with() -> None:
    held, parts = Held(), 0
    async for part in read_provider_body(b"[" + b"1," * 25 + b"null]", LIMITS, NO_RULES, 10, keep=held.keep):
        invalid = [result for result in part.results if isinstance(result, InvalidItem)]
        assert held.bytes == sum(result.held_bytes for result in invalid) > 0
        parts += 1
    assert (parts, held.most < 2 * 10 * 600) == (3, True)
