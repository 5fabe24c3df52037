"""Lines: JSON whatever stands in them, with the bytes of the payload, and cut where they end."""

import json
from itertools import accumulate

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.consumers.cursor import Cursor, parse_cursor
from app.consumers.stream_formats import Form, Gap, Lines, Look, Place, heartbeat, joined, render
from app.decode.columns import Columns
from app.store.blocks import StoredBlock, encode_block

SIGNATURES = st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=20)
SOURCES = st.sampled_from(["helius-a", "rpc:1", "x"])
SLOTS = st.none() | st.integers(0, 2**63 - 1)
SPACE = st.text(" \t\r\n", max_size=5)
# Payloads are kept as they are, so few kinds of them do.
VALUES = st.none() | st.integers() | st.text(max_size=8) | st.lists(st.booleans(), max_size=2)
PAYLOADS = st.builds(
    lambda before, value, after: f"{before}{json.dumps(value)}{after}".encode(), SPACE, VALUES, SPACE
)
RECORDS = st.lists(st.tuples(SIGNATURES, SOURCES, SLOTS, PAYLOADS), min_size=1, max_size=6)
MOMENT, PLACE = 1795399568372, Place(0x8D3F0A61, (5, 0, 6), (7, 0, 9))
Record = tuple[str, str, int | None, bytes]


def _block(records: list[Record], mask: bytes = b"") -> StoredBlock:
    signatures, sources, slots, payloads = zip(*records, strict=True)
    frame = encode_block(Columns(signatures, sources, slots, list(map(msgspec.Raw, payloads))))
    count = int.from_bytes(mask, "little").bit_count() if mask else len(records)
    return StoredBlock(MOMENT, MOMENT - 1, 40, count, mask, frame)


def _members(line: bytes) -> tuple[object, ...]:
    document = json.loads(line)
    assert list(document) == ["cursor", "signature", "source", "slot", "first_seen_ms", "payload"]
    assert document["first_seen_ms"] == MOMENT
    return document["signature"], document["source"], document["slot"], document["payload"]


@given(RECORDS)
def test_each_record_is_a_line_of_json_with_what_was_posted(records: list[Record]) -> None:
    lines = render(_block(records), 1, Look(Form.LINES), PLACE)
    assert lines.text.endswith(b"\n")
    texts = lines.text[:-1].split(b"\n")
    expected = [(s, source, slot, json.loads(payload)) for s, source, slot, payload in records]
    assert [_members(text) for text in texts] == expected
    assert lines.ends == list(accumulate(len(text) + 1 for text in texts))
    assert lines.sources == [source for _, source, _, _ in records]


@given(RECORDS)
def test_the_cursor_of_a_line_is_the_place_behind_it(records: list[Record]) -> None:
    texts = render(_block(records), 1, Look(Form.LINES), PLACE).text.splitlines()
    cursors = [parse_cursor(json.loads(text)["cursor"], "after") for text in texts]
    assert cursors == [Cursor(PLACE.store, (5, MOMENT, 6), (7, 41 + at, 9)) for at in range(len(records))]


@given(RECORDS)
def test_an_event_has_its_cursor_as_id_and_one_line_of_data(records: list[Record]) -> None:
    plain = render(_block(records), 1, Look(Form.LINES), PLACE).text.splitlines()
    lines = render(_block(records), 1, Look(Form.EVENTS), PLACE)
    events = lines.text.split(b"\n\n")
    assert events.pop() == b""
    assert [event.split(b"\ndata: ") for event in events] == [
        [b"id: " + json.loads(text)["cursor"].encode(), text] for text in plain
    ]
    assert lines.ends == list(accumulate(len(event) + 2 for event in events))


@given(RECORDS)
def test_members_of_an_array_are_the_same_lines(records: list[Record]) -> None:
    plain = render(_block(records), 1, Look(Form.LINES), PLACE).text.splitlines()
    array = render(_block(records), 1, Look(Form.ARRAY), PLACE).text
    assert json.loads(b"[%b]" % array.removesuffix(b",")) == [json.loads(text) for text in plain]


