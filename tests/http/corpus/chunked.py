"""Rules on chunked bodies: sizes, extensions, line ends, trailers."""

from tests.http.corpus.message import FIRST, JSON, LAST, STREAMED, TALKATIVE, Named, chunks, cut_up
from tests.http.corpus.rule import BAD, BAD_OR_SERVED, INCOMPLETE_AND_LONG, SERVED, TOO_LARGE, rule

SIZE = b"%x" % len(JSON)
NOT_SIZES = [
    b"", b"g", b"0x20", b"+20", b"-20", b"-1", b"2_0", b"20h", b"2 0", b"x20", b"\xb20", b"2\x000",
    b"20,", b"20.", b"#20", b'"20"', b"%20", b"\x0b20", b"20\x0b",
    b"ffffffffffffffffffff", b"10000000000000020", b"1" + b"0" * 400, b"20 20", b"\r\n20", b"20\x0c",
    b"20\x85",
]  # fmt: skip
# RFC 9112 §7.1.1: chunk-ext = *( BWS ";" BWS name [ BWS "=" BWS value ] )
EXTENSIONS = [
    b";a",
    b";a=b",
    b";a=b;c=d",
    b';a="b"',
    b';a="b c;d"',
    b';a="\\""',
    b";ieof",
    b";a=1",
    b";a_b-c=~",
]
SPACED_EXTENSIONS = [b" ;a=b", b"; a=b", b";a =b", b";a= b", b"\t;\ta\t=\tb", b' ; a = "b"']
BROKEN_EXTENSIONS = [
    b";",
    b";;",
    b";=b",
    b";a=",
    b';a="b',
    b";a=b c",
    b" a",
    b"\ta",
    b";a=\x00",
    b";\x7f",
    b";a=b\x0b",
    b";(a)",
    b';a="b"c',
    b";a==b",
    b";\xff",
]
# What would be taken for line ends by those who look for one character only.
CR_IN_EXTENSIONS = [b";a\rb", b";\r", b";a=\r", b';a="\r"']
LF_IN_EXTENSIONS = [b";a\nb", b";\n", b";a=\n0"]
PIECES = [chunks(JSON), chunks(*JSON.partition(FIRST)), chunks(*cut_up(JSON))]
PADDED = b" " + JSON  # so that the first 15 bytes end before the signature


def _with(body: bytes) -> bytes:
    return bytes(STREAMED.framed(b"Transfer-Encoding: chunked", body=body))


def _sized(size: bytes) -> bytes:
    return _with(size + b"\r\n" + JSON + b"\r\n" + LAST)


@rule(
    "chunk-size",
    SERVED,
    "RFC 9112 §7.1",
    "hexadecimal digits in any case, with zeros before them, one chunk or many",
)
def good_sizes() -> Named:
    for size in (SIZE, b"0" + SIZE, b"0" * 12 + SIZE):
        yield repr(size), _sized(size)
    for at, pieces in enumerate(PIECES):
        yield f"pieces-{at}", _with(pieces + LAST)
    for digit in (b"a", b"A", b"f", b"F", b"0c", b"0C"):
        count = int(digit, 16)
        yield (
            f"digit-{digit!r}",
            _with(digit + b"\r\n" + PADDED[:count] + b"\r\n" + chunks(PADDED[count:]) + LAST),
        )
    for last in (b"0", b"00", b"0" * 12):
        yield f"last-{last!r}", _with(chunks(JSON) + last + b"\r\n\r\n")


@rule("chunk-size-not-a-number", BAD, "RFC 9112 §7.1", "signs, prefixes, separators, nothing, more than fits")
def broken_sizes() -> Named:
    for size in NOT_SIZES:
        yield repr(size[:24]), _sized(size)
        yield f"later-{size[:24]!r}", _with(chunks(JSON[:5]) + size + b"\r\n" + JSON[5:] + b"\r\n" + LAST)


@rule(
    "chunk-size-white-space",
    BAD_OR_SERVED,
    "RFC 9112 §7.1",
    "white space around the size, which the grammar has only before an extension",
)
def spaced_sizes() -> Named:
    for size in (b" 20", b"20 ", b"\t20", b"20\t", b"20  ", b" 20 "):
        yield repr(size), _sized(size)
    yield "last", _with(chunks(JSON) + b"0 \r\n\r\n")


@rule("chunk-size-wrong", BAD, "RFC 9112 §7.1", "a size that is not that of the data")
def wrong_sizes() -> Named:
    for size in (b"1", b"1f", b"10"):
        yield repr(size), _sized(size)
    for size in (b"21", b"22", b"24"):
        yield repr(size), _sized(size)


@rule(
    "chunk-size-huge",
    INCOMPLETE_AND_LONG,
    "RFC 9112 §7.1",
    "a chunk of up to 64 bits of which little comes",
    is_cut_off=True,
)
def huge_sizes() -> Named:
    for size in (b"7fffffff", b"ffffffff", b"100000020", b"7fffffffffffffff", b"ffffffffffffffff"):
        yield repr(size), _with(size + b"\r\n" + JSON)


@rule("chunk-extension", SERVED, "RFC 9112 §7.1.1", "extensions, which are to be left out of account")
def extensions() -> Named:
    for extension in EXTENSIONS:
        yield f"first-{extension!r}", _sized(SIZE + extension)
        yield f"last-{extension!r}", _with(chunks(JSON) + b"0" + extension + b"\r\n\r\n")


