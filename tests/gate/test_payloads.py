"""Real transactions go in, come back byte for byte, and are known the second time."""

import gzip
from collections.abc import AsyncIterator

import httpx
import msgspec
import pytest

from tests.conftest import MakeSettings
from tests.support.gate import api_client, running
from tests.support.payloads import FILES, Delivered, transactions_of
from tests.support.servers import StoreServer

JSON = {"Content-Type": "application/json"}
NDJSON = {"Content-Type": "application/x-ndjson"}


@pytest.fixture
async def gate(store: StoreServer, settings_for: MakeSettings) -> AsyncIterator[httpx.AsyncClient]:
    async with (
        running(settings_for(store, dedup_window_seconds=60)) as runtime,
        api_client(runtime) as client,
    ):
        yield client


async def _payload_bytes(gate: httpx.AsyncClient, signature: str) -> bytes:
    found = await gate.get(f"/transactions/{signature}")
    assert found.status_code == 200, found.text
    return bytes(msgspec.json.decode(found.content, type=dict[str, msgspec.Raw])["payload"])


def _distinct(delivered: list[Delivered]) -> list[Delivered]:
    return list({one.signature: one for one in reversed(delivered)}.values())


@pytest.mark.parametrize("name", FILES)
async def test_each_comes_back_byte_for_byte_and_is_a_duplicate_the_second_time(
    gate: httpx.AsyncClient, name: str
) -> None:
    for one in _distinct(transactions_of(name)):
        first = (await gate.post("/transactions", content=one.item(), headers=JSON)).json()
        again = (await gate.post("/transactions?source=b", content=one.item(), headers=JSON)).json()
        assert first == {
            "status": "accepted",
            "signature": one.signature,
            "first_seen_ms": first["first_seen_ms"],
        }
        assert again == first | {"status": "duplicate"}
        assert await _payload_bytes(gate, one.signature) == one.payload
        assert (await gate.get(f"/transactions/{one.signature}")).json()["slot"] == one.slot


@pytest.mark.parametrize("name", FILES)
async def test_a_file_as_one_array_is_accepted_once(gate: httpx.AsyncClient, name: str) -> None:
    delivered = transactions_of(name)
    body = b"[" + b",\n".join(one.item() for one in delivered) + b"]"
    distinct = len(_distinct(delivered))
    first = (await gate.post("/transactions", content=body, headers=JSON)).json()
    assert (first["accepted"], first["duplicate"]) == (distinct, len(delivered) - distinct)
    again = (await gate.post("/transactions", content=body, headers=JSON)).json()
    assert (again["accepted"], again["duplicates"]) == (0, list(range(len(delivered))))
    for one in delivered:
        assert await _payload_bytes(gate, one.signature) in {other.payload for other in delivered}


async def test_the_double_inside_the_json_rpc_batch_is_recognised(gate: httpx.AsyncClient) -> None:
    one, double = transactions_of("solana_getTransaction_batch_rpc_response.json")
    assert one.signature == double.signature
    answer = await gate.post(
        "/transactions", content=b"[" + one.item() + b"," + double.item() + b"]", headers=JSON
    )
    assert answer.json() == {"accepted": 1, "duplicate": 1, "invalid": 0, "duplicates": [1], "errors": []}
    assert await _payload_bytes(gate, one.signature) == one.payload


@pytest.mark.parametrize("coding", ["identity", "gzip"])
async def test_as_ndjson_of_all_files_each_is_accepted_once(gate: httpx.AsyncClient, coding: str) -> None:
    every = [one for name in FILES for one in transactions_of(name)]
    lines = [msgspec.json.format(one.item(), indent=-1) for one in every]
    body = b"\n".join(lines)
    headers = NDJSON | {"Content-Encoding": coding}
    content = gzip.compress(body) if coding == "gzip" else body
    answer = (await gate.post("/transactions", content=content, headers=headers)).json()
    distinct = len(_distinct(every))
    assert (answer["accepted"], answer["duplicate"], answer["invalid"]) == (
        distinct,
        len(every) - distinct,
        0,
    )
    first = {one.signature: at for at, one in reversed(list(enumerate(every)))}
    for signature, at in first.items():
        assert await _payload_bytes(gate, signature) == msgspec.json.format(every[at].payload, indent=-1)
