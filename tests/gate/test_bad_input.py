"""Bad input gets a clear 4xx, says what is wrong and where, and loses nothing else in the batch."""

import gzip
import json
import zlib
from typing import Any

import httpx
import pytest

JSON = {"Content-Type": "application/json"}
NDJSON = {"Content-Type": "application/x-ndjson"}
GZIP = {"Content-Encoding": "gzip"}
GOOD = b'{"signature":"good-%d"}'
DEEP = b'{"signature":"deep","payload":' + b"[" * 129 + b"]" * 129 + b"}"


def assert_problem(answer: httpx.Response, status: int, *words: str) -> dict[str, Any]:
    """The answer is a problem document of this status whose detail has these words."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    problem: dict[str, Any] = answer.json()
    assert problem["status"] == status
    assert problem["type"].startswith("urn:tidegate:problem:")
    assert problem["title"]
    for word in words:
        assert word in problem["detail"]
    return problem


# An item that is wrong, the status it has alone, and what the error says.
BAD_ITEMS = [
    pytest.param(b'{"signature":"x","payload":NaN}', 400, "invalid character (byte", id="NaN"),
    pytest.param(b'{"signature":"x","payload":-Infinity}', 400, "byte", id="Infinity"),
    pytest.param(
        b'{"signature":"x","payload":"\\ud800"}', 400, "lone surrogate (byte 28)", id="lone surrogate"
    ),
    pytest.param(b'{"signature":"\\udfff"}', 400, "lone surrogate", id="lone surrogate in the signature"),
    pytest.param(b'{"signature":"x","payload":"\xff"}', 400, "not UTF-8 (byte 28)", id="not UTF-8"),
    pytest.param(DEEP, 422, "nested 129 deep, 128 are allowed", id="too deep"),
    pytest.param(b'{"signature":"x","signature":"y"}', 422, "key given twice: signature", id="key twice"),
    pytest.param(
        b'{"signature":"x","sign\\u0061ture":"y"}', 422, "key given twice: signature", id="escaped key twice"
    ),
    pytest.param(
        b'{"signature":"x","payload":1,"payload":2}', 422, "key given twice: payload", id="payload twice"
    ),
    pytest.param(b'{"signature":"x","slot":1,"slot":1}', 422, "key given twice: slot", id="slot twice"),
    pytest.param(b'{"signature":"x","bogus":1}', 422, "unknown field: bogus", id="unknown field"),
    pytest.param(b'{"signature":"x","b":1,"a":2}', 422, "unknown fields: a, b", id="unknown fields"),
    pytest.param(b"{}", 422, "signature", id="no signature"),
    pytest.param(b'{"signature":""}', 422, "signature: 1 to 128", id="empty signature"),
    pytest.param(b'{"signature":"%s"}' % (b"x" * 129), 422, "signature: 1 to 128", id="long signature"),
    pytest.param(b'{"signature":"a b"}', 422, "signature: 1 to 128", id="space in the signature"),
    pytest.param(b'{"signature":"a\\n"}', 422, "signature: 1 to 128", id="line break in the signature"),
    pytest.param('{"signature":"é"}'.encode(), 422, "signature: 1 to 128", id="signature not ASCII"),
    pytest.param(b'{"signature":1}', 422, "signature: 1 to 128", id="signature a number"),
    pytest.param(
        b'{"signature":"x","source":"a\\r\\nb"}', 422, "source: 1 to 64", id="line break in the source"
    ),
    pytest.param(b'{"signature":"x","source":"%s"}' % (b"s" * 65), 422, "source: 1 to 64", id="long source"),
    pytest.param(b'{"signature":"x","source":""}', 422, "source: 1 to 64", id="empty source"),
    pytest.param(b'{"signature":"x","slot":-1}', 422, "slot: an integer from 0", id="negative slot"),
    pytest.param(
        b'{"signature":"x","slot":9223372036854775808}', 422, "slot: an integer from 0", id="huge slot"
    ),
    pytest.param(b'{"signature":"x","slot":1.5}', 422, "slot: an integer from 0", id="slot a fraction"),
    pytest.param(b'{"signature":"x","slot":true}', 422, "slot: an integer from 0", id="slot a boolean"),
    pytest.param(
        b'{"signature":"x","payload":"%s"}' % (b"p" * 262_143), 422, "262145 bytes, 262144", id="payload"
    ),
]


@pytest.mark.parametrize(("item", "status", "says"), BAD_ITEMS)
async def test_alone_it_is_refused_with_what_is_wrong(
    client: httpx.AsyncClient, item: bytes, status: int, says: str
) -> None:
    assert_problem(await client.post("/transactions", content=item, headers=JSON), status, says)


@pytest.mark.parametrize(("item", "status", "says"), BAD_ITEMS)
async def test_in_an_array_its_neighbours_are_accepted(
    client: httpx.AsyncClient, item: bytes, status: int, says: str
) -> None:
    body = b"[" + GOOD % 0 + b", " + item + b" ,\n" + GOOD % 2 + b"]"
    answer = (await client.post("/transactions", content=body, headers=JSON)).json()
    assert (answer["accepted"], answer["invalid"]) == (2, 1), (answer, status)
    assert [error["index"] for error in answer["errors"]] == [1]
    assert says.split(" (byte", maxsplit=1)[0] in answer["errors"][0]["detail"]
    assert (await client.get("/transactions/good-2")).status_code == 200


@pytest.mark.parametrize(("item", "status", "says"), BAD_ITEMS)
async def test_on_a_line_its_neighbours_are_accepted(
    client: httpx.AsyncClient, item: bytes, status: int, says: str
) -> None:
    body = GOOD % 0 + b"\r\n\n" + item + b"\n" + GOOD % 2
    answer = (await client.post("/transactions", content=body, headers=NDJSON)).json()
    assert (answer["accepted"], answer["invalid"]) == (2, 1), (answer, status)
    assert [error["index"] for error in answer["errors"]] == [1]
    assert says in answer["errors"][0]["detail"]


@pytest.mark.parametrize("depth", [5_000, 4_000_000])
async def test_json_nested_beyond_any_parser_is_refused_and_the_gate_lives_on(
    client: httpx.AsyncClient, depth: int
) -> None:
    body = b'[{"signature":"x","payload":' + b"[" * depth
    assert_problem(await client.post("/transactions", content=body, headers=JSON), 400)
    assert (await client.post("/transactions", content=GOOD % 1, headers=JSON)).status_code == 200


@pytest.mark.parametrize(
    ("body", "status", "says"),
    [
        (b"", 400, "the body is empty"),
        (b" \n\t", 400, "the body is empty"),
        (b"5", 422, "neither one transaction object nor an array"),
        (b"nul", 400, "JSON"),
        (b'{"signature":"x"', 400, "cut off (byte 16)"),
        (b'[{"signature":"cut"},', 400, "cut off"),
        (b'[{"signature":"cut"}', 400, "cut off"),
        (b'[{"signature":"cut"}] x', 400, "trailing"),
        (b'[{"signature":"cut"} {"signature":"b"}]', 400, "JSON is malformed"),
        (b'\xef\xbb\xbf{"signature":"x"}', 400, "JSON"),
        (b'{"signature":"x","payload":"\\x"}', 400, "escape"),
        (b'{"signature":"x","payload":01}', 400, "invalid number"),
    ],
)
async def test_a_body_that_cannot_be_read_is_refused_whole(
    client: httpx.AsyncClient, body: bytes, status: int, says: str
) -> None:
    assert_problem(await client.post("/transactions", content=body, headers=JSON), status, says)
    assert (await client.get("/transactions/cut")).status_code == 404, "nothing of it was stored"


@pytest.mark.parametrize(
    ("content_type", "says"),
    [
        ("", "Content-Type"),
        ("text/plain", "text/plain"),
        ("application/json; charset=latin-1", "charset 'latin-1'"),
    ],
)
async def test_another_media_type_is_refused(client: httpx.AsyncClient, content_type: str, says: str) -> None:
    answer = await client.post("/transactions", content=GOOD % 1, headers={"Content-Type": content_type})
    assert_problem(answer, 415, says)


async def test_another_content_coding_is_refused_with_those_that_are_taken(client: httpx.AsyncClient) -> None:
    answer = await client.post("/transactions", content=b"x", headers=JSON | {"Content-Encoding": "br"})
    assert_problem(answer, 415, "br")
    assert answer.headers["accept-encoding"] == "gzip"


@pytest.mark.parametrize("where", [{"params": {"source": "a\nb"}}, {"headers": {"X-Source": "a/b"}}])
async def test_a_default_source_with_other_characters_is_refused(
    client: httpx.AsyncClient, where: Any
) -> None:
    headers = JSON | where.pop("headers", {})
    answer = await client.post("/transactions", content=GOOD % 1, headers=headers, **where)
    assert_problem(answer, 422, "ource")


async def test_a_batch_of_nothing_but_invalid_items_is_422_with_the_summary(
    client: httpx.AsyncClient,
) -> None:
    problem = assert_problem(await client.post("/transactions", json=[{}, 5, {"signature": ""}]), 422)
    assert (problem["accepted"], problem["invalid"], len(problem["errors"])) == (0, 3, 3)


@pytest.mark.parametrize(
    ("body", "status", "says"),
    [
        (gzip.compress(GOOD % 1)[:-4], 400, "cut off"),
        (gzip.compress(GOOD % 1)[:15], 400, "cut off"),
        (b"not gzip at all", 400, "not gzip"),
        (gzip.compress(GOOD % 1) + b"garbage", 400, "not gzip"),
        (zlib.compress(GOOD % 1), 400, "not gzip"),
        (gzip.compress(b" " * (32 * 1024 * 1024 + 1)), 413, "33554432"),
    ],
)
@pytest.mark.parametrize("media", [JSON, NDJSON], ids=["json", "ndjson"])
async def test_gzip_that_is_cut_off_or_garbage_or_a_bomb_is_refused(
    client: httpx.AsyncClient, media: dict[str, str], body: bytes, status: int, says: str
) -> None:
    assert_problem(await client.post("/transactions", content=body, headers=media | GZIP), status, says)


async def test_gzip_of_several_members_is_read_to_its_end(client: httpx.AsyncClient) -> None:
    body = gzip.compress(b'[{"signature":"a"},') + gzip.compress(b'{"signature":"b"}]')
    answer = await client.post("/transactions", content=body, headers=JSON | GZIP)
    assert answer.json()["accepted"] == 2


async def test_paths_and_methods_that_do_not_exist_are_problems_too(client: httpx.AsyncClient) -> None:
    assert_problem(await client.get("/nothing"), 404)
    assert_problem(await client.delete("/transactions"), 405)
    assert_problem(await client.get("/transactions/unknown"), 404, "unknown")
    assert_problem(await client.get("/transactions/a%20b"), 422, "signature")
    assert_problem(await client.post("/cleanup?map=nope"), 422, "signatures")


async def test_every_printable_character_may_be_in_a_signature(client: httpx.AsyncClient) -> None:
    signature = "".join(chr(code) for code in range(0x21, 0x7F))
    assert (await client.post("/transactions", json={"signature": signature})).json()[
        "signature"
    ] == signature
    quoted = "".join(f"%{ord(char):02X}" for char in signature)
    assert (await client.get(f"/transactions/{quoted}")).json()["signature"] == signature


async def test_payloads_are_kept_verbatim_whatever_json_allows(client: httpx.AsyncClient) -> None:
    for number, text in enumerate(
        ('{ "a" : 1,\t"a":2 }', "1e999", '"\\u00e9é"', "123456789012345678901234567890", " [ ] ")
    ):
        body = f'{{"signature":"v-{number}","payload":{text}}}'.encode()
        assert (await client.post("/transactions", content=body, headers=JSON)).status_code == 200
        found = await client.get(f"/transactions/v-{number}")
        assert f'"payload":{text.strip()},'.encode() in found.content


async def test_an_empty_array_and_no_lines_are_fine(client: httpx.AsyncClient) -> None:
    nothing = {"accepted": 0, "duplicate": 0, "invalid": 0, "duplicates": [], "errors": []}
    assert (await client.post("/transactions", json=[])).json() == nothing
    assert (await client.post("/transactions", content=b"\n\n", headers=NDJSON)).json() == nothing
    assert json.loads((await client.post("/transactions", content=b"", headers=NDJSON)).content) == nothing
