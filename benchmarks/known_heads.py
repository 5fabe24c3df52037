"""What the cache of known heads saves of a single post: CPU of two real gates, one of which knows no head.

Both take the load of the row "single posts" of `make bench` in turns. Printed are the CPU of the gate a post
with the cache and without it, and what part of a post the cache saves.

    python -m benchmarks.known_heads [--pairs 7]
"""

import argparse
import sys
from dataclasses import replace
from statistics import median

from app.cli.serve import run
from app.server.known_heads import KnownHeads
from benchmarks.bench.contest import rounds
from benchmarks.bench.sides import gate, http_side
from benchmarks.bench.throughput import SINGLE
from benchmarks.services import module, service

PARSES_EACH = "--serve-without"


def serve_without() -> int:
    """The gate as it is shipped, but for its known heads: it parses each head."""
    KnownHeads.note = lambda *_: None  # type: ignore[method-assign]  # no setting turns the cache off
    return run({}, insecure=False)


def main() -> int:
    """Measure, and print the medians."""
    if PARSES_EACH in sys.argv:
        return serve_without()
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--pairs", type=int, default=7)
    pairs = parser.parse_args().pairs
    without = http_side("without", lambda: service(*module("benchmarks.known_heads"), PARSES_EACH))
    taken = rounds([gate(), without], [replace(SINGLE, seconds=3.0)] * 2, pairs)
    spent = {name: [one.cpu_us("gate") for one in measures] for name, measures in taken.items()}
    saved = [1 - ours / theirs for ours, theirs in zip(spent["tidegate"], spent["without"], strict=True)]
    print({name: round(median(figures), 1) for name, figures in spent.items()}, "µs of gate CPU a post")
    print(f"saved: {median(saved):.1%} of a post ({min(saved):.1%} to {max(saved):.1%})")
    return 0


if __name__ == "__main__":
    sys.exit(main())
