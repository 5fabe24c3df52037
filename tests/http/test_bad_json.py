"""Bad JSON: alone a problem that says what and where; beside good items, an error of its own index."""

import httpx
import pytest

from tests.http.calls import (
    DEEP,
    GOOD,
    JSON,
    KIB,
    NDJSON,
    accepted,
    among_good,
    array,
    client_problem,
    counts,
    is_stored,
    lookup,
    nested,
    only_middle_is_invalid,
    post,
    problem,
    with_payload,
)

BYTE = "(byte "
LONE = "lone surrogate"
TWICE = "key given twice"

# What the item is, and what the detail has to mention.
BROKEN: dict[str, tuple[bytes, str]] = {
    "129 deep": (with_payload(nested(129)), "nested"),
    "5,000 deep": (with_payload(nested(5_000)), "nested"),
    "5,000 deep in objects": (with_payload(b'{"a":' * 5_000 + b"1" + b"}" * 5_000), "nested"),
    "signature twice": (b'{"signature":"a","signature":"b"}', f"{TWICE}: signature"),
    "source twice": (b'{"source":"a","signature":"s","source":"a"}', f"{TWICE}: source"),
    "slot twice": (b'{"slot":1,"slot":null,"signature":"s"}', f"{TWICE}: slot"),
    "payload twice": (b'{"payload":1,"signature":"s","payload":2}', f"{TWICE}: payload"),
    "escaped key twice": (b'{"signature":"a","sign\\u0061ture":"b"}', f"{TWICE}: signature"),
    "twice, payload a colon": (b'{"signature":"a","signature":"b","payload":":"}', f"{TWICE}: signature"),
    "twice, payload a comma": (b'{"slot":1,"source":"a","source":"b","signature":"s","payload":","}', TWICE),
    "NaN": (with_payload(b"NaN"), BYTE),
    "Infinity": (with_payload(b"[1, Infinity]"), BYTE),
    "minus Infinity": (with_payload(b'{"a":-Infinity}'), BYTE),
    "NaN as item": (b"NaN", BYTE),
    "NaN as slot": (b'{"signature":"s","slot":NaN}', BYTE),
    "lone high surrogate": (with_payload(b'"\\ud83d"'), LONE),
    "lone low surrogate": (with_payload(b'["\\ude00"]'), LONE),
    "two high surrogates": (with_payload(b'"\\ud83d\\ud83d"'), LONE),
    "high surrogate and a letter": (with_payload(b'"\\ud83d\\u0041"'), LONE),
    "surrogate in signature": (b'{"signature":"\\ud800"}', LONE),
    "surrogate in source": (b'{"signature":"s","source":"\\udfff"}', LONE),
    "surrogate in key": (b'{"signature":"s","\\ud800":1}', LONE),
    "surrogate in payload's key": (with_payload(b'{"\\ud800":1}'), LONE),
    "surrogate under unknown field": (b'{"other":"\\ud800","signature":"s"}', BYTE),
    "NaN under unknown field": (b'{"other":NaN,"signature":"s"}', BYTE),
    "5,000 deep under unknown field": (b'{"other":%b,"signature":"s"}' % nested(5_000), "nested"),
    "not UTF-8": (with_payload(b'"\xff"'), "not UTF-8 (byte"),
    "surrogate in UTF-8": (with_payload(b'"\xed\xa0\x80"'), "not UTF-8 (byte"),
    "overlong UTF-8": (with_payload(b'"\xc0\xaf"'), "not UTF-8 (byte"),
    "signature not UTF-8": (b'{"signature":"\x80"}', "not UTF-8 (byte"),
    "key not UTF-8": (b'{"\xfe":1,"signature":"s"}', "not UTF-8 (byte"),
    "unknown escape": (with_payload(b'"\\x41"'), BYTE),
    "short unicode escape": (with_payload(b'"\\u12"'), BYTE),
    "escape of no hex": (with_payload(b'"\\u12G4"'), BYTE),
    "bad escape in signature": (b'{"signature":"\\q"}', BYTE),
    "control character": (with_payload(b'"a\x01b"'), BYTE),
    "raw tab": (with_payload(b'"a\tb"'), BYTE),
    "NUL": (b'{"signature":"a\x00b"}', BYTE),
    "leading zero": (with_payload(b"01"), BYTE),
    "plus": (with_payload(b"+1"), BYTE),
    "no digit after the point": (with_payload(b"1."), BYTE),
    "half a literal": (with_payload(b"nul"), BYTE),
    "single quotes": (b"{'signature':'s'}", BYTE),
    "trailing comma": (b'{"signature":"s",}', BYTE),
    "trailing comma in payload": (with_payload(b"[1,]"), BYTE),
    "comment": (b'{"signature":"s"/*x*/}', BYTE),
    "no colon": (b'{"signature" "s"}', BYTE),
    "trailing garbage": (b'{"signature":"s"} x', BYTE),
    "two objects": (b'{"signature":"s"}{"signature":"t"}', BYTE),
    "byte order mark": (b'\xef\xbb\xbf{"signature":"s"}', BYTE),
    "form feed": (b'\x0c{"signature":"s"}', BYTE),
}
CUT_OFF: dict[str, bytes] = {
    "after the brace": b"{",
    "in the key": b'{"signa',
    "in the signature": b'{"signature":"s',
    "before the end": b'{"signature":"s"',
    "in the payload": b'{"signature":"s","payload":{"a":[1,2',
    "in a pair of surrogates": b'{"signature":"s","payload":"\\ud83d\\ude',
    "after a pair of surrogates": b'{"signature":"s","payload":"\\ud83d\\ude00',
    "after an escaped backslash": b'{"signature":"s","payload":"\\\\ud83d',
    "under an unknown field": b'{"other":1',
    "in an unknown field": b'{"other":[{',
    "1,000,000 deep": with_payload(b"[" * DEEP)[:-1],
}


