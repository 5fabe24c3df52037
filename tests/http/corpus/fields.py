"""Rules on field lines: names, values, white space, line ends, and the Host field."""

from tests.http.corpus.message import ALL_BUT_TALKATIVE, CRLF, GET, POST, POSTS, Message, Named
from tests.http.corpus.rule import (
    BAD,
    BAD_OR_INCOMPLETE,
    BAD_OR_SERVED,
    NOT_IMPLEMENTED_OR_SERVED,
    SERVED,
    TOO_LARGE,
    rule,
)

TOKEN = b"!#$%&'*+-.^_`|~0123456789" + bytes(range(65, 91)) + bytes(range(97, 123))
NOT_TOKEN = bytes(character for character in range(256) if character not in TOKEN + b":\n")
FREE_IN_VALUES = bytes([0x09, *range(0x20, 0x7F), *range(0x80, 0x100)])
DANGEROUS = b"\x00\r"
CONTROLS = bytes(character for character in range(0x20) if character not in b"\t\n\r\x00") + b"\x7f"
GOOD_HOSTS = [
    b"gate",
    b"gate:80",
    b"127.0.0.1",
    b"127.0.0.1:8000",
    b"[::1]",
    b"[::1]:80",
    b"gate:",
    b"a.b-c.example",
    b"%67ate",
    b"a_b",
    b"GATE",
    b"x!$&'()*+,;=~",
]
BAD_HOSTS = [
    b"a b", b"a/b", b"a?b", b"a#b", b"user@gate", b"http://gate", b"[::1", b"::1", b"[gate",
    b"gate:port", b"gate:80:80", b"gate:-1", b"gate, gate",
    b"a\\b", b'"gate"', b"a\x00b", b"a<b>", b"g\xe4te", b"{gate}", b"gate:80/", b"a\tb", b"a|b", b"a^b",
]  # fmt: skip


@rule("field-name-token", SERVED, "RFC 9110 §5.1, §5.6.2", "names of all characters of a token")
def token_names() -> Named:
    for name, base in POSTS.items():
        for character in TOKEN:
            yield f"{name}-{bytes([character])!r}", bytes(base.plus(b"X-%cA: 1" % character))


@rule("field-name-not-a-token", BAD, "RFC 9112 §5, RFC 9110 §5.6.2", "names with any other character")
def broken_names() -> Named:
    for name, base in ALL_BUT_TALKATIVE.items():
        for character in NOT_TOKEN:
            yield f"{name}-{bytes([character])!r}", bytes(base.plus(b"X-%cA: 1" % character))


@rule("field-name-empty", BAD, "RFC 9112 §5", "a line that begins with the colon, or has none")
def no_name() -> Named:
    for name, base in ALL_BUT_TALKATIVE.items():
        for line in (b": 1", b":", b"name", b"name 1", b"name=1", b"GET / HTTP/1.1"):
            yield f"{name}-{line!r}", bytes(base.plus(line))


@rule("field-name-then-white-space", BAD, "RFC 9112 §5.1", "white space between the name and the colon")
def space_before_colon() -> Named:
    for name, base in ALL_BUT_TALKATIVE.items():
        for space in (b" ", b"\t", b"  ", b"\x0b", b"\r"):
            yield f"{name}-{space!r}", bytes(base.plus(b"X-A" + space + b": 1"))
    for space in (b" ", b"\t"):
        yield f"length-{space!r}", bytes(POST.framed(b"Content-Length" + space + b": 32"))
        yield (
            f"coding-{space!r}",
            bytes(POSTS["streamed"].framed(b"Transfer-Encoding" + space + b": chunked")),
        )


@rule(
    "field-value-characters",
    SERVED,
    "RFC 9110 §5.5",
    "values of all visible characters, tabs, and bytes over 127",
)
def values() -> Named:
    for name, base in POSTS.items():
        for character in FREE_IN_VALUES:
            yield f"{name}-{bytes([character])!r}", bytes(base.plus(b"X-A: a%cb" % character))


@rule(
    "field-value-nul-or-cr",
    BAD_OR_SERVED,
    "RFC 9110 §5.5, RFC 9112 §2.2",
    "NUL or a bare CR in a value: refused, or a space in its place",
)
def dangerous_values() -> Named:
    for name, base in ALL_BUT_TALKATIVE.items():
        for character in DANGEROUS:
            for value in (b"a%cb", b"%cb", b"a%c", b"%c"):
                yield f"{name}-{value % character!r}", bytes(base.plus(b"X-A: " + value % character))


