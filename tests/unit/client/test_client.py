"""The client: it goes on where it was, whatever a gate or a connection does, and commits what was done."""

import asyncio
import json
import logging
import time
from contextlib import aclosing
from urllib.parse import parse_qs, urlsplit

import pytest

from tests.support.handing_out import gap, lease, line, refusal, stream
from tests.support.stand_in import Answer, Request, StandIn, stand_in
from tests.unit.client.conftest import LOST, Serve
from tidegate import answers
from tidegate.client import Client
from tidegate.gates import Gates, Refused, Unreachable
from tidegate.records import Transaction

NOTHING = "http://127.0.0.1:9"


def _asked(gate: StandIn) -> list[dict[str, str]]:
    """The query of each request."""
    return [
        {name: " ".join(values) for name, values in parse_qs(urlsplit(request.path).query).items()}
        for request in gate.requests
    ]


def _committed(gate: StandIn) -> list[str]:
    return [json.loads(request.body)["lease"] for request in gate.requests if "/commit" in request.path]


async def _streamed(client: Client, count: int, **options: object) -> list[str]:
    """The signatures of the first transactions of a stream."""
    found: list[str] = []
    async with client, aclosing(client.stream(**options)) as transactions:  # type: ignore[arg-type]
        async for transaction in transactions:
            found.append(transaction.signature)
            if len(found) == count:
                break
    return found


async def test_a_stream_goes_on_behind_its_last_whole_line(serve: Serve) -> None:
    gate = serve(stream([line(1), "", line(2)], broken=line(3)[:50]), stream([line(3), line(4)]))
    assert await _streamed(Client(gate.url), 4, start="oldest", sources=["a", "b"], payload=False) == [
        "s-1",
        "s-2",
        "s-3",
        "s-4",
    ]
    fixed = {"source": "a b", "payload": "false"}
    assert _asked(gate) == [fixed | {"from": "oldest"}, fixed | {"after": "c-2"}]


async def test_a_stream_goes_on_where_the_last_heartbeat_was(serve: Serve) -> None:
    beats = [line(1), '{"cursor":"c-7"}', "", '{"cursor":"c-9"}']
    gate = serve(stream(beats), stream([line(10)]))
    assert await _streamed(Client(gate.url), 2, sources=["rare"], after="c-0") == ["s-1", "s-10"]
    assert [asked["after"] for asked in _asked(gate)] == ["c-0", "c-9"]
    assert {each.headers["Accept"] for each in gate.requests} == {"application/x-ndjson; heartbeat=cursor"}


async def test_a_stream_goes_on_at_another_gate(serve: Serve, caplog: pytest.LogCaptureFixture) -> None:
    first, second = serve(stream([line(1)])), serve(stream([line(2)]))
    assert await _streamed(Client(first.url, second.url), 2) == ["s-1", "s-2"]
    assert _asked(second) == [{"after": "c-1"}]
    assert f"{first.url}: the stream ended; trying {second.url}" in caplog.text
    assert f"{second.url} answers" in caplog.text


async def test_a_stream_that_broke_off_before_its_first_line_begins_again_when_it_first_began(
    serve: Serve,
) -> None:
    gate = serve(stream([], broken="{"), stream([], broken="{"), stream([line(1)]))
    before = int(time.time())
    assert await _streamed(Client(gate.url), 1) == ["s-1"]
    first, *others = _asked(gate)
    assert first == {"from": "now"}
    [begun] = {asked["from"] for asked in others}
    assert before * 1000 <= int(begun) <= time.time() * 1000


async def test_an_unknown_cursor_is_told_and_the_stream_goes_on_from_the_oldest(
    serve: Serve, caplog: pytest.LogCaptureFixture
) -> None:
    gate = serve(refusal(410, "unknown-cursor"), stream([line(1)]))
    assert await _streamed(Client(gate.url), 1, after="c-0") == ["s-1"]
    assert _asked(gate) == [{"after": "c-0"}, {"from": "oldest"}]
    assert "the cursor c-0 is not known here; going on from the oldest" in caplog.text
    assert caplog.text.count("a gap: nobody knows how many transactions are missing") == 1


