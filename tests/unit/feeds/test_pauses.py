"""Others are served after a bounded piece of work, whatever a body is made of: counted in pauses."""

from collections.abc import Callable, Generator
from contextlib import suppress
from typing import TypeVar

import pytest

from app.decode.array_scanner import MAX_TOKENS
from app.decode.event_loop_turns import PACE_BYTES
from app.errors import BodyTooLarge, MalformedBody
from app.feeds import character_runs, json_values, value_end_by_brackets
from app.feeds.character_runs import (
    STEP_BYTES,
    after_space,
    before_space,
    last_line,
    line_end,
    plain_end,
    string_end,
)
from app.feeds.json_values import VALUE_COST, Refused, Values
from app.feeds.shape_fields import refuse_twice
from app.feeds.value_end_by_brackets import bracketed_end
from tests.support.deliveries import parts_of
from tests.support.hostile import FEEDS, MIB

pytestmark = pytest.mark.slow

# What lies between two pauses: many small values, or one transaction, or what the parser is given at once.
BETWEEN_PAUSES = MIB
MANY_MEMBERS = "12 transactions of 24,000 members"
MEMBERS_BETWEEN_PAUSES = PACE_BYTES // VALUE_COST
T = TypeVar("T")


def run(walk: Generator[None, None, T]) -> tuple[int, T]:
    """How often a walk pauses, and what it returns."""
    pauses = 0
    while True:
        try:
            next(walk)
        except StopIteration as done:
            return pauses, done.value
        pauses += 1


class Pauses:
    """Counts how often a body lets others be served."""

    def __init__(self) -> None:
        self.count = 0

    async def turn(self) -> None:
        """Count it."""
        self.count += 1


@pytest.mark.parametrize("name", [name for name in FEEDS if name != MANY_MEMBERS])
async def test_a_hostile_body_pauses_as_often_as_it_is_long(name: str) -> None:
    body, parts, pauses = FEEDS[name].make(), 0, Pauses()
    with suppress(MalformedBody, BodyTooLarge):
        parts = len(await parts_of(body, turn=pauses.turn))
    # Whoever takes a part lets others be served.
    assert pauses.count + parts >= len(body) // BETWEEN_PAUSES


async def test_members_are_told_apart_in_portions() -> None:
    pauses = Pauses()
    parts = await parts_of(FEEDS[MANY_MEMBERS].make(), turn=pauses.turn)
    assert sum(len(part.results) for part in parts) == 12
    assert pauses.count >= 12 * 24_000 // (MEMBERS_BETWEEN_PAUSES + 1)


def test_a_name_given_twice_is_looked_for_in_portions() -> None:
    text = b'{"x":"\\u0041",' + b",".join(b'"%d":1' % number for number in range(10_000)) + b"}"
    found, _ = run(refuse_twice(text, "signature"))
    assert found >= 10_000 // (MEMBERS_BETWEEN_PAUSES + 1)


LONG = 20 * STEP_BYTES
WALKS: dict[str, tuple[Callable[[], Generator[None, None, int | None]], int | None]] = {
    "white space": (lambda: after_space(b" " * LONG + b"1", 0), LONG),
    "white space to the end": (lambda: after_space(b" " * LONG, 0), LONG),
    "white space before": (lambda: before_space(b"1" + b"\n" * LONG, 0, LONG + 1), 1),
    "a word": (lambda: plain_end(b"a" * LONG + b",", 0, LONG + 1), LONG),
    "a line": (lambda: line_end(b"a" * LONG + b"\n", 0, LONG + 1), LONG),
    "no line end": (lambda: line_end(b"a" * LONG, 0, LONG), LONG),
    "the last line": (lambda: last_line(b"\n" + b"a" * LONG), 1),
    "one line": (lambda: last_line(b"a" * LONG), 0),
    "a string": (lambda: string_end(b'"' + b"a" * LONG + b'",', 0, LONG + 3), LONG + 2),
    "escapes": (lambda: string_end(b'"' + b'\\"' * LONG + b'"', 0, 2 * LONG + 2), 2 * LONG + 2),
    "no string": (lambda: string_end(b'"' + b"a" * LONG, 0, LONG + 1), None),
    "brackets around a word": (lambda: bracketed_end(b"[" + b"a" * LONG + b"]", 0, LONG + 2, 9), LONG + 2),
    "brackets around a string": (
        lambda: bracketed_end(b'["' + b"]" * LONG + b'"]', 0, LONG + 4, 9),
        LONG + 4,
    ),
    "a string for the parser": (lambda: Values(b'"' + b"a" * LONG + b'"').strict_end(0, LONG + 2), LONG + 2),
    "a name": (lambda: Values(b'{"' + b"a" * LONG + b'":1}').strict_end(0, LONG + 6), LONG + 6),
}


@pytest.mark.parametrize("name", WALKS)
def test_a_walk_pauses_after_each_piece(name: str) -> None:
    walk, end = WALKS[name]
    found, value = run(walk())
    assert value == end
    assert found >= LONG // STEP_BYTES - 1


STRINGS = [
    b'"plain"',
    b'"\\ud83d\\ude00"',
    b'"\\\\ud83d\\\\"',
    b'"a\\"b\\\\\\u0041\\n"',
    b'"' + b"\\ud83d\\ude00" * 9 + b'"',
    '"é\U0001f600"'.encode(),
]
BROKEN = [b'"\\x"', b'"\\u12"', b'"\\ude00\\ude00"', b'"\\ud83d\\n"', b'"\x01"', b'"\\', b'"abc', b'"\\ud83d']
TAIL = b',1]"' * 9


@pytest.mark.parametrize("cut", range(24))
def test_a_string_ends_at_the_same_place_wherever_it_is_cut(
    cut: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(character_runs, "STEP_BYTES", 12 + cut % 4)
    monkeypatch.setattr(value_end_by_brackets, "STEP_BYTES", 1 + cut)
    monkeypatch.setattr(json_values, "WINDOW_BYTES", 8 + cut % 8)
    for string in STRINGS:
        text = b'"' + b"a" * cut + string[1:] + TAIL
        end = cut + len(string)
        assert run(string_end(text, 0, len(text)))[1] == end
        whole = b'[{"":' + text[:end] + b"}]" + TAIL
        assert run(Values(whole).strict_end(0, len(whole)))[1] == end + 7
        assert run(bracketed_end(whole, 0, len(whole), MAX_TOKENS))[1] == end + 7
    for string in BROKEN:
        whole = b"[" + b'"' + b"a" * cut + string[1:] + b"]"
        with pytest.raises(Refused):
            run(Values(whole).strict_end(0, len(whole)))
