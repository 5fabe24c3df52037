"""Rules on Content-Length and Transfer-Encoding: where a body ends."""

from tests.http.corpus.message import (
    CHUNKED,
    GET,
    JSON,
    LAST,
    POST,
    STREAMED,
    TALKATIVE,
    Message,
    Named,
    chunks,
    length,
)
from tests.http.corpus.rule import (
    BAD,
    BAD_OR_CLOSED,
    BAD_OR_NOT_IMPLEMENTED,
    BAD_OR_SERVED,
    NOT_IMPLEMENTED_OR_SERVED,
    SERVED,
    SERVED_THEN_BAD,
    TOO_LONG,
    TOO_LONG_OR_SERVED,
    rule,
)

SIZE = b"%d" % len(JSON)
NOT_LENGTHS = [
    b"", b"+32", b"-32", b"-1", b"0x20", b"20h", b"3 2", b"32 32", b"32;", b"32.0", b"3.2e1",
    b"thirty-two", b'"32"', b"32 bytes", b"\xb3\xb2", b"3\x002",
    b"32,33", b"33, 32", b"32,a", b"32,+32", b"1_0", b"\x0b32", b"32\x0c", b"0b100000", b"-0", b"+0",
    b"1,000", b"NaN", b"infinity",
]  # fmt: skip
LISTS = [b"32,32", b"32, 32", b"32 ,32", b"32,32,32", b"32,", b",32", b"32,,32", b"032,32"]
HUGE = [2**31, 2**32, 2**32 + 32, 2**53, 2**63 - 1, 2**63, 2**63 + 32, 2**64 - 1]
PAST_64_BITS = [2**64, 2**64 + 32, 2**65 + 32, 10**30, 10**400]
UNKNOWN_CODINGS = [
    b"gzip, chunked",
    b"deflate, chunked",
    b"br,chunked",
    b"identity, chunked",
    b"x, chunked",
    b"gzip;q=1, chunked",
    b"gzip\t,chunked",
    b"chunke, chunked",
]
NOT_LAST = [
    b"gzip", b"identity", b"x", b"deflate", b"", b"chunked, gzip", b"chunked, identity", b"chunked,x",
    b"xchunked", b"chunkedx", b"chunke", b"chunked;", b"chunked\x0b",
    b"\x0bchunked", b"chunked gzip", b'"chunked"', b"chun ked", b"chunked/1", b"\x00chunked",
    b"chunked\x00", b"chunked, \xff", b"cow", b"chunk\xc3\xa9d", b"compress",
]  # fmt: skip
SLOPPY = [b"chunked,", b",chunked", b", chunked", b"chunked, ,", b"chunked;a=b", b"chunked ;a"]


def _both(value: bytes) -> tuple[bytes, bytes]:
    return b"Content-Length: " + value, b"content-length:" + value


@rule(
    "content-length", SERVED, "RFC 9110 §8.6", "digits, with zeros before them, and 0 where there is no body"
)
def good_lengths() -> Named:
    for value in (SIZE, b"0" + SIZE, b"0" * 30 + SIZE):
        for at, field in enumerate(_both(value)):
            yield f"post-{value!r}-{at}", bytes(POST.framed(field))
    for value in (b"0", b"00"):
        yield f"get-{value!r}", bytes(GET.framed(b"Content-Length: " + value))
    yield "get-with-body", bytes(GET.framed(length(), body=JSON))
    yield "get-chunked", bytes(GET.framed(CHUNKED, body=chunks(JSON) + LAST))
    yield "options-with-body", bytes(POST.with_method(b"OPTIONS"))


@rule(
    "content-length-not-a-number",
    BAD,
    "RFC 9112 §6.3, RFC 9110 §8.6",
    "signs, spaces, hexadecimals, lists of what differs",
)
def broken_lengths() -> Named:
    for value in NOT_LENGTHS:
        for at, field in enumerate(_both(value)):
            yield f"post-{value!r}-{at}", bytes(POST.framed(field))
        yield f"talkative-{value!r}", bytes(TALKATIVE.framed(b"Content-Length: " + value))
        yield f"get-{value!r}", bytes(GET.framed(b"Content-Length: " + value))


@rule(
    "content-length-list",
    BAD_OR_SERVED,
    "RFC 9110 §8.6",
    "a list of the same number, which may be taken for one",
)
def listed_lengths() -> Named:
    for value in LISTS:
        yield f"post-{value!r}", bytes(POST.framed(b"Content-Length: " + value))
        yield f"talkative-{value!r}", bytes(TALKATIVE.framed(b"Content-Length: " + value))


@rule(
    "content-length-doubled", BAD_OR_SERVED, "RFC 9110 §8.6, RFC 9112 §6.3", "two fields with the same number"
)
def doubled_lengths() -> Named:
    for second in (*_both(SIZE), b"Content-Length: 0" + SIZE):
        yield f"post-{second!r}", bytes(POST.plus(second))
    yield "get", bytes(GET.plus(b"Content-Length: 0", b"Content-Length: 0"))


@rule("content-length-contradicted", BAD, "RFC 9112 §6.3", "two fields with different numbers")
def contradicted_lengths() -> Named:
    for second in (b"0", b"1", b"33", b"31", b"", b"x", b"64"):
        yield f"post-{second!r}", bytes(POST.plus(b"Content-Length: " + second))
        yield f"post-{second!r}-first", bytes(POST.framed(b"Content-Length: " + second, length()))


