"""Consumers over HTTP: lease, commit, seek, list and forget, and a problem that says what is wrong."""

import asyncio

import pytest

from tests.support.consumer_calls import Answer, Consumer, consumer
from tests.support.gate import GateProcess, gate_process
from tests.support.http_calls import problem
from tests.support.streams import items, open_stream, post, signatures
from tests.support.wire import Connection, request_bytes
from tests.support.worker_gates import figure

NOTHING: Answer = {"lease": None, "transactions": [], "missed": 0, "gaps": [], "new": False}


async def test_what_is_accepted_is_leased_in_order_and_done_once_it_is_committed(gate: GateProcess) -> None:
    async with consumer(gate.url, "ordered") as bot:
        await bot.lease(from_="now")
        async with open_stream(gate.url, limit=5) as stream:
            await post(gate.url, items("ordered", 5, payload={"a": [1.0]}))
            lines = await stream.rest()
        first, second = await bot.lease(limit=3), await bot.lease(limit=3)
        assert first["transactions"] + second["transactions"] == lines, "the lines of a stream"
        assert (first["missed"], first["gaps"]) == (0, [])
        assert first["lag"]["transactions"] == second["lag"]["transactions"] == 5
        assert first["lag"]["seconds"] > 0
        assert await bot.commit(first["lease"]) == "committed"
        assert await bot.commit(second["lease"]) == "committed"
        assert await bot.lease() == NOTHING | {"lag": {"transactions": 0, "seconds": 0}}


async def test_a_commit_may_be_repeated(gate: GateProcess) -> None:
    async with consumer(gate.url, "repeating") as bot:
        await post(gate.url, items("repeating", 1))
        lease = (await bot.lease())["lease"]
        assert [await bot.commit(lease) for _ in range(3)] == ["committed", "repeated", "repeated"]


async def test_callers_of_one_name_share_the_work(gate: GateProcess) -> None:
    async with consumer(gate.url, "sharing") as bot:
        await bot.lease(from_="now")
        await post(gate.url, items("shared", 60))
        answers = await asyncio.gather(*(bot.lease(limit=7) for _ in range(12)))
        found = [signature for answer in answers for signature in signatures(answer["transactions"])]
        assert sorted(found) == sorted(f"shared-{number}" for number in range(60))
        assert len({answer["lease"] for answer in answers if answer["lease"]}) == 9


async def test_two_consumers_each_get_everything(gate: GateProcess) -> None:
    async with consumer(gate.url, "each-a") as one, consumer(gate.url, "each-b") as two:
        await one.lease(from_="now")
        await two.lease(from_="now")
        await post(gate.url, items("each", 20))
        wanted = [f"each-{number}" for number in range(20)]
        assert signatures(await one.drain(limit=6)) == signatures(await two.drain()) == wanted


async def test_a_new_consumer_begins_where_it_asks_to_and_a_known_one_goes_on(gate: GateProcess) -> None:
    async with consumer(gate.url, "begins-now") as late, consumer(gate.url, "begins-oldest") as early:
        await post(gate.url, items("begins", 2))
        begun = NOTHING | {"lag": {"transactions": 0, "seconds": 0}, "new": True}
        assert await late.lease(from_="now") == begun
        await post(gate.url, items("after", 2))
        assert signatures(await late.drain(from_="oldest")) == ["after-0", "after-1"]
        assert signatures(await early.drain())[-4:] == ["begins-0", "begins-1", "after-0", "after-1"]


async def test_an_answer_says_whether_its_call_made_the_consumer(gate: GateProcess) -> None:
    """Also one that had to ask more than once, and a consumer that was forgotten."""
    async with consumer(gate.url, "made") as bot:
        for number in range(2):
            waiting = asyncio.create_task(bot.lease(from_="now", wait_seconds=60))
            async with asyncio.timeout(60):
                while (await bot.http.get("/consumers")).text.find('"made"') < 0:
                    await asyncio.sleep(0.01)
            await post(gate.url, items(f"made-{number}", 1))
            answers = [await waiting, await bot.lease(), await bot.lease(limit=1)]
            assert [answer["new"] for answer in answers] == [True, False, False]
            assert len(answers[0]["transactions"]) == 1
            (await bot.http.delete("/consumers/made")).raise_for_status()


async def test_a_caller_waits_until_something_is_posted(gate: GateProcess) -> None:
    async with consumer(gate.url, "waiting") as bot:
        await bot.lease(from_="now")
        waiting = await _waiting(gate, bot, 2)
        await post(gate.url, items("woken", 1))
        done, pending = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        assert [signatures((await task)["transactions"]) for task in done] == [["woken-0"]]
        await post(gate.url, items("woken-again", 1))
        assert [signatures((await task)["transactions"]) for task in pending] == [["woken-again-0"]]


