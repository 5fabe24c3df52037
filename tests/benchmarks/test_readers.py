"""The clients that the benchmarks read with get what the gate accepts, and count what they get."""

import pytest

from benchmarks.common.gates import Service, tidegate
from benchmarks.common.readers import ReaderError, Wants, beside, consume, tail
from benchmarks.consumers.crowd import crowd
from benchmarks.consumers.rows import posts
from tests.support.processes import wait_until

BATCHES, ITEMS, IDLE, SILENT = 4, 50, 2, 3


def _post(gate: Service) -> None:
    with gate.client() as client:
        for batch in range(BATCHES):
            items = [{"signature": f"r-{batch}-{at}", "payload": {"fee": at}} for at in range(ITEMS)]
            assert client.post("/transactions", json=items).json()["accepted"] == ITEMS


def _committed(gate: Service) -> int:
    """How many a consumer was handed and has committed."""
    return sum(one["delivered"] - one["lag"]["transactions"] for one in gate.get("/consumers")["consumers"])


def test_a_tail_reads_what_is_stored_and_what_comes_and_a_consumer_is_handed_it_once() -> None:
    with tidegate() as gate:
        port = gate.target().port
        _post(gate)
        total = BATCHES * ITEMS
        with beside(tail, port, "?from=oldest", total, True) as stored:
            assert (stored.result.lines, len(stored.result.came)) == (total, total)
        with beside(tail, port, "", None, True) as live, beside(posts, port, 0.5) as poster:
            assert poster.result.keys()
        assert poster.result.keys() <= live.result.came.keys()
        total += len(live.result.came)
        with beside(consume, port, Wants("bot", 100)) as bot:
            assert wait_until(lambda: _committed(gate) == total, 30.0, 0.05)
        assert (bot.result.transactions, bot.result.again, bot.result.missed) == (total, 0, 0)


def test_readers_that_read_nothing_are_all_ended_when_the_gate_stops() -> None:
    with tidegate() as gate, beside(crowd, gate.target().port, IDLE, SILENT) as reader:
        _post(gate)
        reader.stop()
        assert gate.terminate() == 0
    assert (reader.result.ended, reader.result.complete) == (IDLE + SILENT, SILENT)
    assert reader.result.answers == {"200": IDLE + SILENT}


def test_a_reader_that_fails_says_why() -> None:
    with (
        tidegate() as gate,
        pytest.raises(ReaderError, match="422"),
        beside(consume, gate.target().port, Wants("no%20name", 100)) as bot,
    ):
        _ = bot.result
