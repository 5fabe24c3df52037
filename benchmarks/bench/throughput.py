"""The rows about transactions a second, duplicates counted."""

from dataclasses import replace

from benchmarks.bench.contest import rounds, row
from benchmarks.bench.plan import Plan
from benchmarks.bench.result import Result
from benchmarks.bench.sides import gate, jetstream, rival

# Four connections a feed for small transactions, two for real ones: it sends on while it waits for answers.
# The second and the third feed are some 30 and 120 ms behind the first, at the rates measured.
SMALL = Plan(kind="small", batch_items=500, connections=12, behind=(1500, 6000))
ENHANCED = Plan(kind="enhanced", batch_items=50, connections=6, behind=(250, 1000))
SINGLE = Plan(kind="small", batch_items=1, connections=64, behind=(150, 600))

HAND_WRITTEN = "hand-written"
NATS = "NATS JetStream with deduplication, its Python client publishing asynchronously"


def batches_small(pairs: int, seconds: float) -> list[Result]:
    """Batches of small transactions."""
    plan = replace(SMALL, seconds=seconds)
    sides = [gate(), rival("handwritten"), jetstream(processes=1), jetstream(processes=3)]
    taken = rounds(sides, [plan] * len(sides), pairs)
    work = "batches of 500 × 0.65 KB, three feeds (2/3 duplicates)"
    return [
        row(taken, ("tidegate", "handwritten"), work, HAND_WRITTEN, 10.0),
        row(taken, ("tidegate", "jetstream-1"), work, NATS, 5.0),
        row(taken, ("tidegate", "jetstream-3"), work, f"{NATS}, in three processes", None),
    ]


def batches_enhanced(pairs: int, seconds: float) -> list[Result]:
    """Batches of real enhanced transactions."""
    plan = replace(ENHANCED, seconds=seconds)
    taken = rounds([gate(), rival("handwritten")], [plan, plan], pairs)
    work = "batches of 50 real enhanced transactions (5.5 KB), three feeds"
    return [row(taken, ("tidegate", "handwritten"), work, HAND_WRITTEN, 4.0)]


def singles(pairs: int, seconds: float) -> list[Result]:
    """Single posts, beside three rivals in the same rounds."""
    plan = replace(SINGLE, seconds=seconds)
    blind = replace(plan, is_verified=False)
    sides = [gate(), rival("handwritten"), rival("bare"), rival("nothing")]
    taken = rounds(sides, [plan, plan, blind, blind], pairs)
    work = "single posts, 64 connections, three feeds"
    return [
        row(taken, ("tidegate", "handwritten"), work, HAND_WRITTEN, 6.0),
        row(taken, ("tidegate", "bare"), work, "bare ASGI function under the same uvicorn", 0.5),
        row(taken, ("tidegate", "nothing"), work, "FastAPI route that does nothing", None),
    ]
