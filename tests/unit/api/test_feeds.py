"""`POST /feeds/{feed}`: bodies as providers send them become transactions, byte for byte."""

import gzip
import json

import pytest

from tests.support.api_calls import Api, raw_members
from tests.support.feed_calls import block, raw, sample, send, signature, summary_of
from tests.support.real_payloads import DATA, FILES

pytestmark = pytest.mark.asyncio

each_file = pytest.mark.parametrize("file", FILES)
ENHANCED, RAW = "helius_enhanced_nft_sale.json", "helius_raw_nft_sale.json"
QUICKNODE_EXCERPT = "quicknode_streams_block_DOCS_EXCERPT.json"
NOTHING = (
    b"[]",
    b"null",
    b'{"jsonrpc":"2.0","id":1,"result":null}',
    b'[{"jsonrpc":"2.0","id":1,"result":null},{"jsonrpc":"2.0","id":2,"result":null}]',
    b'{"ping":{}}',
    b'{"blockhash":"GdY1","transactions":[]}',
)
COUNTS = ("accepted", "duplicate", "invalid", "skipped")


@each_file
@pytest.mark.parametrize("zipped", [False, True], ids=["plain", "gzip"])
async def test_a_real_body_is_accepted_as_it_is_and_then_known(api: Api, file: str, zipped: bool) -> None:
    body, headers, payloads, count = sample(file)
    twice = count - len(payloads)
    assert summary_of(await send(api, "x", body, headers, zipped=zipped)) == (len(payloads), twice, 0)
    assert summary_of(await send(api, "x", body, headers, zipped=zipped)) == (0, count, 0)
    for key, payload in payloads.items():
        found = await api.http.get(f"/transactions/{key}")
        members = raw_members(found.content)
        assert members["payload"] == payload, "the bytes of the body"
        assert json.loads(members["source"]) == "x"
        assert [seen["source"] for seen in json.loads(members["observations"])] == ["x"]


async def test_a_transaction_in_four_forms_is_accepted_once(api: Api) -> None:
    transaction = json.loads((DATA / RAW).read_bytes())[0]
    key = transaction["transaction"]["signatures"][0]
    rpc = {"jsonrpc": "2.0", "id": 1, "result": transaction}
    update = {"transaction": {"transaction": {"signature": key}, "slot": "171942732"}, "filters": ["a"]}
    forms = {
        "enhanced": (DATA / ENHANCED).read_bytes(),
        "raw": (DATA / RAW).read_bytes(),
        "polled": json.dumps(rpc).encode(),
        "grpc": json.dumps(update).encode(),
    }
    answers = [summary_of(await send(api, feed, body)) for feed, body in forms.items()]
    assert answers == [(1, 0, 0), (0, 1, 0), (0, 1, 0), (0, 1, 0)]
    found = await api.find(key)
    assert [seen["source"] for seen in found["observations"]] == list(forms)


@pytest.mark.parametrize(
    "kind", ["", "text/plain", "application/octet-stream", "nonsense", "text/xml; charset=latin-1"]
)
async def test_the_media_type_of_a_body_means_nothing(api: Api, kind: str) -> None:
    headers = {"Content-Type": kind} if kind else {}
    assert summary_of(await send(api, "x", block(3), headers)) == (3, 0, 0)


async def test_documents_may_stand_a_line_each(api: Api) -> None:
    lines = b"\n".join(json.dumps(raw(number)).encode() for number in range(3)) + b"\n"
    assert summary_of(await send(api, "x", lines)) == (3, 0, 0)


@pytest.mark.parametrize("body", NOTHING)
async def test_what_holds_nothing_is_no_error(api: Api, body: bytes) -> None:
    response = await send(api, "x", body)
    assert response.status_code == 200, response.text
    assert [response.json()[name] for name in COUNTS] == [0, 0, 0, 0]


async def test_10_001_transactions_are_taken_in_parts_and_none_is_lost(api: Api) -> None:
    assert summary_of(await send(api, "x", block(10_001))) == (10_001, 0, 0)
    assert summary_of(await send(api, "x", block(10_001))) == (0, 10_001, 0)
    assert (await api.find(signature(10_000)))["source"] == "x"
    assert api.sample("feed_documents_total", feed="x", shape="solana-block") == 2


async def test_what_is_wrong_with_one_transaction_is_listed_and_its_neighbours_are_stored(api: Api) -> None:
    document = json.loads(block(4))
    document["transactions"][0] = None
    document["transactions"][1]["transaction"]["signatures"] = []
    document["transactions"][3]["meta"]["logMessages"] = "x" * 300_000
    response = await send(api, "x", json.dumps(document).encode())
    assert summary_of(response) == (1, 0, 3)
    assert [error["index"] for error in response.json()["errors"]] == [0, 1, 3]
    assert (await api.find(signature(2)))["source"] == "x"


async def test_a_body_in_which_nothing_is_valid_is_told_what_was_found_and_what_is_known(api: Api) -> None:
    response = await send(api, "x", b'{"event":"push","ref":"main"}')
    answer = response.json()
    assert response.status_code == 422
    assert answer["type"] == "urn:tidegate:problem:invalid"
    for name in ("event", "ref", "helius-enhanced", "solana-block"):
        assert name in answer["detail"]
    assert (answer["accepted"], answer["invalid"]) == (0, 1)
    assert answer["errors"][0]["index"] == 0


async def test_a_body_that_is_no_json_is_answered_400_and_counts_as_one_invalid(api: Api) -> None:
    response = await send(api, "x", b'{"blockhash":"B","transactions":[{"transa')
    assert response.status_code == 400
    assert api.sample("source_transactions_total", source="x", outcome="invalid") == 1
    assert api.sample("feed_rejected_total", feed="x", reason="malformed-body") == 1


