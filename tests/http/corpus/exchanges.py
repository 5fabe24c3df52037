"""Rules on what is around a request: Expect, Upgrade, Connection, stray bytes, clients that leave."""

from tests.http.corpus.message import (
    ALL_BUT_TALKATIVE,
    BASES,
    FIRST,
    GET,
    HEAD,
    JSON,
    POST,
    SECOND,
    STREAMED,
    Message,
    Named,
    length,
)
from tests.http.corpus.rule import (
    BAD,
    BAD_OR_SERVED,
    EXPECTATION,
    INCOMPLETE,
    SERVED,
    SERVED_AND_CLOSED,
    SERVED_TWICE,
    VERSION_OR_BAD,
    rule,
)

EMPTY_POST = GET.plus(b"Content-Length: 0")
UPGRADED = ALL_BUT_TALKATIVE | {
    "head": HEAD,
    "get-of-java": EMPTY_POST,
    "get-with-body": GET.plus(length()).framed(length(), body=JSON),
}
H2C = (
    b"Connection: Upgrade, HTTP2-Settings",
    b"HTTP2-Settings: AAEAAEAAAAIAAAAAAAMAAAAAAAQBAAAAAAUAAEAAAAYABgAA",
    b"Upgrade: h2c",
)
UPGRADES = {
    "h2c": H2C,
    "h2c-alone": (b"Connection: Upgrade", b"Upgrade: h2c"),
    "websocket": (
        b"Connection: keep-alive, Upgrade",
        b"Upgrade: websocket",
        b"Sec-WebSocket-Version: 13",
        b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
    ),
    "tls": (b"Connection: upgrade", b"Upgrade: TLS/1.0"),
    "list": (b"Connection: upgrade", b"Upgrade: a/1, b, h2c"),
    "not-in-connection": (b"Upgrade: h2c",),
    "connection-only": (b"Connection: upgrade",),
    "empty": (b"Connection: Upgrade", b"Upgrade:"),
}
# Of the bases by name, the share of their bytes that comes.
CUTS = 24
GARBAGE = {
    "tls": bytes.fromhex("160301020001000f0303") + bytes(range(60)) + b"\r\n\r\n",
    "ssh": b"SSH-2.0-OpenSSH_9.2\r\n\r\n",
    "json": JSON + b"\r\n\r\n",
    "response": b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
    "smtp": b"EHLO gate\r\n\r\n",
    "redis": b"*1\r\n$4\r\nPING\r\n\r\n",
    "nul": b"\x00" * 20 + b"\r\n\r\n",
    "binary": bytes(range(255, 127, -1)) + b"\r\n\r\n",
    "colon": b":\r\n\r\n",
    "field": b"Host: gate\r\n\r\n",
    "proxy": b"PROXY TCP4 127.0.0.1 127.0.0.1 1 2\r\n" + bytes(GET),
    "memcached": b"stats\r\n\r\n",
    "bom": b"\xef\xbb\xbf" + bytes(GET),
}


@rule(
    "expect-continue",
    SERVED,
    "RFC 9110 §10.1.1",
    "100-continue, in any case, with and without a body, the body sent at once",
)
def expect_continue() -> Named:
    for name, base in (ALL_BUT_TALKATIVE | {"head": HEAD}).items():
        for value in (b"100-continue", b"100-Continue", b"100-continue ", b"\t100-continue\t"):
            yield f"{name}-{value!r}", bytes(base.plus(b"Expect: " + value))


@rule("expect-unknown", EXPECTATION, "RFC 9110 §10.1.1", "another expectation, which may be refused with 417")
def expect_unknown() -> Named:
    for name, base in ALL_BUT_TALKATIVE.items():
        for value in (b"200-ok", b"100-continue, b", b"a=b", b"", b"100"):
            yield f"{name}-{value!r}", bytes(base.plus(b"Expect: " + value))