async def _waiting(gate: GateProcess, bot: Consumer, count: int) -> list[asyncio.Task[Answer]]:
    """Callers of which each has asked the store for something, and was told that there is nothing."""
    asked = _asked(gate)
    waiting = [asyncio.create_task(bot.lease(wait_seconds=60)) for _ in range(count)]
    async with asyncio.timeout(60):
        while _asked(gate) < asked + count:
            await asyncio.sleep(0.01)
    return waiting


def _asked(gate: GateProcess) -> int:
    """How often the store was asked for a lease."""
    return int(figure(gate, "store_call_duration_seconds_count", script="lease_transactions") or 0)


def _given_up(gate: GateProcess) -> int:
    """How many calls for a lease had no client any more when they ended."""
    return int(
        figure(gate, "http_requests_total", method="POST", route="/consumers/{name}/lease", code="499") or 0
    )


async def test_with_nothing_in_time_there_is_no_lease(gate: GateProcess) -> None:
    async with consumer(gate.url, "in-vain") as bot:
        await bot.lease(from_="now")
        assert await bot.lease(wait_seconds="0.2") == NOTHING | {"lag": {"transactions": 0, "seconds": 0}}


async def test_a_caller_that_sends_no_more_is_leased_what_there_is(gate: GateProcess) -> None:
    async with consumer(gate.url, "half-closed-before") as bot:
        await bot.lease(from_="now")
        await post(gate.url, items("there", 2))
        caller = await Connection.open(gate.url)
        await caller.send(request_bytes("POST", "/consumers/half-closed-before/lease?wait_seconds=60"))
        caller.end()
        answer = (await caller.answer()).json()
        assert signatures(answer["transactions"]) == ["there-0", "there-1"]
        await caller.close()


@pytest.mark.parametrize("end", ["killed", "half-closed"])
async def test_a_waiting_caller_that_has_gone_takes_nothing(gate: GateProcess, end: str) -> None:
    async with consumer(gate.url, f"gone-{end}") as bot:
        await bot.lease(from_="now")
        asked, gone = _asked(gate), await Connection.open(gate.url)
        await gone.send(request_bytes("POST", f"/consumers/gone-{end}/lease?wait_seconds=60"))
        async with asyncio.timeout(60):
            while _asked(gate) == asked:
                await asyncio.sleep(0.01)
        if end == "killed":
            gone.reset()
            async with asyncio.timeout(60):
                while not _given_up(gate):
                    await asyncio.sleep(0.01)
        else:
            gone.end()
            answer = (await gone.answer()).json()
            assert answer == NOTHING | {"lag": {"transactions": 0, "seconds": 0}}, "it may still read"
            await gone.close()
        await post(gate.url, items(f"not-taken-{end}", 1))
        answer = await bot.lease()
        assert signatures(answer["transactions"]) == [f"not-taken-{end}-0"]
        assert (await bot.figures() or {})["redelivered"] == 0


async def test_a_lease_that_runs_out_goes_to_the_next_caller_and_cannot_be_committed_then(
    gate: GateProcess,
) -> None:
    async with consumer(gate.url, "slow") as bot:
        await bot.lease(from_="now")
        await post(gate.url, items("slow", 2))
        first = await bot.lease(lease_seconds=1)
        second = await bot.lease(wait_seconds=60)
        assert second["transactions"] == first["transactions"]
        lost = problem(await bot.ask("commit", {"lease": first["lease"]}), 409, "handed out again")
        assert lost["type"] == "urn:tidegate:problem:lease-lost"
        assert lost["partitions"] == {"committed": 0, "lost": 1}
        assert await bot.commit(second["lease"]) == "committed"
        problem(await bot.ask("commit", {"lease": first["lease"]}), 409, "handed out again")
        figures = await bot.figures() or {}
        assert (figures["delivered"], figures["redelivered"], figures["leases"]) == (2, 2, 0)


async def test_a_lease_of_another_consumer_is_refused_and_stays_with_it(gate: GateProcess) -> None:
    async with consumer(gate.url, "owner") as owner, consumer(gate.url, "stranger") as stranger:
        await post(gate.url, items("owned", 1))
        await stranger.lease()
        lease = (await owner.lease())["lease"]
        refused = problem(await stranger.ask("commit", {"lease": lease}), 409, "owner")
        assert refused["type"] == "urn:tidegate:problem:lease-of-another"
        assert await owner.commit(lease) == "committed"


