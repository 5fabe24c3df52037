"""Heads that are known stand for what the parser made of them, and for nothing else, in bounded memory."""

import tracemalloc

import pytest

from app.server.fast_path import MOST_HEAD_BYTES, MOST_HEADERS, MOST_HEADS, KnownHeads
from app.server.heads import HEAD_END, parse_head

MANY = 100
HEADERS = {b"host": b"gate"}
START = b"POST /transactions?source=a HTTP/1.1\r\nHost: gate\r\n"


def _head(length: bytes = b"2", before: bytes = b"", after: bytes = b"") -> bytes:
    return START + before + b"Content-Length: " + length + b"\r\n" + after + b"\r\n"


def _known(*raw: bytes) -> KnownHeads:
    known = KnownHeads()
    for one in raw:
        head = parse_head(one, MANY)
        known.note(one, head, {name: value for name, value in head.fields if name != b"content-length"})
    return known


def test_a_head_is_known_whatever_the_length_of_its_body() -> None:
    known = _known(_head())
    for length in (0, 2, 7, 1000, 999_999_999):
        assert known.find(_head(b"%d" % length)) == (b"source=a", HEADERS, length)


@pytest.mark.parametrize(
    "raw",
    [
        _head(b"+2"),
        _head(b"-2"),
        _head(b" 2"),
        _head(b"2 "),
        _head(b"0x2"),
        _head(b"2, 2"),
        _head(b""),
        _head(b"2" * 10),
        _head(before=b"Content-Length: 2\r\n"),
        _head(after=b"Content-Length: 2\r\n"),
        _head(before=b"Transfer-Encoding: chunked\r\n"),
        _head(after=b"Connection: close\r\n"),
        _head().replace(b"gate", b"gatE"),
        _head().replace(b"source=a", b"source=b"),
        _head().replace(b"Length: 2", b"Length:\t2"),
        _head().replace(b"\r\n", b"\n"),
        b"\r\n" + _head(),
        HEAD_END,
        b"",
    ],
)
def test_any_other_is_left_to_the_parser(raw: bytes) -> None:
    assert _known(_head()).find(raw) is None
    assert KnownHeads().find(raw) is None


def test_large_heads_and_those_of_many_headers_are_not_kept() -> None:
    for raw in (
        _head(before=b"X: %b\r\n" % (b"x" * MOST_HEAD_BYTES)),
        _head(before=b"X:\r\n" * MOST_HEADERS),
    ):
        assert len(_known(raw)) == 0
    assert len(_known(_head(before=b"X:\r\n" * (MOST_HEADERS - 2)))) == 1


def test_it_is_emptied_when_it_is_full() -> None:
    raw = [_head(before=b"X-Request-Id: %d\r\n" % n) for n in range(MOST_HEADS + 1)]
    known = _known(*raw[:-1])
    assert all(map(known.find, raw[:-1]))
    head = parse_head(raw[-1], MANY)
    known.note(raw[-1], head, head.by_name)
    assert [one for one in raw if known.find(one)] == [raw[-1]]


def test_full_of_the_largest_it_takes_little_memory() -> None:
    lines = b"".join(b"Header-%02d: %b\r\n" % (n, b"v" * 12) for n in range(MOST_HEADERS - 3))
    tracemalloc.start()
    try:
        known = _known(*(_head(before=lines + b"X: %08d\r\n" % n) for n in range(MOST_HEADS)))
        held, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert len(known) == MOST_HEADS
    assert held < 3 * 1024 * 1024, "documented in docs/http.md"
