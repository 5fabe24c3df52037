"""How soon, how fast and at what cost does the gate hand on what it accepts?

    python -m benchmarks.consumers                        # all rows
    python -m benchmarks.consumers --pairs 1 latency      # those that are named

`latency`: 1,000 single posts a second beside a client that reads the stream. `stored` and `live`: how many
transactions a second one such client gets, from the oldest and as they come. `ingest`: batches of 500 as fast
as they are answered, beside a consumer that leases and commits what it can and without, in turns. `followed`:
the same with 20,000 new transactions a second, which the consumer has to keep up with. `crowd`: 1,000 single
posts a second beside 64 consumers that wait and 1,000 streams that nobody reads and without, in turns.
"""

import json
from collections.abc import Callable, Iterator
from statistics import median

from benchmarks.common.results import RESULTS, options_of, taken_here, timed, write_json
from benchmarks.consumers.crowd import IDLE, OK, SILENT, crowded
from benchmarks.consumers.ingest import followed, ingest
from benchmarks.consumers.rows import Figures, latency, live, stored

# What is wanted.
MOST_MS = {"p50_ms": 5, "p99_ms": 20}
LEAST_PER_SECOND, LEAST_INGEST, MOST_P99, MOST_KIB = 100_000, 0.85, 1.5, 64
# What a consumer has to be handed while ingest goes first: less than the sixth of the time it is left. Where
# there is time for both it may lag by no more than these seconds, which its leases and commits take.
LEAST_SHARE, MOST_LAG_SECONDS = 0.1, 1.0

ROWS: dict[str, Callable[[int, float], Figures]] = {
    "latency": latency,
    "stored": stored,
    "live": live,
    "ingest": ingest,
    "followed": followed,
    "crowd": crowded,
}


def failures(rows: dict[str, Figures]) -> Iterator[str]:
    """What is not as wanted, a sentence each."""
    for name, found in rows.items():
        yield from (f"{name}: {sentence}" for sentence in JUDGES[name](found))


def _late(found: Figures) -> Iterator[str]:
    for name, most in MOST_MS.items():
        if found["post_to_line"][name] > most:
            yield f"{name} from post to line is {found['post_to_line'][name]}, at most {most} is wanted"
    if found["missing"]:
        yield f"{found['missing']} lines never came"


def _slow(found: Figures) -> Iterator[str]:
    if median(found["per_second"]) < LEAST_PER_SECOND:
        yield f"{median(found['per_second']):,.0f} a second, at least {LEAST_PER_SECOND:,} are wanted"
    if set(found["read"]) != {found["transactions"]} or found["missed"]:
        yield f"{found['read']} of {found['transactions']} were read, {found['missed']} missed"


def _behind(found: Figures) -> Iterator[str]:
    for one in found["rounds"]:
        if one["read"] != one["accepted"]:
            yield f"{one['read']} of {one['accepted']} were read, {one['missed']} missed"


def _costly(found: Figures) -> Iterator[str]:
    yield from _taken(found)
    for one in found["consumer"]:
        if one["share_meanwhile"] < LEAST_SHARE:
            yield f"{one['share_meanwhile']} of it was handed out meanwhile, at least {LEAST_SHARE} is wanted"


def _followed(found: Figures) -> Iterator[str]:
    yield from _taken(found)
    yield from _late_loads(found)
    lag = median(one["most_lag_seconds"] for one in found["consumer"])
    if lag > MOST_LAG_SECONDS:
        yield f"the consumer lagged by {lag} s, at most {MOST_LAG_SECONDS} are wanted"


def _taken(found: Figures) -> Iterator[str]:
    """Whether ingest was kept from too much, and the consumer had everything once in the end."""
    if found["ratio"] < LEAST_INGEST:
        yield f"{found['ratio']} times the rate without a consumer, at least {LEAST_INGEST} is wanted"
    for one in found["consumer"]:
        if one["transactions"] != one["accepted"] or one["again"] or one["missed"]:
            told = f"{one['transactions']} of {one['accepted']} were handed out"
            yield f"{told}, {one['again']} of them again, {one['missed']} missed"


def _late_loads(found: Figures) -> Iterator[str]:
    """Loads that were not answered in time: of these no percentile is told."""
    for side in ("with", "without"):
        if any(one["p50_ms"] is None for one in found[side]):
            yield f"a load {side} readers was not kept up with"


def _crowded(found: Figures) -> Iterator[str]:
    yield from _late_loads(found)
    for ratio in (found["ratio"], found["then_ratio"]):
        if ratio > MOST_P99:
            yield f"p99 of ingest is {ratio} times that without, at most {MOST_P99} is wanted"
    for one in found["crowd"]:
        if one["then_p99_ms"] is None:
            yield "the second load beside the crowd was not kept up with"
        if set(one["answers"]) != {OK}:
            yield f"readers were answered {dict(one['answers'])}"
        if one["then_cut_off"] != SILENT:
            yield f"{one['then_cut_off']} of {SILENT} readers that took nothing were cut off"
        if one["kib_each"] > MOST_KIB:
            yield f"a reader costs {one['kib_each']} KiB, at most {MOST_KIB} are wanted"
        if one["ended"] != IDLE + SILENT or one["exit_code"]:
            yield f"{one['ended']} of {IDLE + SILENT} were ended, the gate's exit code is {one['exit_code']}"


JUDGES: dict[str, Callable[[Figures], Iterator[str]]] = {
    "latency": _late,
    "stored": _slow,
    "live": _behind,
    "ingest": _costly,
    "followed": _followed,
    "crowd": _crowded,
}


def main() -> int:
    """Run the rows; 0 when all are as wanted."""
    parser = options_of(__doc__, pairs=5, seconds=8.0)
    parser.add_argument("rows", nargs="*", help=f"of {', '.join(ROWS)}; all by default")
    options = parser.parse_args()
    names, rows = options.rows or list(ROWS), dict[str, Figures]()
    for name in names:
        with timed(name):
            rows[name] = ROWS[name](options.pairs, options.seconds)
        print(name, json.dumps(rows[name], indent=2), flush=True)
    found = list(failures(rows))
    if set(names) == set(ROWS):
        write_json(RESULTS / "consumers.json", taken_here() | {"rows": rows, "failures": found})
    print("\n".join(found))
    return 1 if found else 0


if __name__ == "__main__":
    raise SystemExit(main())
