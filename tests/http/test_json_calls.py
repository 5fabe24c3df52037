"""Calls with a JSON body take it however a client library writes it, at each address that has such calls."""

import gzip
import json
from collections.abc import Callable

import httpx
import pytest

from app.api.addresses import ADDRESSES, CONSUMER, CONSUMERS
from tests.support.consumer_calls import consumer
from tests.support.gate import GateProcess
from tests.support.http_calls import JSON, post, problem

MARK = b"\xef\xbb\xbf"
UNKNOWN = b'{"lease":"bot~648e0a5f5d9c3-19b~0-17"}'
BODIES = {
    ("POST", "/alerts"): b'{"version":"4","alerts":[]}',
    ("PATCH", "/settings"): b'{"dedup_window_seconds":null}',
    ("POST", f"{CONSUMERS}/bot/commit"): UNKNOWN,
    ("POST", f"{CONSUMERS}/bot/seek"): b'{"to":"yesterday"}',
}
ZIPPED = {"Content-Encoding": "gzip"}
WRITTEN: dict[str, tuple[Callable[[bytes], bytes], dict[str, str]]] = {
    "with a mark": (lambda body: MARK + body, {}),
    "in gzip": (gzip.compress, ZIPPED),
    "with a mark in gzip": (lambda body: gzip.compress(MARK + body), ZIPPED),
}


async def _ask(gate: GateProcess, call: tuple[str, str], body: bytes, **headers: str) -> httpx.Response:
    async with httpx.AsyncClient(base_url=gate.url) as client:
        return await client.request(*call, content=body, headers={"Content-Type": JSON, **headers})


def test_each_address_that_takes_a_body_is_called_here() -> None:
    addresses = [*ADDRESSES.values(), *CONSUMER.values()]
    taking = {(name, one.path) for one in addresses for name, call in one.calls.items() if call.takes_body}
    assert taking == {(method, path.replace("/bot/", "/{name}/")) for method, path in BODIES}


@pytest.mark.parametrize("written", WRITTEN)
@pytest.mark.parametrize("call", BODIES)
async def test_a_body_is_taken_as_it_is_without_mark_and_coding(
    gate: GateProcess, call: tuple[str, str], written: str
) -> None:
    write, headers = WRITTEN[written]
    plain = await _ask(gate, call, BODIES[call])
    other = await _ask(gate, call, write(BODIES[call]), **headers)
    assert plain.status_code != httpx.codes.BAD_REQUEST
    assert (other.status_code, other.json()) == (plain.status_code, plain.json())


@pytest.mark.parametrize("call", BODIES)
async def test_another_coding_is_refused(gate: GateProcess, call: tuple[str, str]) -> None:
    problem(await _ask(gate, call, BODIES[call], **{"Content-Encoding": "br"}), 415, "br")


@pytest.mark.parametrize("call", BODIES)
async def test_half_an_emoji_is_json_and_no_name_that_is_known(
    gate: GateProcess, call: tuple[str, str]
) -> None:
    name = next(iter(json.loads(BODIES[call])))
    answer = await _ask(gate, call, b'{"%b":"\\ud83d"}' % name.encode())
    assert 400 < answer.status_code < 500, answer.text


@pytest.mark.parametrize("call", BODIES)
async def test_a_body_that_inflates_past_its_limit_is_refused(
    gate: GateProcess, call: tuple[str, str]
) -> None:
    bomb = gzip.compress(b" " * 2**22 + BODIES[call])
    assert (await _ask(gate, call, bomb, **ZIPPED)).status_code == httpx.codes.REQUEST_ENTITY_TOO_LARGE


async def test_a_lease_is_committed_by_a_body_in_gzip(gate: GateProcess) -> None:
    async with consumer(gate.url, "zipped") as bot:
        await bot.lease(from_="now")
        await post(bot.http, b'{"signature":"to-be-committed"}')
        lease = (await bot.lease(wait_seconds=30))["lease"]
        call = ("POST", f"{CONSUMERS}/zipped/commit")
        body = gzip.compress(MARK + json.dumps({"lease": lease}).encode())
        assert (await _ask(gate, call, body, **ZIPPED)).json() == {"status": "committed"}