async def test_the_gap_before_the_oldest_is_told_once_also_if_the_gate_is_lost_then(serve: Serve) -> None:
    gate = serve(refusal(410, "unknown-cursor"), LOST, stream([line(1)]))
    async with Client(gate.url) as client:
        lines = [found async for some in client.lines(after="c-0", limit=1) for found in some]
    assert lines == [b'{"gap":{"transactions":null,"from_ms":null,"to_ms":null}}', line(1).encode()]


async def test_a_gap_in_a_stream_is_told(serve: Serve, caplog: pytest.LogCaptureFixture) -> None:
    gate = serve(stream([gap(12), line(1)], broken="{"), stream([line(2)]))
    assert await _streamed(Client(gate.url), 2) == ["s-1", "s-2"]
    assert "12 transactions left before they were read" in caplog.text


async def test_a_limit_counts_transactions_over_all_connections_and_not_gaps(serve: Serve) -> None:
    broken = [line(1), gap(2, 7), gap(1)], [line(8, payload="1" * 5000)]
    gate = serve(*(stream(lines, broken="{") for lines in broken), stream([line(9)]))
    async with Client(gate.url) as client:
        lines = [found async for some in client.lines(limit=3) for found in some]
    assert lines == [text.encode() for text in (*broken[0], *broken[1], line(9))]
    assert [asked["limit"] for asked in _asked(gate)] == ["3", "2", "1"]
    assert [asked.get("after") for asked in _asked(gate)] == [None, "c-7", "c-8"]


async def test_a_lease_is_committed_when_the_loop_has_done_with_all_of_it(serve: Serve) -> None:
    answers = (lease("l-1", [line(1), line(2)]), Answer(200, {}), lease(None, []), lease("l-2", [line(3)]))
    gate = serve(*answers)
    done: list[str] = []
    async with Client(gate.url, token="secret") as client, aclosing(client.consume("bot")) as transactions:
        async for transaction in transactions:
            assert _committed(gate) == ([] if len(done) < 2 else ["l-1"])
            done.append(transaction.signature)
            if len(done) == 3:
                break
    assert done == ["s-1", "s-2", "s-3"]
    assert _committed(gate) == ["l-1"], "the loop was left before it had done with the second lease"
    assert {request.headers["Authorization"] for request in gate.requests} == {"Bearer secret"}
    paths = [urlsplit(request.path).path for request in gate.requests]
    assert paths == ["/consumers/bot/lease", "/consumers/bot/commit", *["/consumers/bot/lease"] * 2]
    assert _asked(gate)[0] == {"from": "oldest", "limit": "500", "wait_seconds": "20"}


async def test_an_error_in_the_loop_commits_nothing(serve: Serve) -> None:
    gate = serve(lease("l-1", [line(1)]))
    async with Client(gate.url) as client:
        transactions = client.consume("bot")
        await anext(transactions)
        with pytest.raises(ZeroDivisionError):
            await transactions.athrow(ZeroDivisionError())
    assert len(gate.requests) == 1


@pytest.mark.parametrize("trouble", [LOST, refusal(503, "store-unavailable"), refusal(429, "rate-limited")])
async def test_a_lease_and_a_commit_are_asked_again_until_they_are_answered(
    serve: Serve, trouble: Answer
) -> None:
    gate = serve(
        lease(None, []), trouble, trouble, lease("l-1", [line(1)]), trouble, trouble, Answer(200, {})
    )
    async with Client(gate.url) as client:
        await client.lease("bot")
        leased = await client.lease("bot", lease_seconds=7, start=5)
        assert await client.commit(leased)
    assert _committed(gate) == ["l-1"] * 3
    assert _asked(gate)[1]["lease_seconds"] == "7"
    assert _asked(gate)[1]["from"] == "5"


@pytest.mark.parametrize("status", [500, 502, 504])
@pytest.mark.parametrize("body", ["<html>Bad Gateway</html>", "[" * 100_000], ids=["page", "deep"])
async def test_what_a_proxy_without_a_gate_answers_is_waited_out(
    serve: Serve, status: int, body: str
) -> None:
    page = Answer(status, body, {"Content-Type": "text/html"})
    gate = serve(lease("l-1", [line(1)]), page, Answer(200, {"status": "committed"}), page, stream([line(2)]))
    async with Client(gate.url) as client:
        assert await client.commit(await client.lease("bot"))
        assert await _streamed(client, 1) == ["s-2"]
    assert _committed(gate) == ["l-1", "l-1"]


