"""What holds of the decoder for any input at all (Hypothesis)."""

import asyncio
import json
from collections.abc import Callable

from hypothesis import given, settings
from hypothesis import strategies as st

from app.decode.arrays import decode_array
from app.decode.item import InvalidItem, ItemLimits, ItemResult, decode_item
from app.decode.ndjson_lines import LineSplitter, parts_of_lines
from app.decode.nesting_depth import depth
from app.errors import ClientError
from app.models import Transaction
from app.store.blocks import decode_frame
from tests.support.deliver import block_of

PROFILE = settings(max_examples=100)

LIMITS = ItemLimits(256 * 1024, 128)
SPACES = st.text(" \t\r\n", max_size=2)
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=12) | st.text('\\"[]{}:,/nu0', max_size=8)
NUMBERS = st.integers() | st.floats(allow_nan=False, allow_infinity=False)
SCALARS = st.none() | st.booleans() | NUMBERS | TEXTS


def _inside(values: st.SearchStrategy[object]) -> st.SearchStrategy[object]:
    return st.lists(values, max_size=4) | st.dictionaries(TEXTS, values, max_size=4)


VALUES = st.recursive(SCALARS, _inside, max_leaves=20)


def _escaped(text: str) -> str:
    """Every character as an escape, those beyond the BMP as a pair of surrogates."""
    units = text.encode("utf-16-be")
    return "".join(f"\\u{units[at : at + 2].hex()}" for at in range(0, len(units), 2))


@st.composite
def json_strings(draw: st.DrawFn, text: str) -> str:
    """A string in one of the ways JSON has to write it."""
    plain = json.dumps(text, ensure_ascii=draw(st.booleans()))
    cut = draw(st.integers(0, len(text)))
    mixed = json.dumps(text[:cut])[:-1] + _escaped(text[cut:]) + '"'
    return draw(st.sampled_from([plain, mixed]))


@st.composite
def written(draw: st.DrawFn, value: object) -> str:
    """A value as JSON, with white space and escapes anywhere they may be."""
    if isinstance(value, str):
        return draw(json_strings(value))
    if isinstance(value, list):
        parts = [draw(written(part)) for part in value]
        opening, closing = "[]"
    elif isinstance(value, dict):
        colons = [f"{draw(SPACES)}:{draw(SPACES)}" for _ in value]
        members = zip(value.items(), colons, strict=True)
        parts = [draw(json_strings(key)) + colon + draw(written(part)) for (key, part), colon in members]
        opening, closing = "{}"
    else:
        return json.dumps(value)
    spaced = [draw(SPACES) + part + draw(SPACES) for part in parts]
    return opening + (",".join(spaced) or draw(SPACES)) + closing


PAYLOADS = VALUES.flatmap(written).map(str.encode)

PIECES = st.sampled_from(
    [
        *'{}[]",:\\ \n',
        '"signature"',
        '"source"',
        '"slot"',
        '"payload"',
        '{"signature":"s"',
        '"sign\\u0061ture"',
        '"\\ud800"',
        '"\\u0041"',
        "NaN",
        "null",
        "1e999",
        "-1",
        "9" * 5000,
        "[" * 2000,
        "\ufeff",
        "\x00",
    ]
)
JSONISH = st.lists(PIECES | TEXTS, max_size=25).map("".join).map(str.encode)
COMMON = [
    '"signature":"s"',
    '"signature":"\\u0073"',
    '"payload":":"',
    '"x":1',
    '"payload":[NaN]',
    '"slot":' + "9" * 5000,
    '"payload":' + "9" * 5000,
    '"x":"\\ud800"',
    '"x":' + "[" * 5000,
    '"x":',
]
OBJECTS = (
    st.lists(st.sampled_from(COMMON), max_size=4)
    .map(lambda parts: "{" + ",".join(parts) + "}")
    .map(str.encode)
)


def is_transaction_or_invalid(decode: Callable[[], object]) -> None:
    detail = "a transaction"
    try:
        decode()
    except InvalidItem as error:
        detail = str(error)
    assert 0 < len(detail) < 2000


@settings(PROFILE)
def _results(body: bytes) -> list[ItemResult]:
    return list(asyncio.run(decode_array(body, LIMITS, 10)))


@given(st.binary(max_size=200) | JSONISH | OBJECTS)
def test_any_bytes_are_a_transaction_or_an_invalid_item(raw: bytes) -> None:
    is_transaction_or_invalid(lambda: decode_item(raw, LIMITS))


@settings(PROFILE)
@given(PAYLOADS, SPACES)
def test_any_payload_keeps_its_bytes(payload: bytes, space: str) -> None:
    raw = b'{"signature":"s","payload":%b%b%b}' % (space.encode(), payload, space.encode())
    item = decode_item(raw, LIMITS)
    assert bytes(item.payload) == payload
    [record] = decode_frame(block_of([item]))
    assert (record.source, record.slot, bytes(record.payload)) == ("default", None, payload)


