"""How many signatures are resident in the store at a constant rate, beside many foreign keys?

Posts new transactions at a constant rate through a real gate, while a second connection counts ten times a
second the entries of every signature bucket there ever was. With per-key TTL in place of buckets the same
load is shown in the second column: `SET key feed NX EX window`, counted by DBSIZE. `make bench` has a row of
it: 5,000 a second for three minutes, once.

    python -m benchmarks.residency --rate 2000 --seconds 60 --foreign 500000
"""

import json
from collections.abc import Callable, Sequence
from statistics import median

from app.models import MapName
from benchmarks.bench.result import Result
from benchmarks.common.background import sampled
from benchmarks.common.bodies import pool_of
from benchmarks.common.constant_rate import Rate, post_at_rate
from benchmarks.common.plan import FEEDS, Plan
from benchmarks.common.results import RESULTS, options_of, write_json
from tests.support.gate import gate_program
from tests.support.ledger import read_ledger, store_key
from tests.support.servers import OVER_TCP, StoreServer, valkey_server
from tests.support.truth import count_fields

WINDOW_SECONDS = 5
BATCHES = Rate(20.0, FEEDS[:1], connections=1)
# `SET key feed NX EX 5`, whose seconds are those of the window.
SET_NX = Plan("small", batch_items=1, form="set")
SAMPLE_SECONDS = 0.1
BOUND = 1.25
PLANT = "for i = 1, 1000 do redis.call('SET', ARGV[1] .. ':' .. i, 'x', 'EX', 3600) end"


def measure(
    url: str, bodies: Sequence[bytes], load: Rate, count: Callable[[], int], alive: int
) -> dict[str, float]:
    """Post at a constant rate, and count ten times a second what is resident while so many are alive.

    Found are the peak, also as a multiple of rate × window, and the median of the second half.
    """
    with sampled(count, SAMPLE_SECONDS) as samples:
        answers = post_at_rate(url, bodies, load).checked(are_new=True)
    reached = alive / WINDOW_SECONDS * len(bodies) / load.per_second / answers.span()
    return {
        "rate_reached": round(reached, 1),
        "alive": alive,
        "peak": max(samples),
        "median": median(samples[len(samples) // 2 :]),
        "peak_ratio": round(max(samples) / alive, 3),
    }


def measure_gate(server: StoreServer, rate: int, seconds: int, foreign: int) -> dict[str, float]:
    """Entries resident while a gate on this store takes the load, beside so many keys of somebody else."""
    with server.nodes()[0] as node, gate_program(store_url=server.url) as gate:
        seen = set[int]()

        def count() -> int:
            """Count the entries of all signature buckets seen so far."""
            listed = read_ledger(node).buckets[MapName.SIGNATURES]
            seen.update(int.from_bytes(bucket[:7]) for bucket in listed)
            names = (store_key("tidegate:{0}", "signatures", str(bucket)) for bucket in sorted(seen)[-40:])
            return sum(count_fields(node, name) for name in names)

        for number in range(foreign // 1000):
            node.eval(PLANT, 0, f"foreign:{number}")
        items = [{"signature": f"resident-{number}"} for number in range(rate * seconds)]
        size = rate // int(BATCHES.per_second)
        bodies = [json.dumps(items[at : at + size]).encode() for at in range(0, len(items), size)]
        return measure(gate.url, bodies, BATCHES, count, rate * WINDOW_SECONDS)


def measure_plain(server: StoreServer, rate: int, seconds: int) -> dict[str, float]:
    """Keys resident under the same load with one key a signature and the store's own expiry."""
    commands = [bytes(one.data) for one in pool_of(SET_NX, rate * seconds, seed=1)]
    with server.nodes()[0] as node:
        before = node.dbsize()
        load = Rate(rate, [""], connections=1, form="set")
        return measure(server.url, commands, load, lambda: node.dbsize() - before, rate * WINDOW_SECONDS)


def row(rate: int = 5000, seconds: int = 180, foreign: int = 500_000) -> list[Result]:
    """The row of `make bench`."""
    with valkey_server(unix=True) as server:
        found = measure_gate(server, rate, seconds, foreign)
    work = f"resident signatures, {rate:,}/s for {seconds / 60:g} minutes beside {foreign:,} foreign keys"
    remark = (
        f"peak {found['peak']:,.0f}, median {found['median']:,.0f} of {found['alive']:,.0f} alive; "
        f"{found['rate_reached']:,.0f} a second reached"
    )
    ratio, details = [found["peak_ratio"]], {"figures": found}
    return [Result(work, "rate × window", "at most", BOUND, "×", ratio, details, remark)]


def main() -> None:
    """Run both on each store, print a table and write the figures."""
    parser = options_of(__doc__, rate=2000, seconds=60, foreign=500_000, out=RESULTS / "residency.json")
    options, results = parser.parse_args(), {}
    for name in ("valkey", "redis"):
        with OVER_TCP[name]() as server:
            tidegate = measure_gate(server, options.rate, options.seconds, options.foreign)
            plain = measure_plain(server, options.rate, options.seconds)
        results[name] = {"tidegate": tidegate, "key_ttl": plain}
        print(name, json.dumps(results[name]), flush=True)
    load = {name: getattr(options, name) for name in ("rate", "seconds", "foreign")}
    write_json(options.out, {"options": load, "results": results})


if __name__ == "__main__":
    main()