async def test_too_many_leases_of_others_are_waited_out(serve: Serve) -> None:
    gate = serve(refusal(409, "too-many-leases"), lease("l-1", [line(1)]))
    async with Client(gate.url) as client:
        assert (await client.lease("bot")).identity == "l-1"


async def test_a_commit_that_is_cancelled_while_it_is_under_way_comes_to_its_end() -> None:
    arrived, go_on = asyncio.Event(), asyncio.Event()
    loop = asyncio.get_running_loop()

    def respond(request: Request) -> Answer:
        if "/commit" not in request.path:
            return lease("l-1", [line(1)])
        loop.call_soon_threadsafe(arrived.set)
        asyncio.run_coroutine_threadsafe(go_on.wait(), loop).result(60)
        return Answer(200, {})

    with stand_in(respond) as gate:
        async with Client(gate.url) as client:
            commit = asyncio.ensure_future(client.commit(await client.lease("bot")))
            await arrived.wait()
            commit.cancel()
            for _ in range(10):
                await asyncio.sleep(0)
            assert not commit.done(), "it waits for the answer"
            go_on.set()
            with pytest.raises(asyncio.CancelledError):
                await commit


async def test_gaps_of_a_lease_are_told(serve: Serve, caplog: pytest.LogCaptureFixture) -> None:
    gate = serve(lease("l-1", [line(1)], gaps=[gap(5), gap(None)]))
    async with Client(gate.url) as client, aclosing(client.consume("bot")) as transactions:
        assert (await anext(transactions)).signature == "s-1"
    assert "bot: a gap: 5 transactions left" in caplog.text
    assert "bot: a gap: nobody knows how many" in caplog.text


@pytest.mark.parametrize(
    "answer",
    [
        refusal(401, "unauthorized"),
        refusal(409, "too-many-consumers"),
        Answer(200, "<html>"),
        Answer(200, {}),
    ],
)
async def test_what_asking_again_does_not_change_is_an_error_with_its_name(
    serve: Serve, answer: Answer
) -> None:
    gate = serve(answer, answer)
    async with Client(gate.url) as client:
        with pytest.raises(Refused) as leased:
            await client.lease("bot")
        with pytest.raises(Refused):
            await anext(client.lines())
    name = json.loads(json.dumps(answer.document)).get("type") if answer.status != 200 else ""
    assert leased.value.name == (name or "").rpartition(":")[2]


async def test_gates_that_never_answered_are_unreachable_and_no_password_is_told() -> None:
    async with Client("http://user:hunter2@127.0.0.1:9", NOTHING) as client:
        with pytest.raises(Unreachable) as raised:
            await client.lease("bot")
    assert "hunter2" not in str(raised.value)
    with pytest.raises(ValueError, match="address"):
        Client()


async def test_a_gate_that_is_not_there_is_passed_over(
    serve: Serve, caplog: pytest.LogCaptureFixture
) -> None:
    gate = serve(lease("l-1", [line(1)]))
    async with Client("http://user:hunter2@127.0.0.1:9", gate.url) as client:
        assert (await client.lease("bot")).identity == "l-1"
    assert NOTHING in caplog.text
    assert "hunter2" not in caplog.text


async def test_waits_double_up_to_a_bound_and_begin_only_when_each_gate_has_failed(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(answers, "FIRST_WAIT_SECONDS", 0.1)
    monkeypatch.setattr("random.uniform", lambda _, longest: longest)
    slept: list[float] = []

    async def sleep(seconds: float) -> None:
        slept.append(seconds)

    two = Gates(["http://a", "http://b/"], sleep)
    two.answered()
    asked = []
    for _ in range(20):
        await two.failed("gone")
        asked.append(two.url)
    assert asked[:3] == ["http://b", "http://a", "http://b"]
    assert len(slept) == 10
    assert slept == sorted(slept)
    assert slept[-1] == answers.MAX_WAIT_SECONDS
    assert len(caplog.records) == 1, "an outage is told once"
    two.answered()
    assert caplog.records[-1].levelno == logging.WARNING
    slept.clear()
    await Gates(["http://a"], sleep).failed("busy", at_least_seconds=3)
    assert slept[0] > 3


def test_a_transaction_is_typed() -> None:
    assert Transaction.of(line(1).encode()).payload == {"fee": 25000}
