"""What the cache of known heads saves of a single post: CPU of two real gates, one of which knows no head.

Both take the load of the row "single posts" of `make bench` in turns. Printed are the CPU of the gate a post
with the cache and without it, and what part of a post the cache saves.

    python -m benchmarks.known_heads [--pairs 7] [--seconds 3]
"""

from dataclasses import replace
from statistics import median

from benchmarks.bench.throughput import SINGLE
from benchmarks.common.altered_gates import altered
from benchmarks.common.gates import service
from benchmarks.common.results import options_of
from benchmarks.common.rounds import gate, http_side, rounds


def main() -> None:
    """Measure, and print the medians."""
    parser = options_of(__doc__)
    parser.add_argument("--pairs", type=int, default=7)
    parser.add_argument("--seconds", type=float, default=3.0, help="measured in each run, after the warm-up")
    options = parser.parse_args()
    without = http_side("without", lambda: service(*altered("parses-each-head")))
    taken = rounds([gate(), without], [replace(SINGLE, seconds=options.seconds)] * 2, options.pairs)
    spent = {name: [one.cpu_us("gate") for one in measures] for name, measures in taken.items()}
    saved = [1 - ours / theirs for ours, theirs in zip(spent["tidegate"], spent["without"], strict=True)]
    print({name: round(median(figures), 1) for name, figures in spent.items()}, "µs of gate CPU a post")
    print(f"saved: {median(saved):.1%} of a post ({min(saved):.1%} to {max(saved):.1%})")


if __name__ == "__main__":
    main()