@rule("field-value-control-character", BAD_OR_SERVED, "RFC 9110 §5.5", "other control characters in a value")
def control_values() -> Named:
    for name, base in ALL_BUT_TALKATIVE.items():
        for character in CONTROLS:
            yield f"{name}-{bytes([character])!r}", bytes(base.plus(b"X-A: a%cb" % character))


@rule(
    "field-value-white-space",
    SERVED,
    "RFC 9112 §5",
    "optional white space around values, and values that are empty",
)
def white_space() -> Named:
    for name, base in POSTS.items():
        for value in (b"", b" ", b"1", b"\t1", b"  1", b" 1 ", b" 1\t", b" \t 1 \t ", b" a  b", b" a\tb"):
            yield f"{name}-{value!r}", bytes(base.plus(b"X-A:" + value))
    yield "host-before", bytes(POST.without(b"Host").plus(b"Host:\t gate"))
    yield "host-behind", bytes(POST.without(b"Host").plus(b"Host:gate "))
    yield "host-tab-behind", bytes(POST.without(b"Host").plus(b"Host:gate\t"))
    yield "length", bytes(POST.framed(b"Content-Length: \t32\t "))
    yield "type", bytes(POST.without(b"Content-Type").plus(b"Content-Type:application/json \t"))


@rule(
    "field-line-folded",
    BAD_OR_SERVED,
    "RFC 9112 §5.2",
    "obs-fold: a line that begins with white space goes on with the one before",
)
def folded() -> Named:
    for name, base in ALL_BUT_TALKATIVE.items():
        for fold in (b" ", b"\t", b"  \t"):
            yield f"{name}-{fold!r}", bytes(base.plus(b"X-A: 1", fold + b"2"))
            yield f"{name}-{fold!r}-nothing", bytes(base.plus(b"X-A: 1", fold))
    yield "host", bytes(GET.plus(b" other"))
    yield "length", bytes(POST.framed(b"Content-Length:", b" 32"))
    yield "coding", bytes(POSTS["streamed"].framed(b"Transfer-Encoding:", b" chunked"))


@rule(
    "field-line-folded-first",
    BAD_OR_SERVED,
    "RFC 9112 §2.2",
    "white space before the first field line: refused, or that line left out",
)
def folded_first() -> Named:
    for name, base in ALL_BUT_TALKATIVE.items():
        for fold in (b" ", b"\t"):
            yield f"{name}-{fold!r}", bytes(Message(base.line, (fold + b"X-A: 1", *base.fields), base.body))
            yield (
                f"{name}-{fold!r}-host",
                bytes(Message(base.line, (fold + b"Host: a", *base.fields), base.body)),
            )


@rule(
    "line-end-bare-lf", BAD_OR_SERVED, "RFC 9112 §2.2", "LF alone where CRLF belongs, which a server may take"
)
def bare_line_feeds() -> Named:
    for name, base in ALL_BUT_TALKATIVE.items():
        head, _, body = bytes(base).partition(CRLF * 2)
        yield f"{name}-all", head.replace(CRLF, b"\n") + b"\n\n" + body
        yield f"{name}-line", bytes(base).replace(CRLF, b"\n", 1)
        yield f"{name}-field", head[::-1].replace(b"\n\r", b"\n", 1)[::-1] + CRLF * 2 + body
        yield f"{name}-last", head + b"\n\n" + body
        yield f"{name}-end", head + CRLF + b"\n" + body
        yield f"{name}-before-end", head + b"\n" + CRLF + body


@rule(
    "line-end-bare-lf-first",
    NOT_IMPLEMENTED_OR_SERVED,
    "RFC 9112 §2.2",
    "LF alone in a head with another fault, which only who has all of it sees",
)
def bare_line_feeds_before_another_fault() -> Named:
    for name, base in ALL_BUT_TALKATIVE.items():
        worse = {
            "method": base.with_method(b"BREW"),
            "tunnel": base.with_method(b"CONNECT"),
            "version": base.with_version(b"HTTP/2.0"),
            "host": base.without(b"Host"),
            "number": base.plus(*(b"a:" for _ in range(200))),
            "value": base.plus(b"X-A: " + b"a" * 20_000),
        }
        for fault, message in worse.items():
            yield f"{name}-{fault}-line", bytes(message).replace(CRLF, b"\n", 1)
            yield f"{name}-{fault}-field", bytes(message).replace(CRLF, b"\nX-B: 1" + CRLF, 1)