@rule(
    "content-length-huge",
    TOO_LONG,
    "RFC 9112 §6.3, RFC 9110 §15.5.14",
    "lengths up to 64 bits, of which little comes",
    is_cut_off=True,
)
def huge_lengths() -> Named:
    for value in HUGE:
        yield f"post-{value}", bytes(POST.framed(b"Content-Length: %d" % value))


@rule(
    "content-length-not-awaited",
    TOO_LONG_OR_SERVED,
    "RFC 9112 §9.3",
    "a GET with a length, whose body nobody needs",
    is_cut_off=True,
)
def lengths_of_gets() -> Named:
    for value in HUGE:
        yield f"get-{value}", bytes(GET.framed(b"Content-Length: %d" % value))


@rule(
    "content-length-past-64-bits",
    TOO_LONG,
    "RFC 9112 §6.3",
    "lengths that overflow: a recipient must not take them for others",
)
def overflowing_lengths() -> Named:
    for at, value in enumerate(PAST_64_BITS):
        digits = b"%d" % value
        yield f"post-{at}", bytes(POST.framed(b"Content-Length: " + digits))
        yield f"get-{at}", bytes(GET.framed(b"Content-Length: " + digits))


@rule(
    "content-length-too-small", SERVED_THEN_BAD, "RFC 9112 §9.3", "bytes behind a body, which are no request"
)
def short_lengths() -> Named:
    yield "post", bytes(POST) + b"}\r\n\r\n"
    yield "get", bytes(GET) + JSON + b"\r\n\r\n"
    yield "streamed", bytes(STREAMED) + b"0\r\n\r\n"
    yield "post-binary", bytes(POST) + b"\x00\x01\x02\r\n\r\n"


@rule("transfer-encoding", SERVED, "RFC 9112 §6.1, §7", "chunked, in any case, with white space around")
def good_codings() -> Named:
    for value in (b"chunked", b" chunked", b" Chunked", b" CHUNKED ", b"\tchunked\t"):
        yield repr(value), bytes(STREAMED.framed(b"Transfer-Encoding:" + value))


@rule(
    "transfer-encoding-unknown",
    BAD_OR_NOT_IMPLEMENTED,
    "RFC 9112 §6.1",
    "codings before chunked that the server has not got",
)
def unknown_codings() -> Named:
    for value in UNKNOWN_CODINGS:
        yield repr(value), bytes(STREAMED.framed(b"Transfer-Encoding: " + value))
        yield (
            f"{value!r}-lines",
            bytes(STREAMED.framed(b"Transfer-Encoding: " + value.split(b",")[0], CHUNKED)),
        )
        yield f"{value!r}-get", bytes(GET.framed(b"Transfer-Encoding: " + value, body=LAST))


@rule(
    "transfer-encoding-chunked-not-last",
    BAD_OR_NOT_IMPLEMENTED,
    "RFC 9112 §6.3",
    "nothing says where the body ends",
)
def codings_without_end() -> Named:
    for value in NOT_LAST:
        yield repr(value), bytes(STREAMED.framed(b"Transfer-Encoding: " + value))
        yield f"{value!r}-get", bytes(GET.framed(b"Transfer-Encoding: " + value))


@rule(
    "transfer-encoding-chunked-twice", BAD_OR_NOT_IMPLEMENTED, "RFC 9112 §6.1, §7", "chunked more than once"
)
def chunked_twice() -> Named:
    for value in (b"chunked, chunked", b"chunked,chunked", b"Chunked , chunked", b"chunked, gzip, chunked"):
        yield repr(value), bytes(STREAMED.framed(b"Transfer-Encoding: " + value))
    yield "lines", bytes(STREAMED.plus(CHUNKED))
    yield "lines-of-other-case", bytes(STREAMED.plus(b"transfer-encoding: CHUNKED"))


@rule(
    "transfer-encoding-sloppy",
    NOT_IMPLEMENTED_OR_SERVED,
    "RFC 9110 §5.6.1, RFC 9112 §7",
    "empty members of the list, and parameters",
)
def sloppy_codings() -> Named:
    for value in SLOPPY:
        yield repr(value), bytes(STREAMED.framed(b"Transfer-Encoding: " + value))


@rule(
    "transfer-encoding-and-length",
    BAD_OR_CLOSED,
    "RFC 9112 §6.1, §6.3",
    "both: refused, or served as chunked and then closed",
)
def both_framings() -> Named:
    for value in (b"0", SIZE, b"5", b"%d" % len(STREAMED.body), b"1000"):
        for at, fields in enumerate(
            ((CHUNKED, b"Content-Length: " + value), (b"Content-Length: " + value, CHUNKED))
        ):
            yield f"{value!r}-{at}", bytes(STREAMED.framed(*fields))


@rule("transfer-encoding-and-broken-length", BAD, "RFC 9112 §6.3", "both, the length not a number")
def coding_and_broken_length() -> Named:
    for value in (b"x", b"-1", b"", b"5,6"):
        yield repr(value), bytes(STREAMED.plus(b"Content-Length: " + value))


@rule(
    "transfer-encoding-in-1.0",
    BAD_OR_CLOSED,
    "RFC 9112 §6.1",
    "the framing of an HTTP/1.0 message with it is faulty: refused, or closed after",
)
def old_coding() -> Named:
    old = STREAMED.with_version(b"HTTP/1.0")
    yield "plain", bytes(old)
    yield "kept", bytes(old.plus(b"Connection: keep-alive"))
    yield "with-length", bytes(old.plus(length(), b"Connection: keep-alive"))
    yield "gzip", bytes(old.framed(b"Transfer-Encoding: gzip"))
    yield "length-first", bytes(Message(old.line, (length(), *old.fields), old.body))
