"""Real payloads go in, come back byte for byte, and are duplicates the second time."""

import gzip
from collections.abc import AsyncIterator, Sequence

import msgspec
import pytest

from tests.conftest import MakeSettings
from tests.support.api_calls import QUIET, Api, open_api, raw_members
from tests.support.real_payloads import DATA, EXCERPT, FILES, Wrapped, doubles, transactions_of
from tests.support.servers import StoreServer

BATCH = "solana_getTransaction_batch_rpc_response.json"
ALL_FILES = pytest.mark.parametrize("file", FILES)
CODINGS = pytest.mark.parametrize("coding", ["identity", "gzip"])


@pytest.fixture
async def gate(store: StoreServer, settings_for: MakeSettings) -> AsyncIterator[Api]:
    """A gate on each store of the matrix whose window outlasts any test."""
    async with open_api(settings_for(store, dedup_window_seconds=60, **QUIET)) as opened:
        yield opened


async def _post(gate: Api, body: bytes, media_type: str, coding: str) -> dict[str, object]:
    content = gzip.compress(body) if coding == "gzip" else body
    headers = {"Content-Type": media_type, "Content-Encoding": coding}
    response = await gate.http.post("/transactions", content=content, headers=headers)
    assert response.status_code == 200, response.text
    answer: dict[str, object] = response.json()
    return answer


async def _post_array(gate: Api, items: Sequence[Wrapped], coding: str = "identity") -> dict[str, object]:
    body = b"[" + b",\n".join(item.item() for item in items) + b"]"
    return await _post(gate, body, "application/json", coding)


async def _post_lines(gate: Api, items: Sequence[Wrapped], coding: str) -> dict[str, object]:
    body = b"".join(item.item() + b"\n" for item in items)
    return await _post(gate, body, "application/x-ndjson", coding)


def _summary(items: Sequence[Wrapped], duplicates: list[int]) -> dict[str, object]:
    return {
        "accepted": len(items) - len(duplicates),
        "duplicate": len(duplicates),
        "invalid": 0,
        "duplicates": duplicates,
        "errors": [],
    }


async def _assert_kept(gate: Api, items: Sequence[Wrapped]) -> None:
    for item in items:
        response = await gate.http.get(f"/transactions/{item.signature}")
        assert response.status_code == 200, response.text
        members = raw_members(response.content)
        assert members["payload"] == item.payload, "the payload comes back byte for byte"
        assert members["slot"] == msgspec.json.encode(item.slot)
        assert msgspec.json.decode(members["observations"]) == [{"source": item.source, "delay_ms": 0}]


def test_every_file_with_whole_transactions_is_among_those_tested() -> None:
    assert {file.name for file in DATA.glob("*.json")} == {*FILES, EXCERPT}
    assert sum(len(transactions_of(file)) for file in FILES) == 42


@ALL_FILES
def test_every_payload_stands_in_its_file_as_it_is_posted(file: str) -> None:
    body = (DATA / file).read_bytes()
    for item in transactions_of(file):
        assert item.payload in body
        assert item.payload in item.item()
        assert msgspec.json.decode(item.item())["payload"] == msgspec.json.decode(item.payload)


@ALL_FILES
async def test_one_by_one_each_is_accepted_kept_and_then_a_duplicate(gate: Api, file: str) -> None:
    items = transactions_of(file)
    again = doubles(items)
    for at, item in enumerate(items):
        first = await _post(gate, item.item(), "application/json", "identity")
        assert first["status"] == ("duplicate" if at in again else "accepted")
        second = await _post(gate, item.item(), "application/json", "gzip")
        assert second == first | {"status": "duplicate"}
    await _assert_kept(gate, items)


@ALL_FILES
@CODINGS
async def test_as_one_array_each_is_accepted_kept_and_then_a_duplicate(
    gate: Api, file: str, coding: str
) -> None:
    items = transactions_of(file)
    assert await _post_array(gate, items, coding) == _summary(items, doubles(items))
    await _assert_kept(gate, items)
    assert await _post_array(gate, items, coding) == _summary(items, list(range(len(items))))
    await _assert_kept(gate, items)


@ALL_FILES
@CODINGS
async def test_as_lines_each_is_accepted_kept_and_then_a_duplicate(gate: Api, file: str, coding: str) -> None:
    items = [item.minified() for item in transactions_of(file)]
    assert await _post_lines(gate, items, coding) == _summary(items, doubles(items))
    await _assert_kept(gate, items)
    assert await _post_lines(gate, items, coding) == _summary(items, list(range(len(items))))
    await _assert_kept(gate, items)


async def test_the_double_inside_the_json_rpc_batch_is_a_duplicate_at_index_1(gate: Api) -> None:
    summary = await _post_array(gate, transactions_of(BATCH))
    assert (summary["accepted"], summary["duplicate"], summary["duplicates"]) == (1, 1, [1])


async def test_all_files_in_one_array_share_one_signature_between_two_forms_of_one_transaction(
    gate: Api,
) -> None:
    items = [item for file in FILES for item in transactions_of(file)]
    assert len(doubles(items)) == 2, "the NFT sale, raw and enhanced, and the double of the batch"
    assert await _post_array(gate, items) == _summary(items, doubles(items))
    kept = [item for at, item in enumerate(items) if at not in doubles(items)]
    await _assert_kept(gate, kept)