@rule(
    "line-end-bare-cr", BAD_OR_SERVED, "RFC 9112 §2.2", "CR alone where CRLF belongs: not valid, or a space"
)
def bare_carriage_returns() -> Named:
    for name, base in ALL_BUT_TALKATIVE.items():
        head, _, body = bytes(base).partition(CRLF * 2)
        yield f"{name}-line", bytes(base).replace(CRLF, b"\r", 1)
        yield f"{name}-field", head[::-1].replace(b"\n\r", b"\r", 1)[::-1] + CRLF * 2 + body
        yield f"{name}-doubled", bytes(base).replace(CRLF, b"\r\r\n", 1)


@rule(
    "line-end-bare-cr-last",
    BAD_OR_INCOMPLETE,
    "RFC 9112 §2.2",
    "a bare CR in the empty line that ends the head, behind which a server may wait for the end",
    is_cut_off=True,
)
def bare_carriage_return_at_the_end() -> Named:
    for name, base in ALL_BUT_TALKATIVE.items():
        head, _, body = bytes(base).partition(CRLF * 2)
        yield f"{name}-doubled", head + CRLF + b"\r\r\n" + body
        yield f"{name}-alone", head + CRLF + b"\r" + body
        yield f"{name}-both", head + b"\r\r" + body


@rule("host", SERVED, "RFC 9112 §3.2, RFC 9110 §7.2", "hosts with and without a port, of all kinds")
def hosts() -> Named:
    for host in GOOD_HOSTS:
        yield f"get-{host!r}", bytes(GET.without(b"Host").plus(b"Host: " + host))
        yield f"post-{host!r}", bytes(POST.without(b"Host").plus(b"host:" + host))


@rule(
    "host-empty",
    BAD_OR_SERVED,
    "RFC 9112 §3.2",
    "a Host field without a value, which is right where the URI has no authority",
)
def empty_host() -> Named:
    for name, base in ALL_BUT_TALKATIVE.items():
        for host in (b"Host:", b"Host: ", b"Host: :80", b"Host: :"):
            yield f"{name}-{host!r}", bytes(base.without(b"Host").plus(host))


@rule("host-missing", BAD, "RFC 9112 §3.2", "HTTP/1.1 without a Host field")
def no_host() -> Named:
    for name, base in ALL_BUT_TALKATIVE.items():
        yield name, bytes(base.without(b"Host"))
        yield f"{name}-absolute", bytes(base.without(b"Host").with_target(b"http://gate/livez"))
        yield (
            f"{name}-similar",
            bytes(base.without(b"Host").plus(b"X-Host: gate", b"Hos: gate", b"Hosts: gate")),
        )


@rule("host-doubled", BAD, "RFC 9112 §3.2", "more than one Host field")
def two_hosts() -> Named:
    for name, base in ALL_BUT_TALKATIVE.items():
        for second in (b"Host: gate", b"host: other", b"HOST:", b"Host: gate:80"):
            yield f"{name}-{second!r}", bytes(base.plus(second))


@rule("host-invalid", BAD, "RFC 9112 §3.2", "a Host field with a value that is no host")
def broken_hosts() -> Named:
    for name, base in ALL_BUT_TALKATIVE.items():
        for host in BAD_HOSTS:
            yield f"{name}-{host!r}", bytes(base.without(b"Host").plus(b"Host: " + host))


@rule("fields-many", SERVED, "RFC 9110 §5.4", "80 field lines, and one of 8 KiB")
def many() -> Named:
    for name, base in POSTS.items():
        yield name, bytes(base.plus(*(b"X-%d: 1" % n for n in range(80))))
        yield f"{name}-large", bytes(base.plus(b"X-A: " + b"a" * 8000))


@rule("fields-too-many", TOO_LARGE, "RFC 6585 §5", "1,000 field lines, 20 KiB in one line, a name of 20 KiB")
def too_many() -> Named:
    for name, base in ALL_BUT_TALKATIVE.items():
        yield f"{name}-number", bytes(base.plus(*(b"a:" for _ in range(1000))))
        yield f"{name}-value", bytes(base.plus(b"X-A: " + b"a" * 20_000))
        yield f"{name}-name", bytes(base.plus(b"X" * 20_000 + b": a"))