@rule(
    "expect-in-1.0",
    SERVED_AND_CLOSED,
    "RFC 9110 §10.1.1",
    "100-continue in HTTP/1.0, to be left out of account",
)
def expect_old() -> Named:
    for name, base in {"get": GET, "post": POST}.items():
        yield name, bytes(base.with_version(b"HTTP/1.0").plus(b"Expect: 100-continue"))


@rule(
    "upgrade", SERVED, "RFC 9110 §7.8", "upgrades to what the server does not speak, with and without a body"
)
def upgrades() -> Named:
    for name, base in UPGRADED.items():
        for kind, fields in UPGRADES.items():
            yield f"{name}-{kind}", bytes(base.plus(*fields))


@rule(
    "upgrade-then-more",
    SERVED_TWICE,
    "RFC 9110 §7.8",
    "an upgrade that is left out of account, and a request behind it",
)
def upgrades_then_more() -> Named:
    for name, base in UPGRADED.items():
        if name != "head":
            yield name, bytes(base.plus(*H2C)) + bytes(POST).replace(FIRST, SECOND)


@rule(
    "upgrade-broken",
    BAD,
    "RFC 9112 §5, §5.1, §5.2",
    "an Upgrade field that is none: white space before the colon, folded onto a field that frames a body",
)
def broken_upgrades() -> Named:
    for name, base in ALL_BUT_TALKATIVE.items():
        for at, lines in enumerate((b"Upgrade : h2c", b"Upgrade\t: h2c", b"Upgrade", b" Upgrade: h2c")):
            yield f"{name}-{at}", bytes(base.plus(b"X-A: 1", lines))
        yield f"{name}-fold", bytes(base.plus(b"Upgrade: h2c\r\n Content-Length: 5"))
        yield (
            f"{name}-fold-after",
            bytes(base.plus(b"X-A: 1", b"Upgrade: h2c\r\n\tTransfer-Encoding: chunked")),
        )


@rule(
    "upgrade-with-controls",
    BAD_OR_SERVED,
    "RFC 9110 §5.5, RFC 9112 §2.2",
    "NUL, bare CR or bare LF in an Upgrade field, behind which a framing field seems to begin",
)
def upgrades_with_controls() -> Named:
    for name, base in ALL_BUT_TALKATIVE.items():
        for character in (b"\x00", b"\r", b"\x0b", b"\x7f"):
            yield f"{name}-{character!r}", bytes(base.plus(b"Upgrade: a" + character + b"b"))
            framing = b"Upgrade: a" + character + b"Content-Length: 5"
            yield f"{name}-{character!r}-framing", bytes(base.plus(framing))
        yield f"{name}-lf", bytes(base.plus(b"Upgrade: a\nX-A: b"))
        yield f"{name}-lf-framing", bytes(base.plus(b"Upgrade: a\nTransfer-Encoding: gzip"))


@rule(
    "connection-close", SERVED_AND_CLOSED, "RFC 9112 §9.6", "Connection: close, alone, in a list, in any case"
)
def close() -> Named:
    for name, base in (ALL_BUT_TALKATIVE | {"head": HEAD}).items():
        for value in (
            b"close",
            b"Close",
            b"close ",
            b"\tclose\t",
            b"a, close",
            b"close,keep-alive",
            b"keep-alive, close",
        ):
            yield f"{name}-{value!r}", bytes(base.plus(b"Connection: " + value))
        yield f"{name}-lines", bytes(base.plus(b"Connection: a", b"Connection: close"))


@rule("connection-kept", SERVED, "RFC 9112 §9.3, RFC 9110 §7.6.1", "other options of Connection")
def keep_alive() -> Named:
    for name, base in (ALL_BUT_TALKATIVE | {"head": HEAD}).items():
        for value in (
            b"keep-alive",
            b"Keep-Alive",
            b"a",
            b"",
            b"closed",
            b"disclose",
            b"Host",
            b"content-length",
            b"keep-alive, a",
        ):
            yield f"{name}-{value!r}", bytes(base.plus(b"Connection: " + value))
        yield f"{name}-keep-alive-field", bytes(base.plus(b"Keep-Alive: timeout=5, max=100"))
        yield f"{name}-te", bytes(base.plus(b"TE: trailers", b"Connection: TE"))