@pytest.mark.parametrize("case", BROKEN)
async def test_alone_it_is_a_problem_that_says_what_and_where(client: httpx.AsyncClient, case: str) -> None:
    body, mention = BROKEN[case]
    detail = client_problem(await post(client, body), mention)["detail"]
    assert len(detail) < KIB
    assert not await is_stored(client, "s")


@pytest.mark.parametrize("case", BROKEN)
async def test_in_an_array_its_neighbours_are_accepted(client: httpx.AsyncClient, case: str) -> None:
    body, mention = BROKEN[case]
    assert mention in only_middle_is_invalid(await post(client, array(among_good(body))))


@pytest.mark.parametrize("case", BROKEN)
async def test_in_ndjson_its_neighbours_are_accepted(client: httpx.AsyncClient, case: str) -> None:
    body, mention = BROKEN[case]
    assert mention in only_middle_is_invalid(await post(client, b"\n".join(among_good(body)), NDJSON))


@pytest.mark.parametrize("case", CUT_OFF)
async def test_an_item_cut_off_is_a_problem_and_in_ndjson_only_its_line(
    client: httpx.AsyncClient, case: str
) -> None:
    client_problem(await post(client, CUT_OFF[case]))
    only_middle_is_invalid(await post(client, b"\n".join(among_good(CUT_OFF[case])), NDJSON))


@pytest.mark.parametrize("case", [case for case in CUT_OFF if case != "1,000,000 deep"])
async def test_what_is_cut_off_is_called_so_and_nothing_else(client: httpx.AsyncClient, case: str) -> None:
    for body in (CUT_OFF[case], b"[" + CUT_OFF[case]):
        problem(await post(client, body), 400, f"cut off (byte {len(body)})")


@pytest.mark.parametrize("case", CUT_OFF)
@pytest.mark.parametrize("middle", [b"", b"NaN,", b'"\\ud800",'])
async def test_nothing_of_an_array_that_is_cut_off_is_stored(
    client: httpx.AsyncClient, case: str, middle: bytes
) -> None:
    problem(await post(client, b"[" + GOOD[0] + b"," + middle + CUT_OFF[case]), 400)
    assert not await is_stored(client, "before")


ARRAYS = [b"[%b", b"[%b,", b"[%b,]", b"[,%b]", b"[%b]]", b"[%b] x", b"[%b][]", b"[%b]{}", b"[%b}"]


@pytest.mark.parametrize("form", [*ARRAYS, b"\x0c[[],%b]", b"\x0b[%b]", b"\xef\xbb\xbf[%b]"])
@pytest.mark.parametrize("extra", [b"", b"NaN,"])
async def test_nothing_of_what_is_no_array_is_stored(
    client: httpx.AsyncClient, form: bytes, extra: bytes
) -> None:
    body = form.replace(b"%b", extra + GOOD[0])
    problem(await post(client, body), 400, BYTE)
    assert not await is_stored(client, "before")


async def test_an_item_a_million_deep_spoils_no_neighbour(client: httpx.AsyncClient) -> None:
    bad = with_payload(nested(DEEP))
    client_problem(await post(client, bad))
    only_middle_is_invalid(await post(client, b"\n".join(among_good(bad)), NDJSON))
    assert (await post(client, array(among_good(bad)))).json()["duplicates"] == [0, 2]


@pytest.mark.parametrize("digits", [4300, 4301, 100_000])
async def test_numbers_of_any_length_are_kept_beside_whatever_else(
    client: httpx.AsyncClient, digits: int
) -> None:
    payload = b"[%b]" % (b"9" * digits)
    escaped = with_payload(payload, "escaped").replace(b"sign", b"\\u0073ign")
    accepted(await post(client, escaped))
    assert bytes((await lookup(client, "escaped")).payload) == payload
    assert counts(await post(client, array([with_payload(payload, "beside"), b"NaN"]))) == (1, 0, 1)


VERBATIM = [
    b'{ "a" :\t[ 1 ,\r\n 2 ] }',
    b'"\\u0041\\/\\"\\\\\\b\\f\\n\\r\\t"',
    '"Zürich 東京 😀 \u2028"'.encode(),
    b'"\\ud83d\\ude00"',
    b"123456789012345678901234567890.000000000000000000001",
    b"1e999",
    b"-0.0E-400",
    b'{"a":1,"a":2,"signature":"x","payload":null}',
    b'{"":{"":""}}',
    b"null",
    b"false",
    b'""',
    b'"\x7f"',
    b"[]",
]


@pytest.mark.parametrize("payload", VERBATIM)
async def test_a_payload_comes_back_byte_for_byte(client: httpx.AsyncClient, payload: bytes) -> None:
    accepted(await post(client, with_payload(b" \t" + payload + b" ")))
    assert bytes((await lookup(client, "s")).payload) == payload


async def test_payloads_of_a_batch_come_back_byte_for_byte(client: httpx.AsyncClient) -> None:
    items = [with_payload(payload, f"s{n}") for n, payload in enumerate(VERBATIM)]
    lines = [item.replace(b':"s', b':"t', 1).replace(b"\n", b" ") for item in items]
    assert counts(await post(client, array([*items, b"NaN"]), JSON)) == (len(VERBATIM), 0, 1)
    assert counts(await post(client, b"\n".join(lines), NDJSON))[2] == 0
    for n, payload in enumerate(VERBATIM):
        assert bytes((await lookup(client, f"s{n}")).payload) == payload