VALUES_OF_KEYS = {
    "signature": TEXTS.map(lambda text: "s" + "".join(c for c in text if "!" <= c <= "~")),
    "source": st.sampled_from(["signature", "source", "slot", ":", "a"]),
    "slot": st.integers(0, 2**63 - 1) | st.none(),
    "payload": st.sampled_from([":", ",", "", "signature", "\n", {"signature": 1, "slot": "slot"}]) | VALUES,
}


@st.composite
def members(draw: st.DrawFn) -> tuple[str, str]:
    """A key as it is meant, and the member as it is written."""
    key = draw(st.sampled_from(sorted(VALUES_OF_KEYS)))
    value = draw(VALUES_OF_KEYS[key])
    name = draw(st.just(f'"{key}"') | json_strings(key))
    text = draw(st.just(json.dumps(value)) | written(value))
    return key, f"{name}{draw(SPACES)}:{text}"


@settings(PROFILE, max_examples=150)
@given(st.lists(members(), max_size=5))
def test_a_key_given_twice_is_found_as_a_full_parser_finds_it(found: list[tuple[str, str]]) -> None:
    raw = ("{" + ",".join(['"signature":"s"', *(text for _, text in found)]) + "}").encode()
    pairs: list[tuple[str, object]] = json.loads(raw, object_pairs_hook=list)
    keys = [key for key, _ in pairs]
    assert keys == ["signature", *(key for key, _ in found)]
    try:
        decode_item(raw, LIMITS)
        detail = ""
    except InvalidItem as error:
        detail = str(error)
    assert ("given twice" in detail) == (len(set(keys)) < len(keys)), (raw, detail)


@settings(PROFILE)
@given(
    st.lists(st.binary(max_size=12) | st.sampled_from([b"\n", b"\r\n", b" ", b"\n\n", b"\xef\xbb", b"\xbf"])),
    st.integers(1, 20),
)
def test_lines_are_the_same_however_the_stream_is_cut(pieces: list[bytes], limit: int) -> None:
    text = b"".join(pieces).removeprefix(b"\xef\xbb\xbf")
    stripped = [line.strip(b" \t\r\n") for line in text.split(b"\n")]
    whole = [len(line) if len(line) > limit else line for line in stripped]
    splitter, lines = LineSplitter(limit), list[bytes | int]()
    for part in (part for piece in pieces for part in parts_of_lines(piece)):
        lines += splitter.feed(part)
        assert splitter.pending_bytes <= limit
    lines += splitter.flush()
    assert lines == [line for line in whole if line != b""]
    assert splitter.pending_bytes == 0


def naive_depth(value: object) -> int:
    if isinstance(value, dict):
        value = list(value.values())
    return 1 + max(map(naive_depth, value), default=0) if isinstance(value, list) else 0


@settings(PROFILE, max_examples=150)
@given(PAYLOADS, st.integers(0, 40), st.integers(0, 40))
def test_depth_is_that_of_the_parsed_payload(payload: bytes, around: int, beside: int) -> None:
    payload = b"[" * around + b"[%b,%b]" % (payload, b"[" * beside + b"]" * beside or b"0") + b"]" * around
    assert depth(payload) == naive_depth(json.loads(payload))


BAD = [
    b"NaN",
    b"-Infinity",
    b'"\xff"',
    b'"\\x"',
    b'"\x01"',
    b"01",
    b"[" * 5000 + b"]" * 5000,
]


@settings(PROFILE, max_examples=60)
@given(st.lists(PAYLOADS | st.sampled_from([b"9" * 5000]), max_size=6), st.data())
def test_one_broken_item_in_an_array_keeps_the_others(payloads: list[bytes], data: st.DataObject) -> None:
    at = data.draw(st.integers(0, len(payloads)))
    bad = data.draw(st.sampled_from(BAD))
    items = [b'{"signature":"s%d","payload":%b}' % pair for pair in enumerate(payloads)]
    items.insert(at, b'{"signature":"bad","payload":%b}' % bad)
    results = _results(b"[" + b" ,\n".join(items) + b"]")
    assert isinstance(results.pop(at), InvalidItem)
    kept = [bytes(item.payload) for item in results if isinstance(item, Transaction)]
    assert kept == payloads


@settings(PROFILE)
@given(st.lists(JSONISH | OBJECTS, max_size=4).map(b",".join))
def test_any_array_is_read_or_refused_by_an_error_of_ours(inside: bytes) -> None:
    try:
        results = _results(b"[" + inside + b"]")
    except ClientError:
        return
    assert all(isinstance(item, Transaction | InvalidItem) for item in results)
