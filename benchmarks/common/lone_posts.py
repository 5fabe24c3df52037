"""Posts of one new transaction each, for whose answer a feed waits: their load, and four sides that take it.

Beside Tidegate and the two services stands a store without any, in which a feed claims its signatures itself:
it has no payloads, no lookup and no counts, but no way to a service either. Its `SET NX` goes over TCP and
through the same loader as the posts, so neither has the cost of a client library.
"""

from dataclasses import replace
from urllib.parse import urlsplit

from benchmarks.common.loader_process import run_loader
from benchmarks.common.plan import Measure, Plan, Target
from benchmarks.common.rounds import Rounds, Side, gate, rival, rounds
from tests.support.servers import valkey_server

LONE = Plan("small", batch_items=1, connections=1, copies=1.0)


def _set_nx(plan: Plan) -> Measure:
    with valkey_server() as store:
        target = Target(int(urlsplit(store.url).port or 0), {"store": [store.processes[0].pid]})
        return run_loader(replace(plan, form="set"), target)


SIDES = (gate(), rival("handwritten"), rival("bare"), Side("set", _set_nx))
RIVALS = {
    "handwritten": "hand-written",
    "bare": "bare ASGI function under the same uvicorn",
    "set": "`SET NX` by the feed, no service",
}


def lone_posts(plan: Plan, count: int) -> Rounds:
    """Measure the four sides so many times; the bare function's answers are not true."""
    plans = [replace(plan, is_verified=side.name != "bare") for side in SIDES]
    return rounds(SIDES, plans, count)