async def test_gzip_without_its_header_is_told_so(api: Api) -> None:
    response = await send(api, "x", gzip.compress(block(1)))
    assert response.status_code == 400
    assert "Content-Encoding: gzip" in response.json()["detail"]


@pytest.mark.parametrize("coding", ["br", "deflate", "zstd"])
async def test_another_coding_is_refused(api: Api, coding: str) -> None:
    response = await send(api, "x", block(1), {"Content-Encoding": coding})
    assert response.status_code == 415
    assert response.headers["accept-encoding"] == "gzip"


@pytest.mark.parametrize("name", ["", "a/b", "a%20b", "x" * 65, "caf%C3%A9", "a%0Ab"])
async def test_a_name_that_no_feed_can_have_is_not_found_with_a_sentence(api: Api, name: str) -> None:
    response = await api.http.post(f"/feeds/{name}", content=block(1))
    assert response.status_code == 404
    assert "1 to 64 of" in response.json()["detail"]


@pytest.mark.parametrize("slashes", ["/", "//"])
async def test_a_slash_too_many_at_the_end_is_told_with_the_right_address(api: Api, slashes: str) -> None:
    response = await api.http.post(f"/feeds/evm-a{slashes}", content=block(1))
    assert response.status_code == 404
    assert "leave the slash at its end out: POST /feeds/evm-a;" in response.json()["detail"]


@pytest.mark.parametrize(
    ("query", "headers"), [("?source=y", {}), ("?api-key=1", {}), ("", {"X-Source": "y"})]
)
async def test_a_source_beside_the_feed_is_refused(api: Api, query: str, headers: dict[str, str]) -> None:
    response = await api.http.post(f"/feeds/x{query}", content=block(1), headers=headers)
    assert response.status_code == 422
    assert "/feeds/x" in response.json()["detail"]


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "DELETE", "OPTIONS"])
async def test_a_feed_can_only_be_posted_to(api: Api, method: str) -> None:
    response = await api.http.request(method, "/feeds/x")
    assert response.status_code == 405
    assert response.headers["allow"] == "POST"


async def test_feeds_without_a_name_are_told_how_to_name_one(api: Api) -> None:
    response = await api.http.post("/feeds", content=block(1))
    assert response.status_code == 404
    assert "/feeds/NAME" in response.json()["detail"]


async def test_the_elided_sample_of_quicknodes_documentation_is_told_what_is_missing(api: Api) -> None:
    response = await send(api, "x", (DATA / QUICKNODE_EXCERPT).read_bytes())
    assert response.status_code == 422
    [error] = response.json()["errors"]
    assert error["detail"] == (
        "the transaction of the block has no transaction.signatures, which it is known by; it is an object "
        "with meta"
    )


async def test_a_block_in_an_answer_is_told_so_as_well_and_its_neighbours_are_stored(api: Api) -> None:
    whole = block(1).removesuffix(b"]}") + b',{"meta":{}}]}'
    response = await send(api, "x", b'{"jsonrpc":"2.0","id":1,"result":' + whole + b"}")
    assert summary_of(response) == (1, 0, 1)
    assert "the block has no transaction.signatures" in response.json()["errors"][0]["detail"]
    assert api.sample("feed_rejected_total", feed="x", reason="invalid-transaction") == 1


@pytest.mark.parametrize(
    ("file", "what"),
    [
        (ENHANCED, "this is a Helius enhanced webhook: send it to /feeds/NAME"),
        (RAW, "this is a Solana transaction"),
        ("solana_getTransaction_mainnet_v0_a.json", "JSON-RPC: send it to /feeds/NAME"),
        ("solana_getBlock_100000000_jsonParsed_10tx.json", "this is a Solana block"),
    ],
)
async def test_who_posts_a_providers_body_as_items_is_told_where_it_belongs(
    api: Api, file: str, what: str
) -> None:
    headers = {"Content-Type": "application/json"}
    response = await api.http.post("/transactions", content=(DATA / file).read_bytes(), headers=headers)
    assert response.status_code == 422
    assert what in response.json()["detail"]


async def test_what_a_quicknode_stream_has_around_its_blocks_is_looked_into(api: Api) -> None:
    headers = {"Content-Type": "application/json"}
    body = (DATA / QUICKNODE_EXCERPT).read_bytes()
    response = await api.http.post("/transactions", content=body, headers=headers)
    assert "this is a Solana block: send it to /feeds/NAME" in response.json()["detail"]


@pytest.mark.parametrize("before", [b"", b'{"signature":"A"}\n'])
async def test_lines_of_a_provider_are_told_as_well_unless_one_is_an_item(api: Api, before: bytes) -> None:
    headers = {"Content-Type": "application/x-ndjson"}
    [transaction] = json.loads((DATA / ENHANCED).read_bytes())
    line = json.dumps(transaction).encode() + b"\n"
    response = await api.http.post("/transactions", content=before + 2 * line, headers=headers)
    told = "this is a Helius enhanced webhook: send it to /feeds/NAME" in response.json().get("detail", "")
    assert (response.status_code, told) == ((200, False) if before else (422, True))


@pytest.mark.parametrize(
    "body",
    [
        '{"signature":""}',
        '[{"signature":""}]',
        '{"event":1}',
        "[[]]",
        "[null]",
        '{"data":[7]}',
        '{"data":[]}',
        '{"data":null}',
    ],
)
async def test_other_invalid_items_are_not(api: Api, body: str) -> None:
    headers = {"Content-Type": "application/json"}
    response = await api.http.post("/transactions", content=body.encode(), headers=headers)
    assert response.status_code == 422
    assert "feeds" not in response.json()["detail"]
