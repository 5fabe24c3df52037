"""What is wrong with a head is told alike wherever its bytes were cut on their way: what is wrong first."""

import pytest

from app.server.heads import HEAD_END, RefusedError, parse_head
from app.server.limits import Limits
from app.server.receive_buffer import NO_HEAD, ReceiveBuffer

LIMITS = Limits(header_bytes=120, header_count=4)
LINE, HOST = b"GET / HTTP/1.1\r\n", b"Host: x\r\n"
MALFORMED, LARGE, MANY = "malformed-request", "header-too-large", "too-many-headers"
HEADS = {
    LINE + HOST: "",
    LINE + HOST + b"a:\r\n" * 3: "",
    LINE + HOST + b"a:\r\n" * 4: MANY,
    LINE + HOST + b"a: " + b"a" * 120: LARGE,
    LINE.replace(b"GET", b"BREW") + HOST: "not-implemented",
    b"BREW / HTTP/1.1\n" + HOST: MALFORMED,
    b"BREW / HTTP/1.1\r\nHost: x\na:\r\n": MALFORMED,
    b"CONNECT x:80 HTTP/1.1\r\nHost: x\na:\r\n": MALFORMED,
    b"GET / HTTP/2.0\nHost: x\r\n": MALFORMED,
    LINE + b"Host: x\n" + b"a:\r\n" * 9: MALFORMED,
    LINE + b"Host: x\n" + b"a: " + b"a" * 120: MALFORMED,
    LINE + HOST + b"a:\r\n" * 9 + b"a:\n": MANY,
    LINE + HOST + b"a: " + b"a" * 120 + b"\n": LARGE,
    LINE + HOST + b"a:\r\n" * 9 + b"a: " + b"a" * 120: MANY,
    LINE + HOST + b"a: " + b"a" * 120 + b"\r\n" + b"a:\r\n" * 9: LARGE,
    b" " + LINE + b"a:\r\n" * 9: MALFORMED,
    b"\0" + LINE + b"a: " + b"a" * 120: MALFORMED,
}
"""What is wrong with each, empty if nothing is."""


def _whole(head: bytes) -> str:
    try:
        parse_head(head, LIMITS.header_count)
    except RefusedError as refused:
        return refused.reason
    return ""


def _cut(*pieces: bytes) -> str:
    buffer = ReceiveBuffer(LIMITS)
    for piece in pieces:
        buffer.raw += piece
        try:
            end = buffer.head_end()
        except RefusedError as refused:
            return refused.reason
        if end != NO_HEAD:
            return _whole(bytes(buffer.raw[:end]))
    raise AssertionError("the head never came to its end")


@pytest.mark.parametrize("lines", HEADS)
def test_what_is_wrong_first_is_told_wherever_the_bytes_are_cut(lines: bytes) -> None:
    head, wanted = lines.removesuffix(b"\r\n") + HEAD_END, HEADS[lines]
    for at in range(len(head)):
        assert _cut(head[:at], head[at:]) == wanted, at
    assert _cut(*(head[at : at + 1] for at in range(len(head)))) == wanted
    if len(head) <= LIMITS.header_bytes:
        assert _whole(head) == wanted  # one that comes in one read is not kept
