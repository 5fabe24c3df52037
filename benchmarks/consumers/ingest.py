"""The rows about ingest beside a consumer that leases and commits: what it costs, and how far it gets.

Ingest goes first. While it asks for all that the gate can do, a consumer is left a share of the time and
falls behind (app/consumers/ingest_priority.py), so the first row says what such a consumer costs and how
soon it has the rest when the load is over. At a rate that leaves room for both it has to keep up.
"""

import time
from contextlib import ExitStack
from dataclasses import replace

from benchmarks.common.background import sampled
from benchmarks.common.gates import Service, tidegate
from benchmarks.common.load import run_loader
from benchmarks.common.plan import Measure, Plan
from benchmarks.common.readers import LOOK_SECONDS, Wants, beside, consume
from benchmarks.common.turns import SMALL
from benchmarks.consumers.rows import LEASE_ITEMS, NEW, Figures, compared, in_turns
from tests.support.processes import wait_until

# 20,000 new transactions a second in batches of 500.
FOLLOWED = replace(NEW, per_second=40)
SAMPLE_SECONDS, CATCH_UP_SECONDS = 0.5, 60.0


def ingest(pairs: int, seconds: float) -> Figures:
    """Batches of three feeds as fast as they are answered, beside a consumer and without one."""
    return beside_a_consumer(replace(SMALL, seconds=seconds), pairs)


def followed(pairs: int, seconds: float) -> Figures:
    """Batches of new transactions at a rate that a consumer can follow, beside one and without one."""
    return beside_a_consumer(replace(FOLLOWED, seconds=seconds), pairs)


def beside_a_consumer(plan: Plan, pairs: int) -> Figures:
    """Load a gate of its own each time; the consumer goes on until it has everything."""
    consumers = list[Figures]()

    def measured(has_consumer: bool) -> Measure:
        with tidegate() as gate, ExitStack() as stack:
            if not has_consumer:
                return run_loader(plan, gate.target())
            reader = stack.enter_context(beside(consume, gate.target().port, Wants("bot", LEASE_ITEMS)))
            with sampled(lambda: _progress(gate), SAMPLE_SECONDS) as progress:
                measure = run_loader(plan, gate.target())
            ended = time.monotonic()
            wait_until(lambda: _progress(gate)["lag"] == 0, CATCH_UP_SECONDS, LOOK_SECONDS)
            caught_up = {"seconds_to_catch_up": round(time.monotonic() - ended, 2)}
            reader.stop()
            accepted = {"accepted": _progress(gate)["accepted"]}
            consumers.append(vars(reader.result) | accepted | _meanwhile(progress) | caught_up)
            return measure

    found = in_turns(pairs, measured)
    ratios = [one.rate / other.rate for one, other in zip(found["with"], found["without"], strict=True)]
    return compared(found, ratios) | {"consumer": consumers}


def _progress(gate: Service) -> Figures:
    """What was handed to the consumer, and then what was accepted: the share is never told too large."""
    none = {"delivered": 0, "lag": {"transactions": 0, "seconds": 0.0}}
    [bot] = gate.get("/consumers")["consumers"] or [none]
    return {
        "handed": bot["delivered"],
        "lag": bot["lag"]["transactions"],
        "lag_seconds": bot["lag"]["seconds"],
        "accepted": gate.get("/stats")["ingest"]["accepted"],
    }


def _meanwhile(progress: list[Figures]) -> Figures:
    """How far the consumer was at the last look while the load ran, and by how much it lagged at most."""
    last = progress[-1]
    return {
        "handed_meanwhile": last["handed"],
        "accepted_meanwhile": last["accepted"],
        "share_meanwhile": round(last["handed"] / max(1, last["accepted"]), 3),
        "most_lag_seconds": max(one["lag_seconds"] for one in progress),
    }
