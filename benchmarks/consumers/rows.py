"""The rows about one reader: how soon and how fast what is accepted comes out."""

import socket
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from functools import partial
from itertools import islice
from statistics import median
from typing import Any

from benchmarks.common.bodies import supply
from benchmarks.common.constant_rate import Rate, at_rate
from benchmarks.common.gates import Service, tidegate
from benchmarks.common.load import run_loader
from benchmarks.common.loader import Loader
from benchmarks.common.plan import FEEDS, Measure, Plan, times_ms
from benchmarks.common.readers import Order, ReaderError, Wants, beside, consume, replay, tail
from benchmarks.common.store import room_for
from benchmarks.common.turns import in_turn

RATE, WARM_UP_SECONDS = Rate(1000, FEEDS[:1], connections=16), 2.0
NEW = Plan("small", batch_items=500, connections=6, copies=1.0)
ROOM = room_for(2_000_000, 2)
LEASE_ITEMS = 5000
REPLAYED_LINES, REPLAYS = 2000, 300
Figures = dict[str, Any]


def posts(order: Order, port: int, seconds: float) -> dict[str, tuple[float, float]]:
    """Post single new transactions at a constant rate; by signature when each was due and answered."""
    count = int(RATE.per_second * (WARM_UP_SECONDS + seconds))
    items = list(islice(supply("small", time.time_ns()), count))
    names = [iter(items[first :: RATE.connections]) for first in range(RATE.connections)]
    found = dict[str, tuple[float, float]]()

    def take(place: int, due: float, status: int, answer: bytes) -> None:
        if b'"accepted"' not in answer:
            raise ReaderError(f"{status} {answer[:300]!r}")
        signature, _ = next(names[place])
        if due >= measured:
            found[signature] = due, time.monotonic()

    order.begun()
    measured = time.monotonic() + WARM_UP_SECONDS
    with closing(Loader(port, [*at_rate([body for _, body in items], RATE)], take)) as loader:
        loader.run(lambda: False)
    return found


def latency(pairs: int, seconds: float) -> Figures:
    """Time each line, from when its post was due and from the answer to that, until it is read."""
    spans: dict[str, list[float]] = {"post": [], "post_to_line": [], "answer_to_line": []}
    missing = 0
    for _ in range(pairs):
        with (
            tidegate() as gate,
            beside(tail, gate.target().port, "", None, True) as reader,
            beside(posts, gate.target().port, seconds) as poster,
        ):
            posted = poster.result
        came = reader.result.came
        missing += len(posted.keys() - came.keys())
        for signature, (due, answered) in posted.items():
            spans["post"].append(answered - due)
            spans["post_to_line"].append(came.get(signature, float("inf")) - due)
            spans["answer_to_line"].append(came.get(signature, float("inf")) - answered)
    return {**{name: times_ms(found) for name, found in spans.items()}, "missing": missing}


def stored(pairs: int, seconds: float) -> Figures:
    """One client that begins with the oldest; and what the client alone could do."""
    with tidegate(**ROOM) as gate:
        run_loader(replace(NEW, seconds=seconds), gate.target())
        total = gate.get("/stats")["maps"]["transactions"]["entries"]
        target = gate.target()
        before = target.cpu_seconds()
        taken = [_tailed(gate, f"?from=oldest&limit={total}", total) for _ in range(pairs)]
        spent = target.spent_since(before)
        with beside(consume, gate.target().port, Wants("bot", LEASE_ITEMS, wanted=total)) as bot:
            handed = bot.result
        with gate.client() as client:
            text = client.get("/stream", params={"from": "oldest", "limit": REPLAYED_LINES}).content
    with socket.create_server(("127.0.0.1", 0)) as server, beside(replay, server, text, REPLAYS):
        port = server.getsockname()[1]
        with beside(tail, port, "", None, False) as reader:
            alone = reader.result
    return {
        "transactions": total,
        "read": [one.lines for one in taken],
        "missed": sum(one.missed for one in taken),
        "line_bytes": taken[0].size / taken[0].lines,
        "per_second": [round(one.rate) for one in taken],
        "client_cpu_us": round(1e6 * median(one.cpu_seconds / one.lines for one in taken), 2),
        **{f"{part}_cpu_us": round(1e6 * spent[part] / total / pairs, 2) for part in ("gate", "store")},
        "client_alone_per_second": round(alone.rate),
        "consumer_per_second": round(total / handed.seconds),
    }


def _tailed(gate: Service, query: str, wanted: int) -> Any:
    with beside(tail, gate.target().port, query, wanted, False) as reader:
        return reader.result


def live(pairs: int, seconds: float) -> Figures:
    """One client that reads what is accepted as fast as the gate can, all of it new."""
    rounds = []
    for _ in range(pairs):
        with tidegate(**ROOM) as gate, beside(tail, gate.target().port, "", None, False) as reader:
            measure = run_loader(replace(NEW, seconds=seconds), gate.target())
            ended = time.monotonic()
            accepted = gate.get("/stats")["ingest"]["accepted"]
        tailed = reader.result
        rounds.append(
            {
                "accepted": accepted,
                "read": tailed.lines,
                "missed": tailed.missed,
                "ingest_per_second": round(measure.rate),
                "per_second": round(tailed.rate),
                "last_line_seconds_after_load": round(tailed.last - ended, 3),
            }
        )
    return {"rounds": rounds}


def in_turns(pairs: int, measured: Callable[[bool], Measure]) -> dict[str, list[Measure]]:
    """Measure with and without, so many times; which is first changes from pair to pair."""
    return in_turn({"with": partial(measured, True), "without": partial(measured, False)}, pairs)


def compared(found: dict[str, list[Measure]], ratios: list[float]) -> Figures:
    """What is told of a comparison: the ratio of each pair, their median, and the runs."""
    return {
        "ratio": round(median(ratios), 3),
        "ratios": [round(ratio, 3) for ratio in ratios],
        "with": [one.figures() for one in found["with"]],
        "without": [one.figures() for one in found["without"]],
    }
