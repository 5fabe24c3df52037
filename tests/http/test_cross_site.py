"""Pages of other sites cannot have a browser change anything; programs and the gate's own page can."""

from collections.abc import Iterator

import httpx
import pytest

from app.api.addresses import ADDRESSES, CONSUMER, FEED, TRANSACTIONS
from tests.support.gate import GateProcess, gate_process
from tests.support.http_calls import JSON, problem

OWN: list[dict[str, str]] = [
    {},
    {"Sec-Fetch-Site": "same-origin", "Origin": "https://gate.example"},
    {"Sec-Fetch-Site": "none"},
    {"Origin": "http://gate.example", "Host": "gate.example"},
    {"Origin": "https://gate.example:8443", "Host": "gate.example"},
]
FOREIGN: list[dict[str, str]] = [
    {"Sec-Fetch-Site": "cross-site"},
    {"Sec-Fetch-Site": "same-site"},
    {"Sec-Fetch-Site": "cross-site", "Origin": "http://gate.example", "Host": "gate.example"},
    {"Origin": "http://evil.example"},
    {"Origin": "http://gate.example.evil.example", "Host": "gate.example"},
    {"Origin": "null"},
    {"Origin": "http://["},
]
CHANGING = [
    (method, address.path.format(name="bot", feed="foreign"))
    for address in (*ADDRESSES.values(), FEED, *CONSUMER.values())
    for method in address.calls
    if method != "GET" and address.path != TRANSACTIONS
]
SIMPLE: list[dict[str, str]] = [
    {},
    {"Content-Type": "text/plain"},
    {"Content-Type": "application/x-www-form-urlencoded"},
    {"Content-Type": "multipart/form-data; boundary=b"},
]
"""What a page may have a browser send to another site without asking that first (Fetch, CORS-safelisted)."""


async def _ask(gate: GateProcess, method: str, path: str, headers: dict[str, str]) -> httpx.Response:
    async with httpx.AsyncClient(base_url=gate.url) as client:
        return await client.request(method, path, headers={"Content-Type": JSON, **headers}, content=b"{}")


@pytest.mark.parametrize("headers", FOREIGN, ids=str)
@pytest.mark.parametrize(("method", "path"), CHANGING)
async def test_a_page_of_another_site_changes_nothing(
    gate: GateProcess, method: str, path: str, headers: dict[str, str]
) -> None:
    refused = problem(await _ask(gate, method, path, headers), 403, "another site")
    assert refused["type"] == "urn:tidegate:problem:cross-site"


@pytest.mark.parametrize("headers", OWN, ids=str)
@pytest.mark.parametrize(("method", "path"), CHANGING)
async def test_programs_and_the_gates_own_page_are_not_refused(
    gate: GateProcess, method: str, path: str, headers: dict[str, str]
) -> None:
    assert (await _ask(gate, method, path, headers)).status_code != httpx.codes.FORBIDDEN


@pytest.mark.parametrize("path", ["/stats", "/cleanup"])
async def test_what_only_reads_is_answered_from_anywhere(gate: GateProcess, path: str) -> None:
    assert (await _ask(gate, "GET", path, FOREIGN[0])).status_code == httpx.codes.OK


def test_a_page_of_another_site_runs_no_cleanup() -> None:
    with gate_process() as gate, gate.client() as client:
        client.post("/cleanup/emergency", headers={"Origin": "http://evil.example"})
        assert "manual" not in client.get("/cleanup").text
        client.post("/cleanup/emergency")
        assert "manual" in client.get("/cleanup").text


@pytest.fixture(scope="module", params=["true", "false"], ids=["fast", "asgi"])
def either_way(request: pytest.FixtureRequest) -> Iterator[GateProcess]:
    """A gate that takes posts ahead of ASGI, and one that does not."""
    with gate_process(fast_path=request.param) as started:
        yield started


@pytest.mark.parametrize("path", [TRANSACTIONS, "/feeds/foreign"])
@pytest.mark.parametrize("media", SIMPLE, ids=str)
def test_a_page_of_another_site_has_no_transaction_taken(
    either_way: GateProcess, path: str, media: dict[str, str]
) -> None:
    signature, headers = f"to-{path.split('/')[1]}", {**media, **FOREIGN[0]}
    body = b'{"signature":"%b"}' % signature.encode()
    with either_way.client() as client:
        assert client.post(path, content=body, headers=headers).status_code in (403, 415)
        asked = {"Origin": "http://evil.example", "Access-Control-Request-Method": "POST"}
        assert client.options(path, headers=asked).status_code == httpx.codes.METHOD_NOT_ALLOWED
        assert client.get(f"{TRANSACTIONS}/{signature}").status_code == httpx.codes.NOT_FOUND