@rule(
    "crlf-before",
    SERVED,
    "RFC 9112 §2.2",
    "an empty line before the request line, as old clients send it behind a body",
)
def crlf_before() -> Named:
    for name, base in BASES.items():
        yield f"{name}-one", b"\r\n" + bytes(base)


@rule(
    "crlf-before-many",
    BAD_OR_SERVED,
    "RFC 9112 §2.2",
    "several empty lines, bare LF or bare CR before the request line",
)
def line_ends_before() -> Named:
    for name, base in ALL_BUT_TALKATIVE.items():
        for at, before in enumerate(
            (b"\r\n\r\n", b"\r\n" * 3, b"\r\n" * 50, b"\n", b"\n\n", b"\r\n\n", b"\r", b"\r\r\n")
        ):
            yield f"{name}-{at}", before + bytes(base)


@rule("bytes-before", BAD, "RFC 9112 §2.2, §3", "NUL, a vertical tab or a letter before the request line")
def bytes_before() -> Named:
    for name, base in ALL_BUT_TALKATIVE.items():
        for before in (b"\x00", b"\r\n\x00", b"\x0b", b"x\r\n"):
            yield f"{name}-{before!r}", before + bytes(base)


@rule("white-space-before", BAD_OR_SERVED, "RFC 9112 §3", "spaces or tabs before the request line")
def white_space_before() -> Named:
    for name, base in ALL_BUT_TALKATIVE.items():
        for before in (b" ", b"\t", b"\r\n "):
            yield f"{name}-{before!r}", before + bytes(base)


@rule("crlf-behind", SERVED, "RFC 9112 §2.2", "an empty line behind the body, which the next request skips")
def crlf_behind() -> Named:
    for name, base in BASES.items():
        yield name, bytes(base) + b"\r\n"


@rule(
    "crlf-only",
    INCOMPLETE,
    "RFC 9112 §2.2",
    "empty lines and nothing else: no request at all",
    is_cut_off=True,
)
def crlf_only() -> Named:
    for count in (1, 2, 10):
        yield str(count), b"\r\n" * count


@rule("two-requests", SERVED_TWICE, "RFC 9112 §9.3.2", "two requests in one piece, of each kind behind each")
def pipelined() -> Named:
    for name, base in BASES.items():
        for following, second in BASES.items():
            yield f"{name}-{following}", bytes(base) + bytes(second).replace(FIRST, SECOND)


@rule(
    "cut-off",
    INCOMPLETE,
    "RFC 9112 §8",
    "a client that ends its side in the middle of a request",
    is_cut_off=True,
)
def cut_off() -> Named:
    for name, base in (
        BASES | {"upgrade": POST.plus(*H2C), "expect": POST.plus(b"Expect: 100-continue")}
    ).items():
        data = bytes(base)
        for at in sorted(
            {len(data) * part // CUTS for part in range(1, CUTS)} | {len(data) - 1, len(data) - 2}
        ):
            yield f"{name}-{at}", data[:at]


@rule(
    "cut-off-second",
    INCOMPLETE,
    "RFC 9112 §8",
    "a chunked body without its last chunk, with it and without the empty line",
    is_cut_off=True,
)
def cut_off_chunks() -> Named:
    whole = bytes(STREAMED)
    for end in (5, 4, 3, 2, 1):
        yield f"last-{end}", whole[:-end]
    yield "trailer", whole[:-2] + b"X: 1\r\n"
    yield "trailer-half", whole[:-2] + b"X: "


@rule("another-protocol", VERSION_OR_BAD, "RFC 9112 §3", "what speaks another protocol, or none")
def garbage() -> Named:
    yield from GARBAGE.items()
    yield "http2", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
    yield (
        "http2-settings",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes.fromhex("00000c04000000000000030000006400"),
    )
    yield "http09", bytes(Message(b"GET /livez", ()))