@rule(
    "chunk-extension-white-space",
    BAD_OR_SERVED,
    "RFC 9112 §7.1.1",
    "white space that senders must not make, and recipients take",
)
def spaced_extensions() -> Named:
    for extension in SPACED_EXTENSIONS:
        yield f"first-{extension!r}", _sized(SIZE + extension)
        yield f"last-{extension!r}", _with(chunks(JSON) + b"0" + extension + b"\r\n\r\n")


@rule(
    "chunk-extension-broken",
    BAD_OR_SERVED,
    "RFC 9112 §7.1.1",
    "extensions outside of the grammar, that end where their line ends",
)
def broken_extensions() -> Named:
    for extension in BROKEN_EXTENSIONS:
        yield f"first-{extension!r}", _sized(SIZE + extension)
        yield f"last-{extension!r}", _with(chunks(JSON) + b"0" + extension + b"\r\n\r\n")


@rule(
    "chunk-extension-line-end",
    BAD,
    "RFC 9112 §7.1.1, §2.2",
    "a bare CR or LF in an extension, where two servers may see different ends",
)
def split_extensions() -> Named:
    for extension in CR_IN_EXTENSIONS + LF_IN_EXTENSIONS:
        yield f"first-{extension!r}", _sized(SIZE + extension)
        yield f"last-{extension!r}", _with(chunks(JSON) + b"0" + extension + b"\r\n\r\n")


@rule(
    "chunk-extension-long",
    TOO_LARGE,
    "RFC 9112 §7.1.1",
    "an extension of 64 KiB; a server ought to limit them",
)
def long_extensions() -> Named:
    yield "one", _sized(SIZE + b";" + b"a" * 65_536)
    yield "many", _sized(SIZE + b";a=b" * 16_384)


@rule("chunk-end", BAD, "RFC 9112 §7.1", "something else than CRLF behind a chunk's data")
def broken_ends() -> Named:
    for end in (b"", b"xx", b"\r", b"x\r\n", b"\r\r\n", b"  ", b"\n\r", b"\rx"):
        yield repr(end), _with(SIZE + b"\r\n" + JSON + end + LAST)


@rule(
    "chunk-line-bare-lf", BAD, "RFC 9112 §7.1, §2.2", "LF alone in chunked framing, where the RFC allows none"
)
def bare_line_feeds() -> Named:
    yield "size", _with(SIZE + b"\n" + JSON + b"\r\n" + LAST)
    yield "data", _with(SIZE + b"\r\n" + JSON + b"\n" + LAST)
    yield "last", _with(chunks(JSON) + b"0\n\r\n")
    yield "end", _with(chunks(JSON) + b"0\r\n\n")
    yield "all", _with((chunks(JSON) + LAST).replace(b"\r\n", b"\n"))


@rule("chunk-line-bare-cr", BAD, "RFC 9112 §7.1, §2.2", "CR alone in chunked framing")
def bare_carriage_returns() -> Named:
    yield "size", _with(SIZE + b"\r" + JSON + b"\r\n" + LAST)
    yield "size-doubled", _with(SIZE + b"\r\r\n" + JSON + b"\r\n" + LAST)
    yield "last", _with(chunks(JSON) + b"0\r\r\n")
    yield "end", _with(chunks(JSON) + b"0\r\n\r\r\n")


@rule(
    "trailers", SERVED, "RFC 9112 §7.1.2", "trailers, among them such as must not be merged into the headers"
)
def trailers() -> Named:
    # A framing or routing field in the trailer must change nothing (RFC 9110 §6.5.1).
    for field in (
        b"X-A: 1",
        b"Expires: 0",
        b"X:",
        b"Content-Length: 5",
        b"Host: other",
        b"Content-Type: text/plain",
        b"Authorization: Bearer a",
        b"Transfer-Encoding: gzip",
    ):
        yield repr(field), _with(chunks(JSON) + b"0\r\n" + field + b"\r\n\r\n")
    yield "two", _with(chunks(JSON) + b"0\r\nA: 1\r\nB: 2\r\n\r\n")
    yield (
        "announced",
        bytes(
            TALKATIVE.framed(
                b"Trailer: A", b"Transfer-Encoding: chunked", body=chunks(JSON) + b"0\r\nA: 1\r\n\r\n"
            )
        ),
    )


@rule("trailers-broken", BAD, "RFC 9112 §7.1.2, §5", "trailers that are no field lines")
def broken_trailers() -> Named:
    for line in (b"X", b": 1", b"X : 1", b"X\x00: 1", b"X(: 1", b"\x80: 1", b"GET / HTTP/1.1"):
        yield repr(line), _with(chunks(JSON) + b"0\r\n" + line + b"\r\n\r\n")


@rule("trailers-sloppy", BAD_OR_SERVED, "RFC 9112 §5.2, §2.2", "folded trailers, bare LF between them")
def sloppy_trailers() -> Named:
    for lines in (b"X: 1\r\n 2\r\n", b" X: 1\r\n", b"X: 1\n", b"X: \x001\r\n", b"X: \r1\r\n"):
        yield repr(lines), _with(chunks(JSON) + b"0\r\n" + lines + b"\r\n")


@rule("trailers-too-large", TOO_LARGE, "RFC 6585 §5", "20 KiB of trailers, and 1,000 of them")
def large_trailers() -> Named:
    yield "one", _with(chunks(JSON) + b"0\r\nX: " + b"a" * 20_000 + b"\r\n\r\n")
    yield "many", _with(chunks(JSON) + b"0\r\n" + b"a:\r\n" * 1000 + b"\r\n")
