"""What does it cost that answers wait until a replica has what they tell of (TIDEGATE_STORE_MIN_REPLICAS)?

Two sides take turns, each with a gate and a Valkey of its own that one replica follows: on one, answers wait
for the replica. All run on this machine, so the way to the replica is short, and its CPU is the machine's.

    python -m benchmarks.replicas --rounds 5 --seconds 5
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from functools import partial
from statistics import median

from benchmarks.common.gates import tidegate
from benchmarks.common.plan import Measure, Plan, Target
from benchmarks.common.results import RESULTS, markdown, options_of, show, taken_here, write_json
from benchmarks.common.turns import Side, compare
from tests.support.processes import wait_until
from tests.support.servers import valkey_server

SYNCED_SECONDS = 30.0
# A replica that is slow on a busy machine is to show in the times, and not as a post that is refused.
DEADLINE_SECONDS = 20
LOADS = {
    "single posts, one connection": Plan(batch_items=1, connections=1, copies=1.0),
    "single posts, 64 connections": Plan(batch_items=1, connections=64),
    "arrays of 500, 6 connections": Plan(),
}
SIDES = {0: "at once", 1: "waits for one replica"}
FIGURES = ("transactions_per_second", "p50_ms", "p99_ms", "gate_us", "store_us")


def main() -> None:
    """Measure each load, print a table, write the figures."""
    options = options_of(__doc__, rounds=5, seconds=5.0, out=RESULTS / "replicas.json").parse_args()
    sides = [Side(str(wanted), title, partial(_replicated, wanted)) for wanted, title in SIDES.items()]
    figures: dict[str, dict[str, dict[str, list[float | None]]]] = {}
    for title, plan in LOADS.items():
        timed = Plan(**asdict(plan) | {"seconds": options.seconds})
        taken = compare(sides, timed, options.rounds)
        figures[title] = {side.title: _by_figure(taken[side.name]) for side in sides}
    write_json(options.out, taken_here() | {"rounds": options.rounds, "loads": figures})
    show(markdown([["load", "answers", *FIGURES], *_rows(figures)]))


@contextmanager
def _replicated(wanted: int) -> Iterator[Target]:
    """Run a gate before a Valkey with a replica; it waits for so many replicas."""
    with valkey_server() as first, valkey_server() as second:
        [master], [replica] = first.nodes(), second.nodes()
        with master, replica:
            master.config_set("repl-diskless-sync-delay", 0)
            replica.replicaof("127.0.0.1", str(master.connection_pool.connection_kwargs["port"]))
            assert wait_until(
                lambda: replica.info("replication").get("master_link_status") == "up", SYNCED_SECONDS
            )
        settings = {"store_min_replicas": wanted, "store_deadline_seconds": DEADLINE_SECONDS}
        with tidegate(store_url=first.url, **settings) as gate:
            yield Target(gate.target().port, gate.pids() | {"store": [first.processes[0].pid]})


def _by_figure(measures: Sequence[Measure]) -> dict[str, list[float | None]]:
    """Return each figure of each round."""
    rounds = [measure.figures() for measure in measures]
    return {name: [figures[name] for figures in rounds] for name in FIGURES}


def _rows(loads: dict[str, dict[str, dict[str, list[float | None]]]]) -> Iterator[list[str]]:
    """Yield the median of each figure, with the least and the greatest of its rounds."""
    for load, by_side in loads.items():
        for side, by_figure in by_side.items():
            yield [
                load,
                side,
                *(_told([one for one in by_figure[name] if one is not None]) for name in FIGURES),
            ]


def _told(rounds: Sequence[float]) -> str:
    if not rounds:
        return "-"
    return f"{median(rounds):,.2f} ({min(rounds):,.2f} to {max(rounds):,.2f})"


if __name__ == "__main__":
    main()
