"""Heads that are known stand for what the parser made of them, and for nothing else."""

import pytest

from app.http.heads import MOST_HEAD_BYTES, MOST_HEADS, Heads

HEADERS = {b"host": b"gate", b"content-length": b"2"}


def _request(length: bytes = b"2", body: bytes = b"{}", before: bytes = b"", after: bytes = b"") -> bytes:
    start = b"POST /transactions?source=a HTTP/1.1\r\nHost: gate\r\n"
    return start + before + b"Content-Length: " + length + b"\r\n" + after + b"\r\n" + body


def _heads(data: bytes, body: bytes = b"{}") -> Heads:
    heads = Heads()
    heads.note(data, b"source=a", HEADERS, body)
    return heads


def test_a_head_is_known_whatever_the_length_of_its_body() -> None:
    heads = _heads(_request())
    for body in (b"", b"{}", b'{"a":1}', b"x" * 1000, b"\r\n\r\nContent-Length: 3\r\n\r\n"):
        assert heads.find(_request(b"%d" % len(body), body)) == (b"source=a", HEADERS, body)


@pytest.mark.parametrize(
    "data",
    [
        _request(b"3"),
        _request(b"1"),
        _request(b"+2"),
        _request(b"-2"),
        _request(b" 2"),
        _request(b"2 "),
        _request(b"0x2"),
        _request(b"2, 2"),
        _request(b""),
        _request(b"2" * 10),
        _request(before=b"Content-Length: 2\r\n"),
        _request(after=b"Content-Length: 2\r\n"),
        _request(before=b"Transfer-Encoding: chunked\r\n"),
        _request(after=b"Connection: close\r\n"),
        _request().replace(b"gate", b"gatE"),
        _request().replace(b"source=a", b"source=b"),
        _request().replace(b"Length: 2", b"Length:\t2"),
        _request().replace(b"\r\n", b"\n"),
        b"\r\n" + _request(),
        _request() + _request(),
        _request()[:-1],
        b"",
    ],
)
def test_any_other_is_left_to_the_parser(data: bytes) -> None:
    assert _heads(_request()).find(data) is None
    assert Heads().find(data) is None


def test_what_the_parser_saw_otherwise_is_not_noted() -> None:
    assert _heads(_request(), body=b"[]").find(_request()) is None, "it was chunked, or there was more"


def test_it_holds_a_bounded_number_of_small_heads() -> None:
    long = _request(before=b"X: %b\r\n" % (b"x" * MOST_HEAD_BYTES))
    assert _heads(long).find(long) is None
    heads, data = Heads(), [_request(before=b"X-Request-Id: %d\r\n" % n) for n in range(MOST_HEADS + 1)]
    for one in data[:-1]:
        heads.note(one, b"", HEADERS, b"{}")
    assert all(map(heads.find, data[:-1]))
    heads.note(data[-1], b"", HEADERS, b"{}")
    assert [one for one in data if heads.find(one)] == [data[-1]]