@given(RECORDS)
def test_without_payloads_and_without_a_place_the_rest_is_the_same(records: list[Record]) -> None:
    whole = [
        json.loads(text) for text in render(_block(records), 1, Look(Form.LINES), PLACE).text.splitlines()
    ]
    bare = render(_block(records), 1, Look(Form.LINES, has_payload=False), None).text.splitlines()
    assert [
        json.loads(text) | {"cursor": line["cursor"], "payload": line["payload"]}
        for text, line in zip(bare, whole, strict=True)
    ] == whole
    assert {json.loads(text)["cursor"] for text in bare} == {None}
    assert not any(b'"payload"' in text.partition(b',"source"')[2] for text in bare)


def test_what_was_not_accepted_of_a_block_is_no_line_and_has_no_ordinal() -> None:
    records: list[Record] = [(name, "a", None, b"null") for name in "abc"]
    texts = render(_block(records, mask=b"\x05"), 1, Look(Form.LINES), PLACE).text.splitlines()
    assert [json.loads(text)["signature"] for text in texts] == ["a", "c"]
    cursors = [parse_cursor(json.loads(text)["cursor"], "after") for text in texts]
    assert [cursor.ordinals[1] for cursor in cursors] == [41, 42]


@pytest.fixture
def four() -> Lines:
    """Lines of four bytes and more: `aaa`, `bbbb`, `ccccc`, `d`, with their ends."""
    return Lines(b"aaa\nbbbb\nccccc\nd\n", [4, 9, 15, 17], ["a", "b", "a", "b"])


@pytest.mark.parametrize(("room", "fit"), [(3, 0), (4, 1), (8, 1), (9, 2), (16, 3), (17, 4), (1000, 4)])
def test_as_many_lines_fit_as_have_room(four: Lines, room: int, fit: int) -> None:
    assert four.fitting(range(4), room) == four.fitting([0, 1, 2, 3], room) == fit


def test_chosen_lines_are_cut_out_whole(four: Lines) -> None:
    assert four.of_sources(0, {"a"}) == [0, 2]
    assert four.of_sources(1, {"a"}) == [2]
    assert four.fitting([0, 2], 9) == 1
    assert four.fitting([0, 2], 10) == 2
    assert four.cut([0, 2]) == b"aaa\nccccc\n"
    assert four.cut(range(1, 3)) == b"bbbb\nccccc\n"
    assert four.cut(range(2, 2)) == four.cut([]) == b""


CURSOR = Cursor(1, (200,), (5,))


def test_a_gap_is_a_line_with_the_cursor_behind_it() -> None:
    line = json.loads(Gap(3, 100, 200).line(CURSOR, Form.LINES))
    assert line == {
        "cursor": CURSOR.text.decode(),
        "gap": {"transactions": 3, "from_ms": 100, "to_ms": 200},
    }
    event = Gap(None, 100, 200).line(CURSOR, Form.EVENTS)
    identifier, data = event.removesuffix(b"\n\n").split(b"\ndata: ")
    assert identifier == b"id: " + CURSOR.text
    assert json.loads(data)["gap"] == {"transactions": None, "from_ms": 100, "to_ms": 200}


def test_gaps_of_partitions_are_one_whose_count_is_known_if_all_are() -> None:
    assert joined([Gap(3, 100, 200), Gap(4, 90, 150)]) == Gap(7, 90, 200)
    assert joined([Gap(3, 100, 200), Gap(None, 90, 150)]) == Gap(None, 90, 200)


def test_a_heartbeat_is_an_empty_line_or_a_comment_with_the_place() -> None:
    assert heartbeat(CURSOR, Form.LINES) == b"\n"
    assert heartbeat(CURSOR, Form.LINES, has_cursor=True) == b'{"cursor":"' + CURSOR.text + b'"}\n'
    assert heartbeat(CURSOR, Form.EVENTS) == b":\nid: " + CURSOR.text + b"\n\n"