async def test_a_lease_that_nobody_knows_is_refused(gate: GateProcess) -> None:
    async with consumer(gate.url, "knows-none") as bot:
        await post(gate.url, items("known", 1))
        lease = str((await bot.lease())["lease"])
        name, made, number = lease.split("~")
        unknown = (
            "",
            "17",
            "x" * 10_000,
            lease[:-1] + "9",
            f"{name}~{int(made, 16) + 1:x}~{number}",
            f"{name}~{made}~63-1",
            f"{name}~{made}~0-{10**15}",
            f"{lease}\n",
        )
        for text in unknown:
            refused = problem(await bot.ask("commit", {"lease": text}), 404)
            assert refused["type"] == "urn:tidegate:problem:unknown-lease", text
        assert await bot.commit(lease) == "committed"
        assert (await bot.forget()).json() == {"status": "forgotten"}
        problem(await bot.ask("commit", {"lease": lease}), 404, "no such lease")
        problem(await bot.forget(), 404, "there is no consumer knows-none")


async def test_one_consumer_too_many_is_told_which_are_idle_longest() -> None:
    with gate_process(consumers_limit=3) as gate:
        for name in ("first", "second", "third", "first"):
            async with consumer(gate.url, name) as bot:
                await bot.lease()
        async with consumer(gate.url, "fourth") as bot:
            refused = problem(await bot.ask("lease"), 409, "second, third, first")
            assert refused["type"] == "urn:tidegate:problem:too-many-consumers"
            assert await bot.figures() is None
            bot.name = "second"
            assert (await bot.forget()).is_success
            bot.name = "fourth"
            assert (await bot.lease())["lease"] is None


async def test_a_consumer_that_leases_and_never_commits_gets_64_leases() -> None:
    with gate_process() as gate:
        await post(gate.url, items("hoarded", 70))
        async with consumer(gate.url, "hoarder") as bot:
            leases = [(await bot.lease(limit=1))["lease"] for _ in range(64)]
            refused = problem(await bot.ask("lease", limit=1), 409, "64 leases")
            assert refused["type"] == "urn:tidegate:problem:too-many-leases"
            assert await bot.commit(leases[0]) == "committed"
            assert signatures((await bot.lease(limit=1))["transactions"]) == ["hoarded-64"]


async def test_a_consumer_is_moved_back_and_forth_inside_what_is_kept() -> None:
    with gate_process() as gate:
        for number in range(4):
            await post(gate.url, items(f"moved-{number}", 1))
        async with consumer(gate.url, "moved") as bot:
            lines = await bot.drain()
            names = signatures(lines)
            await bot.seek("oldest")
            assert signatures(await bot.drain()) == names
            await bot.seek(lines[1]["cursor"])
            assert signatures(await bot.drain()) == names[2:]
            await bot.seek(lines[3]["first_seen_ms"] + 1)
            assert await bot.drain() == []
            await bot.seek("oldest")
            lease = (await bot.lease())["lease"]
            await bot.seek("now")
            assert await bot.drain() == []
            problem(await bot.ask("commit", {"lease": lease}), 409, "the consumer was moved")


async def test_the_list_says_how_far_each_has_come(gate: GateProcess) -> None:
    async with consumer(gate.url, "listed") as bot:
        await bot.lease(from_="now")
        await post(gate.url, items("listed", 5))
        lease = await bot.lease(limit=3)
        figures = await bot.figures() or {}
        assert figures.keys() == {
            *("name", "position", "lag", "leases", "delivered", "redelivered", "missed", "unknown_gaps"),
            "called_ms",
        }
        assert figures["lag"]["transactions"] == 5
        assert (figures["leases"], figures["delivered"], figures["missed"]) == (1, 3, 0)
        assert figures["position"][21:] == lease["transactions"][-1]["cursor"][21:]
        async with open_stream(gate.url, after=figures["position"], limit=2) as stream:
            assert signatures(await stream.rest()) == ["listed-3", "listed-4"]


async def test_a_large_lease_has_as_much_as_fits_and_the_next_one_the_rest(gate: GateProcess) -> None:
    async with consumer(gate.url, "large") as bot:
        await bot.lease(from_="now")
        payload = "x" * 200_000
        for number in range(20):
            await post(gate.url, items(f"large-{number}", 1, payload=payload))
        answer = await bot.lease(limit=10_000)
        assert 1 <= len(answer["transactions"]) < 20
        assert await bot.commit(answer["lease"]) == "committed"
        found = answer["transactions"] + await bot.drain(limit=10_000)
        assert signatures(found) == [f"large-{number}-0" for number in range(20)]
        assert {line["payload"] for line in found} == {payload}
