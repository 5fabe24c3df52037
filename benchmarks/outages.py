"""What a store that is restarted, closes connections or fails over costs a gate.

    .venv/bin/python -m benchmarks.outages                    # all rows
    .venv/bin/python -m benchmarks.outages valkey failovers   # those whose name has all the words

A gate with default settings gets 200 posts a second, of one new transaction each. `failed` are posts not
answered 200; `beside` those of them of which no part fell into the time the store was away (up to the first
/readyz of 200 after its return); `longest` the longest time in which every post failed.
"""

import asyncio
from collections.abc import Callable, Coroutine
from functools import partial
from itertools import groupby

from benchmarks.common.results import options_of
from tests.support.cluster import fail_over
from tests.support.gate import GateProcess, gate_program
from tests.support.outages import close_idle_after, kill_clients, restart
from tests.support.servers import OVER_TCP, StoreServer, cluster_server
from tests.support.steady_load import Steady

POSTS_A_SECOND = 200
CALM_SECONDS, AFTER_SECONDS = 2.0, 10.0
IDLE_TIMEOUT_SECONDS = 3
BURSTS, BURST_POSTS, BURST_PAUSE_SECONDS = 5, 60, 4.5
KILLS, KILL_PAUSE_SECONDS = 3, 4.0
FAILOVERS, FAILOVER_SECONDS = 15, 1.5

Case = Callable[[StoreServer, GateProcess, Steady], Coroutine[None, None, None]]


async def restarted(server: StoreServer, gate: GateProcess, steady: Steady, *, seconds: float) -> None:
    """Killed, and started so many seconds later."""
    took = await restart(server, gate, steady, seconds)
    print(f"    ready {took:.2f} s after the store's return")
    await asyncio.sleep(AFTER_SECONDS)


async def idle_timeout(server: StoreServer, gate: GateProcess, steady: Steady) -> None:
    """The store closes what was idle for 3 s; bursts open connections that die until the next one."""
    close_idle_after(server, IDLE_TIMEOUT_SECONDS)
    for _ in range(BURSTS):
        await asyncio.gather(*(steady.post(gate.url) for _ in range(BURST_POSTS)))
        await asyncio.sleep(BURST_PAUSE_SECONDS)


async def clients_killed(server: StoreServer, _gate: GateProcess, steady: Steady) -> None:
    """CLIENT KILL TYPE normal, three times; posts under way at that moment count as those of an absence."""
    for _ in range(KILLS):
        with steady.store_away():
            kill_clients(server)
        await asyncio.sleep(KILL_PAUSE_SECONDS)


async def failovers(server: StoreServer, _gate: GateProcess, _steady: Steady) -> None:
    """Graceful failovers one after the other, each master in turn."""
    nodes = server.nodes()
    for number in range(FAILOVERS):
        await asyncio.to_thread(fail_over, [nodes[number % 3], nodes[3 + number % 3]])
        # A master votes once a shard within twice the node timeout; a failover sooner waits for that.
        await asyncio.sleep(FAILOVER_SECONDS)


ORDINARY: dict[str, Case] = {
    "restart_at_once": partial(restarted, seconds=0.06),
    "restart_after_2_s": partial(restarted, seconds=2.0),
    "idle_timeout": idle_timeout,
    "clients_killed": clients_killed,
}
REPLICATED: dict[str, Case] = {"failovers": failovers}
STORES: dict[str, tuple[Callable[[], StoreServer], dict[str, Case]]] = {
    **{name: (start, ORDINARY) for name, start in OVER_TCP.items()},
    "valkey-replicated": (partial(cluster_server, replicas=1), REPLICATED),
    "redis-replicated": (partial(cluster_server, kind="redis", replicas=1), REPLICATED),
}


def longest_failing(steady: Steady) -> float:
    """The longest time from the first to the last of posts that failed one after the other, in seconds."""
    ordered = sorted(steady.posts, key=lambda post: post.sent)
    runs = [list(run) for _, run in groupby(ordered, key=lambda post: post.has_failed)]
    failed = [run for run in runs if run[0].has_failed]
    return max((max(post.answered for post in run) - run[0].sent for run in failed), default=0.0)


async def measure(store: str, name: str) -> None:
    """Run one row and print it."""
    (start, cases), steady = STORES[store], Steady(store)
    with start() as server, gate_program(store_url=server.url) as gate:
        async with steady.running(gate.url, POSTS_A_SECOND):
            await asyncio.sleep(CALM_SECONDS)
            await cases[name](server, gate, steady)
            await asyncio.sleep(CALM_SECONDS)
    unready = steady.unready()
    slowest = max(post.answered - post.sent for post in steady.posts if not post.has_failed)
    print(
        f"{store:18} {name:18} posts {len(steady.posts):5}  failed {len(steady.failed()):5}"
        f"  beside {len(steady.failed_while_there()):5}  longest {longest_failing(steady):6.2f} s"
        f"  unready {len(unready)} times, {sum(s.ended - s.began for s in unready):6.2f} s"
        f"  slowest answer {slowest * 1000:5.0f} ms",
        flush=True,
    )
    for detail in sorted({post.detail for post in steady.failed_while_there()}):
        print(f"    {detail}")


def main() -> None:
    """Run the rows whose names have all the words given."""
    parser = options_of(__doc__)
    parser.add_argument("words", nargs="*")
    words = parser.parse_args().words
    for store, (_, cases) in STORES.items():
        for name in cases:
            if all(word in f"{store} {name}" for word in words):
                asyncio.run(measure(store, name))


if __name__ == "__main__":
    main()
