"""Every limit of a request: what is at it passes, one more is refused and says which limit it was."""

import zlib
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress

import httpx
import psutil
import pytest

from app.settings import Settings
from tests.conftest import MakeSettings
from tests.gate.test_bad_input import DEEP, GZIP, JSON, NDJSON, assert_problem
from tests.support.gate import GateProcess, api_client, gate_process, running
from tests.support.servers import StoreServer

DEFAULTS = Settings()


def _item(signature: str = "x", payload: bytes = b"null", source: str = "s") -> bytes:
    return b'{"signature":"%s","source":"%s","payload":%s}' % (signature.encode(), source.encode(), payload)


@pytest.mark.parametrize(
    "item",
    [
        _item("x"),
        _item("x" * 128),
        _item(source="s" * 64),
        _item(payload=b'"%s"' % (b"p" * (DEFAULTS.max_payload_bytes - 2))),
        DEEP.replace(b"[" * 129, b"[" * 128).replace(b"]" * 129, b"]" * 128),
        b'{"signature":"x","slot":0}',
        b'{"signature":"x","slot":9223372036854775807}',
        b'{"signature":"x","slot":null,"source":null}',
    ],
    ids=[
        "signature 1",
        "signature 128",
        "source 64",
        "payload 256 KiB",
        "depth 128",
        "slot 0",
        "slot 2^63-1",
        "null",
    ],
)
async def test_an_item_at_the_limit_is_accepted(client: httpx.AsyncClient, item: bytes) -> None:
    answer = await client.post("/transactions", content=item, headers=JSON)
    assert answer.json()["status"] == "accepted", answer.text


async def test_a_batch_may_have_10_000_items_and_no_more(client: httpx.AsyncClient) -> None:
    items = [{"signature": f"batch-{number}"} for number in range(DEFAULTS.max_batch_items)]
    assert (await client.post("/transactions", json=items)).json()["accepted"] == 10_000
    items.append({"signature": "one-more"})
    assert_problem(await client.post("/transactions", json=items), 413, "10001 items, 10000 are allowed")
    assert (await client.get("/transactions/one-more")).status_code == 404


async def _in_pieces(body: bytes) -> AsyncIterator[bytes]:
    for start in range(0, len(body), 100_000):
        yield body[start : start + 100_000]


@pytest.mark.parametrize("chunked", [False, True], ids=["Content-Length", "chunked"])
async def test_a_json_body_may_have_8_mib_and_no_more(client: httpx.AsyncClient, chunked: bool) -> None:
    body = _item("body") + b" " * (DEFAULTS.max_body_bytes - len(_item("body")))
    array = b"[" + body[:-2] + b"]"
    for content, status in ((array, 200), (array + b"  ", 413)):
        sent = _in_pieces(content) if chunked else content
        answer = await client.post("/transactions", content=sent, headers=JSON)
        assert answer.status_code == status, answer.text
    assert_problem(answer, 413, "8388608", "NDJSON")


async def test_a_line_past_the_limit_is_an_error_and_the_lines_around_it_pass(
    client: httpx.AsyncClient,
) -> None:
    long_line = b'{"signature":"long","payload":"' + b"x" * 5_000_000 + b'"}'
    body = b"\n".join([_item("before"), long_line, _item("after")])
    answer = (await client.post("/transactions", content=_in_pieces(body), headers=NDJSON)).json()
    assert (answer["accepted"], answer["invalid"]) == (2, 1)
    assert answer["errors"][0]["index"] == 1
    assert f"{len(long_line)} bytes" in answer["errors"][0]["detail"]


async def test_ndjson_has_no_limit_on_lines_but_lists_only_the_first_10_000(
    client: httpx.AsyncClient,
) -> None:
    body = b"\n".join([_item("same")] * 30_001)
    answer = (await client.post("/transactions", content=_in_pieces(body), headers=NDJSON)).json()
    assert (answer["accepted"], answer["duplicate"], len(answer["duplicates"])) == (1, 30_000, 10_000)
    assert answer["truncated"] is True


async def test_the_source_of_an_item_wins_over_the_query_and_that_over_the_header(
    client: httpx.AsyncClient,
) -> None:
    async def source_of(item: dict[str, str], query: str, header: dict[str, str]) -> str:
        await client.post(f"/transactions{query}", json=item, headers=header)
        return str((await client.get(f"/transactions/{item['signature']}")).json()["source"])

    header = {"X-Source": "from-header"}
    assert await source_of({"signature": "1", "source": "own"}, "?source=from-query", header) == "own"
    assert await source_of({"signature": "2"}, "?source=from-query", header) == "from-query"
    assert await source_of({"signature": "3"}, "", header) == "from-header"
    assert await source_of({"signature": "4"}, "", {}) == "default"


async def test_bodies_past_the_budget_of_all_requests_are_refused_until_others_end(
    valkey: StoreServer, settings_for: MakeSettings
) -> None:
    mib = 1024 * 1024
    settings = settings_for(valkey, max_body_bytes=mib, max_inflated_bytes=mib, max_in_flight_bytes=mib)
    async with running(settings) as runtime, api_client(runtime) as client:
        runtime.body_budget.take(mib - 10)
        answer = await client.post("/transactions", content=_item(), headers=JSON)
        assert_problem(answer, 503, "bytes")
        assert answer.headers["retry-after"] == "1"
        runtime.body_budget.give_back(mib - 10)
        assert (await client.post("/transactions", content=_item(), headers=JSON)).status_code == 200
        assert runtime.body_budget.held == 0


@pytest.fixture(scope="module")
def gate() -> Iterator[GateProcess]:
    with gate_process() as started:
        yield started


def _white_space(mebibytes: int) -> Iterator[bytes]:
    for _ in range(mebibytes):
        yield b" " * (1024 * 1024)


def test_a_barrage_of_bad_bodies_leaves_memory_where_it_was(gate: GateProcess) -> None:
    bomb = b"".join(_bomb(256))
    process = psutil.Process(gate.process.pid)

    def barrage(client: httpx.Client) -> None:
        for content, headers in (
            (bomb, JSON | GZIP),
            (bomb, NDJSON | GZIP),
            (_white_space(50), JSON),
            (b'{"signature":"d","payload":' + b"[" * 7_000_000, JSON),
            (b"x" * 8_000_000, NDJSON),
        ):
            # Refused early, the connection may close before everything was sent.
            with suppress(httpx.TransportError):
                assert 400 <= client.post("/transactions", content=content, headers=headers).status_code < 500

    with gate.client() as client:
        client.post("/transactions", content=_item("warm"), headers=JSON)
        before = process.memory_info().rss
        for _ in range(4):
            barrage(client)
        grown = process.memory_info().rss - before
        assert client.post("/transactions", content=_item("alive"), headers=JSON).status_code == 200
    assert grown < 24 * 1024 * 1024


def _bomb(mebibytes: int) -> Iterator[bytes]:
    packer = zlib.compressobj(9, wbits=31)
    for piece in _white_space(mebibytes):
        yield packer.compress(piece)
    yield packer.flush()


def test_a_header_past_the_limit_is_a_problem_document(gate: GateProcess) -> None:
    with gate.client() as client:
        assert client.get("/livez", headers={"X-Long": "x" * 15_000}).status_code == 200
        assert_problem(client.get("/livez", headers={"X-Long": "x" * 17_000}), 431, "16384")
