"""Calls of consumers that cannot be carried out: a problem says what is wrong, and nothing is done."""

import time

import pytest

from tests.support.consumer_calls import consumer
from tests.support.gate import GateProcess
from tests.support.http_calls import problem

MICROSECONDS = 1_796_007_830_874_989
BAD_SEEKS = [
    ({"to": "yesterday"}, 422, "to: 'yesterday' is neither oldest, now nor milliseconds"),
    ({"to": -1}, 422, "to: '-1' is neither"),
    ({"to": MICROSECONDS}, 422, f"to: {MICROSECONDS} has yet to come; it is now "),
    ({"to": str(MICROSECONDS)}, 422, "milliseconds since the epoch"),
    ({"to": 1.5}, 422, "the body: "),
    ({"to": None}, 422, "the body: "),
    ({"too": "now"}, 422, "the body: "),
    ({"to": "now", "name": "x"}, 422, "the body: "),
    ([], 422, "the body: "),
    ({"to": "0-0-0"}, 422, "to: '0-0-0' is no cursor"),
    ({"to": "00000000-00000000000-000000000000"}, 410, "of another store"),
]


@pytest.mark.parametrize(("body", "status", "said"), BAD_SEEKS)
async def test_a_move_to_nowhere_is_refused(gate: GateProcess, body: object, status: int, said: str) -> None:
    async with consumer(gate.url, "unmoved") as bot:
        await bot.lease()
        problem(await bot.ask("seek", body), status, said)


async def test_a_moment_by_a_clock_that_is_somewhat_ahead_is_taken(gate: GateProcess) -> None:
    async with consumer(gate.url, "ahead") as bot:
        half_a_minute_ahead_ms = time.time_ns() // 1_000_000 + 30_000
        assert "lease" in await bot.lease(from_=half_a_minute_ahead_ms)
        await bot.seek(half_a_minute_ahead_ms)


async def test_a_move_of_a_consumer_there_is_not_is_refused(gate: GateProcess) -> None:
    async with consumer(gate.url, "nobody") as bot:
        refused = problem(await bot.ask("seek", {"to": "now"}), 404, "nobody")
        assert refused["type"] == "urn:tidegate:problem:unknown-consumer"
        assert await bot.figures() is None


BAD_LEASES = [
    ("limit=0", "limit: '0' is no whole number from 1 to 10000"),
    ("limit=10001", "limit: '10001' is no whole number from 1 to 10000"),
    ("limit=many", "limit: 'many' is no whole number"),
    ("wait_seconds=61", "wait_seconds: '61' is no number of seconds from 0 to 60"),
    ("wait_seconds=-1", "wait_seconds: '-1' is no number of seconds"),
    ("wait_seconds=nan", "wait_seconds: 'nan' is no number of seconds"),
    ("lease_seconds=0.5", "lease_seconds: '0.5' is no number of seconds from 1 to 3600"),
    ("lease_seconds=3601", "lease_seconds: '3601' is no number of seconds from 1 to 3600"),
    ("from=then", "from: 'then' is neither oldest, now nor milliseconds"),
    (f"from={MICROSECONDS}", f"from: {MICROSECONDS} has yet to come; it is now "),
    (f"from={MICROSECONDS}", "milliseconds since the epoch"),
    ("limit=1&limit=2", "limit: give it once"),
    ("wait=5", "unknown parameter `wait`; "),
    ("lease_second=5", "unknown parameter `lease_second`; did you mean `lease_seconds`?"),
]


@pytest.mark.parametrize(("query", "said"), BAD_LEASES)
async def test_a_wrong_parameter_is_named_and_makes_no_consumer(
    gate: GateProcess, query: str, said: str
) -> None:
    async with consumer(gate.url, "never-made") as bot:
        problem(await bot.http.post(f"/consumers/never-made/lease?{query}"), 422, said)
        assert await bot.figures() is None


async def test_a_name_of_three_dots_is_taken(gate: GateProcess) -> None:
    async with consumer(gate.url, "...") as bot:
        await bot.lease()
        assert await bot.figures() is not None


@pytest.mark.parametrize("name", ["no%20space", "ü", "x" * 65, "a~b", "%22", "a%0A", "%00", "%2E", "%2e%2E"])
@pytest.mark.parametrize("action", ["lease", "commit", "seek"])
async def test_a_name_outside_the_alphabet_is_refused(gate: GateProcess, name: str, action: str) -> None:
    async with consumer(gate.url, name) as bot:
        problem(await bot.ask(action, {"lease": "x"}), 422, "the name of a consumer is 1 to 64 of")
        problem(await bot.forget(), 422, "the name of a consumer is 1 to 64 of")


@pytest.mark.parametrize(
    ("method", "path", "status", "said"),
    [
        ("GET", "/consumers/bot/lease", 405, "this address has POST"),
        ("POST", "/consumers", 405, "this address has GET, HEAD"),
        ("GET", "/consumers/bot", 405, "this address has DELETE"),
        ("POST", "/consumers/bot/leese", 404, "did you mean /consumers/bot/lease?"),
        ("POST", "/consumers/bot/lease/", 404, "leave the slash at its end out: POST /consumers/bot/lease;"),
        ("GET", "/consumers/", 404, "leave the slash at its end out: GET /consumers;"),
        ("POST", "/consumers//lease", 404, "there is no such address"),
        ("POST", "/consumers/bot/lease/more", 404, "there is no such address"),
        ("GET", "/consumers?name=bot", 422, "unknown parameter `name`; /consumers takes none"),
        ("DELETE", "/consumers/bot?force=1", 422, "unknown parameter `force`"),
    ],
)
def test_an_address_there_is_not_says_what_there_is(
    gate: GateProcess, method: str, path: str, status: int, said: str
) -> None:
    with gate.client() as client:
        problem(client.request(method, path), status, said)


@pytest.mark.parametrize("action", ["commit", "seek"])
def test_a_body_that_cannot_be_read_is_refused(gate: GateProcess, action: str) -> None:
    with gate.client() as client:
        path, json = f"/consumers/bot/{action}", {"Content-Type": "application/json"}
        problem(client.post(path, content=b"{", headers=json), 400, "not JSON")
        problem(client.post(path, content=b"", headers=json), 400, "not JSON")
        problem(client.post(path, content=b"\xff", headers=json), 400, "not JSON")
        problem(client.post(path, content=b"{}"), 415, "there is no Content-Type")
        problem(client.post(path, data={"lease": "x"}), 415, "x-www-form-urlencoded")
        problem(client.post(path, content=b" " * 16_385, headers=json), 413, "16384")
        problem(client.post(path, json={}), 422, "the body: ")
