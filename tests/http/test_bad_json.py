"""Bad JSON: alone a problem that says what and where; beside good items, an error of its own index."""

import gzip

import httpx
import pytest

from tests.support.gate import GateProcess
from tests.support.http_calls import (
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
SIGNATURE = "signature: 1 to 128 visible ASCII characters"
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
    "NaN": (with_payload(b"NaN"), "JSON has no NaN: send null or a string instead (byte 27)"),
    "Infinity": (with_payload(b"[1, Infinity]"), "JSON has no Infinity: send null or a string"),
    "minus Infinity": (with_payload(b'{"a":-Infinity}'), "JSON has no Infinity: send null or a string"),
    "NaN as item": (b"NaN", BYTE),
    "NaN as slot": (b'{"signature":"s","slot":NaN}', BYTE),
    "surrogate in signature": (b'{"signature":"\\ud800"}', SIGNATURE),
    "surrogate in signature and payload": (b'{"signature":"\\ud800","payload":"\\ud800"}', SIGNATURE),
    "surrogate in source": (b'{"signature":"s","source":"\\udfff"}', "source: 1 to 64"),
    "surrogate in key": (b'{"signature":"s","\\ud800":1}', "unknown field: \ufffd"),
    "tab in key": (b'{"signature":"s","sl\\t":1}', r"unknown field: sl\t"),
    "surrogate under unknown field": (b'{"other":"\\ud800","signature":"s"}', "unknown field: other"),
    "surrogate and then no JSON": (with_payload(b'["\\ud800",}'), BYTE),
    "surrogate and not UTF-8": (with_payload(b'["\\ud800","\xff"]'), "not UTF-8 (byte"),
    "surrogate in a payload given twice": (
        b'{"payload":"\\ud83d","signature":"s","payload":"\\ud83d"}',
        f"{TWICE}: payload",
    ),
    "surrogate in the first of two payloads": (
        b'{"payload":"\\ud83d","signature":"s","payload":1}',
        f"{TWICE}: payload",
    ),
    "no signature": (b'{"payload":1}', "signature is missing"),
    "slot of another kind before what is no JSON": (b'{"slot":1.5,"payload":tru}', "malformed"),
    "no signature before what is no JSON": (b'{"signature":1,"payload":01}', "malformed"),
    "unknown field before what is no JSON": (b'{"other":1,"payload":tru}', "malformed"),
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
    "two byte order marks": (b'\xef\xbb\xbf\xef\xbb\xbf{"signature":"s"}', BYTE),
    "vertical tab": (b'{"signature":"s"}\x0b', BYTE),
    "no-break space": (b'{"signature":"s"}\xc2\xa0', BYTE),
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


NO_JSON = {
    "bracket closed by a brace": b'{"slot":1.5,"payload":[}',
    "cut off after a slot of another kind": b'{"slot":1.5,"payload":1',
    "cut off after an unknown field": b'{"other":1.5,"payload":{"a":"\\ud800"}',
    "trailing characters after a missing signature": b'{"payload":1}}',
    "number as signature, control character": b'{"signature":1,"payload":"\x01"}',
    "deep and cut off": b'{"signature":"","payload":' + b"[" * 5000,
}


@pytest.mark.parametrize("case", NO_JSON)
async def test_what_is_no_json_is_called_so_whatever_else_is_wrong_with_it_before(
    client: httpx.AsyncClient, case: str
) -> None:
    problem(await post(client, NO_JSON[case]), 400)
    only_middle_is_invalid(await post(client, b"\n".join(among_good(NO_JSON[case])), NDJSON))


async def test_an_array_as_a_line_is_told_how_to_send_it(client: httpx.AsyncClient) -> None:
    lines = b"\n".join(among_good(array(GOOD)))
    assert "send an array as application/json" in only_middle_is_invalid(await post(client, lines, NDJSON))


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


@pytest.mark.parametrize("form", [*ARRAYS, b"\x0c[[],%b]", b"\x0b[%b]", b" \xef\xbb\xbf[%b]"])
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
    b'"\\ud83d"',
    b'["\\ude00","\\ud83d\\ud83d","\\uD83D\\u0041","\\ud83d\\ud83d\\ude00\\ude00"]',
    b'{"\\ud800":["\\uDFFF",1,"\\ufffd\\ue000"]}',
    b'["\\\\ud83d","\\\\\\ud83d","\\\\\\\\ud83d\\ude00"]',
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


@pytest.mark.parametrize("media", [JSON, NDJSON])
@pytest.mark.parametrize("coding", ["identity", "gzip"])
async def test_a_lone_surrogate_comes_back_byte_for_byte_by_every_way_in(
    client: httpx.AsyncClient, media: str, coding: str
) -> None:
    payload = b'{"text": "cut \\ud83d", "also": "\\uDE00\\n", "signature": "\\ud800"}'
    items = [b'{"payload":%b ,"signature":"%b%d"}' % (payload, media[-5:].encode(), n) for n in range(3)]
    body = array(items) if media == JSON else b"\n".join(items)
    coded = gzip.compress(body) if coding == "gzip" else body
    assert counts(await post(client, coded, media, Content_Encoding=coding)) == (3, 0, 0)
    for n in range(3):
        assert bytes((await lookup(client, f"{media[-5:]}{n}")).payload) == payload


def test_a_lone_surrogate_is_kept_ahead_of_asgi_too(gate: GateProcess) -> None:
    payload = b'["\\ud83d"]'
    with gate.client() as client:
        for n in range(2):
            answer = client.post(
                "/transactions",
                content=with_payload(payload, "ahead"),
                headers={"Content-Type": JSON},
            )
            assert answer.json()["status"] == ("duplicate" if n else "accepted")
        assert b'"payload":["\\ud83d"],' in client.get("/transactions/ahead").content


@pytest.mark.parametrize("coding", ["identity", "gzip"])
@pytest.mark.parametrize("size", [1, 2, 7, 10_000])
@pytest.mark.parametrize("space", [b"", b" \r\n\t"])
async def test_a_byte_order_mark_is_ignored(
    client: httpx.AsyncClient, size: int, coding: str, space: bytes
) -> None:
    bodies = {b"one": JSON, b"[many]": JSON, b"lines": NDJSON}
    for number, (kind, media) in enumerate(bodies.items()):
        good = b'{"signature":"%d"}' % number
        body = {b"one": good, b"[many]": b"[" + good + b"]", b"lines": good + b"\n"}[kind]
        whole = b"\xef\xbb\xbf" + space + body
        sent = gzip.compress(whole) if coding == "gzip" else whole
        pieces = [sent[at : at + size] for at in range(0, len(sent), size)]
        assert (await post(client, pieces, media, Content_Encoding=coding)).status_code == 200
        assert await is_stored(client, str(number))


async def test_ndjson_that_is_sent_as_json_is_told_so(client: httpx.AsyncClient) -> None:
    many = b"\r\n".join(with_payload(b'"%b"' % (b"x" * 30_000), f"s{n}") for n in range(20))
    for body in (b"\n".join(GOOD), b"\n".join(GOOD) + b"\n", many):
        problem(await post(client, body), 400, "NDJSON", "Content-Type: application/x-ndjson")
    assert not await is_stored(client, "before")


async def test_payloads_of_a_batch_come_back_byte_for_byte(client: httpx.AsyncClient) -> None:
    items = [with_payload(payload, f"s{n}") for n, payload in enumerate(VERBATIM)]
    lines = [item.replace(b':"s', b':"t', 1).replace(b"\n", b" ") for item in items]
    assert counts(await post(client, array([*items, b"NaN"]), JSON)) == (len(VERBATIM), 0, 1)
    assert counts(await post(client, b"\n".join(lines), NDJSON))[2] == 0
    for n, payload in enumerate(VERBATIM):
        assert bytes((await lookup(client, f"s{n}")).payload) == payload
