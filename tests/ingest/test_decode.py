"""Properties of decoding: nothing but InvalidItem, bytes kept, keys told apart, lines whole."""

import gzip
import json
from contextlib import suppress

import hypothesis.strategies as st
import msgspec
import pytest
from hypothesis import example, given

from app.errors import BodyTooLarge, ClientError, MalformedBody
from app.ingest.blocks import decode_block, encode_block
from app.ingest.body import Inflater, LineSplitter
from app.ingest.decode import InvalidItem, ItemLimits, decode_array, decode_item, is_array
from app.models import Transaction

LIMITS = ItemLimits(max_payload_bytes=262_144, max_payload_depth=20)

SCALARS = (
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text()
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=30,
)
SEPARATORS = st.sampled_from([(",", ":"), (", ", ": "), (" ,\n", "\t: ")])
KEYS = st.sampled_from(["signature", "source", "slot", "payload", "sign\\u0061ture", "\\u0070ayload"])


def _text(value: object, separators: tuple[str, str], ascii_only: bool) -> str:
    return json.dumps(value, separators=separators, ensure_ascii=ascii_only)


def _is_unicode(text: str) -> bool:
    return not any("\ud800" <= char <= "\udfff" for char in text)


@given(VALUES, SEPARATORS, st.booleans())
@example({"brackets": '}]"[{\\', '"\\': ["\\\\"]}, (",", ":"), True)
def test_any_payload_keeps_its_bytes_through_item_and_block(
    value: object, separators: tuple[str, str], ascii_only: bool
) -> None:
    payload = _text(value, separators, ascii_only).encode(errors="surrogatepass")
    raw = b'{"payload": ' + payload + b' ,"signature":"s","source":"a"}'
    item = decode_item(raw, LIMITS)
    assert bytes(item.payload) == payload
    block = decode_block(encode_block([None, item]))
    assert block[0] is None
    assert block[1] == ("a", None, payload)


@given(st.binary(max_size=200) | st.text(alphabet='{}[]":,\\ \nsignature0', max_size=80).map(str.encode))
def test_any_bytes_at_all_are_a_transaction_or_an_invalid_item(raw: bytes) -> None:
    with suppress(InvalidItem):
        assert isinstance(decode_item(raw, LIMITS), Transaction)
    with suppress(ClientError):
        for judged in decode_array(raw, 100, LIMITS) if is_array(raw) else []:
            assert isinstance(judged, Transaction | InvalidItem)


@given(
    st.lists(
        st.tuples(KEYS, st.sampled_from(['"signature"', '"slot"', "null", '"a\\\\"', "[1]"])), max_size=5
    )
)
def test_a_key_given_twice_is_found_however_it_is_written(pairs: list[tuple[str, str]]) -> None:
    members = [("signature", '"payload"'), *((k, v) for k, v in pairs if k != "slot")]
    raw = "{" + ",".join(f'"{key}":{value}' for key, value in members) + "}"
    names = [json.loads(f'"{key}"') for key, _ in members]
    try:
        decode_item(raw.encode(), LIMITS)
        accepted = True
    except InvalidItem as error:
        accepted = False
        twice = "given twice" in str(error)
        assert not twice or len(set(names)) < len(names)
    assert not (accepted and len(set(names)) < len(names)), raw


def _nesting(value: object) -> int:
    if isinstance(value, dict):
        return 1 + max(map(_nesting, value.values()), default=0)
    return 1 + max(map(_nesting, value), default=0) if isinstance(value, list) else 0


@given(VALUES, st.integers(1, 6))
@example([["\n"], ["]"]], 1)
def test_depth_is_that_of_the_parsed_payload(value: object, allowed: int) -> None:
    raw = b'{"signature":"s","payload":' + _text(value, (",", ":"), True).encode() + b"}"
    depth = _nesting(value)
    if depth <= allowed:
        decode_item(raw, ItemLimits(262_144, allowed))
    else:
        with pytest.raises(InvalidItem, match=f"nested {depth} deep, {allowed} are allowed"):
            decode_item(raw, ItemLimits(262_144, allowed))


@given(
    st.lists(st.sampled_from([b"NaN", b'"\\ud800"', b'"\xff"', b"1", b'{"a":"]"}', b"-Infinity"]), max_size=8)
)
def test_one_bad_payload_in_an_array_spoils_no_other(payloads: list[bytes]) -> None:
    good = {b"1", b'{"a":"]"}'}
    items = [b'{"signature":"s-%d","payload":%b}' % pair for pair in enumerate(payloads)]
    judged = decode_array(b"[" + b" , ".join(items) + b"]", 100, LIMITS)
    assert [isinstance(item, Transaction) for item in judged] == [payload in good for payload in payloads]


@given(st.lists(st.binary(max_size=30), max_size=8), st.integers(1, 40))
def test_lines_are_the_same_however_the_stream_is_cut(pieces: list[bytes], limit: int) -> None:
    splitter = LineSplitter(limit)
    lines = []
    for piece in pieces:
        lines += splitter.feed(piece)
        assert splitter.pending_bytes <= limit
    lines += splitter.flush()
    whole = b"".join(pieces).split(b"\n")
    expected = [line.strip() if len(line) <= limit else len(line) for line in whole]
    assert lines == [line for line in expected if line != b""]


@given(st.lists(st.binary(max_size=300), min_size=1, max_size=4), st.integers(1, 50))
def test_gzip_inflates_to_what_went_in_however_it_is_cut(members: list[bytes], step: int) -> None:
    packed = b"".join(gzip.compress(member) for member in members)
    inflater = Inflater(10_000)
    inflated = [
        piece for at in range(0, len(packed), step) for piece in inflater.decode(packed[at : at + step])
    ]
    inflater.finish()
    assert b"".join(inflated) == b"".join(members)


def test_a_bomb_is_stopped_at_the_limit_and_not_after_it() -> None:
    bomb, inflater = gzip.compress(b"0" * 50_000_000), Inflater(1_000_000)
    seen = 0
    with pytest.raises(BodyTooLarge):  # noqa: PT012  what came out before is the point
        for piece in inflater.decode(bomb):
            seen += len(piece)
    assert seen <= 1_000_000


def test_an_array_past_its_items_is_refused_on_both_ways_of_reading() -> None:
    strict = b"[" + b",".join([b'{"signature":"s"}'] * 11) + b"]"
    with pytest.raises(BodyTooLarge):
        decode_array(strict, 10, LIMITS)
    with pytest.raises((BodyTooLarge, MalformedBody)):
        decode_array(strict.replace(b'"s"', b'"s","payload":NaN', 1), 10, LIMITS)


def test_raw_payloads_reach_the_block_without_being_parsed() -> None:
    item = Transaction("s", "a", 5, msgspec.Raw(b"not json at all"))
    [record] = decode_block(encode_block([item]))
    assert record == ("a", 5, b"not json at all")
