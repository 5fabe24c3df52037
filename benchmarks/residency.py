"""How many signatures are resident in the store at a constant rate, beside many foreign keys?

Posts new transactions at a constant rate through a real gate, while a second connection counts ten times a
second the entries of every signature bucket there ever was. With per-key TTL in place of buckets the same
load is shown in the second column: `SET key 1 PX window NX`, counted by DBSIZE. `make bench` has a row of
it: 5,000 a second for three minutes, once.

    python -m benchmarks.residency --rate 2000 --seconds 60 --foreign 500000
"""

import json
import time
from collections.abc import Callable
from statistics import median

from app.models import MapName
from benchmarks.bench.result import Result
from benchmarks.common.background import sampled
from benchmarks.common.results import RESULTS, options_of, write_json
from tests.support.gate import gate_process
from tests.support.ledger import read_ledger, store_key
from tests.support.servers import StoreServer, redis_server, valkey_server
from tests.support.truth import count_fields

WINDOW_SECONDS = 5
BATCHES_A_SECOND = 20
SAMPLE_SECONDS = 0.1
BOUND = 1.25
STORES: dict[str, Callable[[], StoreServer]] = {"valkey": valkey_server, "redis": redis_server}
PLANT = "for i = 1, 1000 do redis.call('SET', ARGV[1] .. ':' .. i, 'x', 'EX', 3600) end"


def measure(
    send: Callable[[list[str]], None], count: Callable[[], int], rate: int, seconds: int
) -> dict[str, float]:
    """Send signatures at a constant rate, and count ten times a second what is resident.

    Found are the peak, also as a multiple of rate × window, and the median of the second half.
    """
    size, started = rate // BATCHES_A_SECOND, time.monotonic()
    with sampled(count, SAMPLE_SECONDS) as samples:
        for number in range(seconds * BATCHES_A_SECOND):
            send([f"{started}-{number}-{item}" for item in range(size)])
            time.sleep(max(0.0, started + (number + 1) / BATCHES_A_SECOND - time.monotonic()))
        reached = size * seconds * BATCHES_A_SECOND / (time.monotonic() - started)
    alive, peak = rate * WINDOW_SECONDS, max(samples)
    return {
        "rate_reached": round(reached, 1),
        "alive": alive,
        "peak": peak,
        "median": median(samples[len(samples) // 2 :]),
        "peak_ratio": round(peak / alive, 3),
    }


def measure_gate(server: StoreServer, rate: int, seconds: int, foreign: int) -> dict[str, float]:
    """Entries resident while a gate on this store takes the load, beside so many keys of somebody else."""
    with server.nodes()[0] as node, gate_process(store_url=server.url) as gate, gate.client() as client:
        seen = set[int]()

        def send(signatures: list[str]) -> None:
            answer = client.post("/transactions", json=[{"signature": name} for name in signatures])
            if answer.json().get("accepted") != len(signatures):
                raise SystemExit(f"not all accepted: {answer.text[:200]}")

        def count() -> int:
            """Count the entries of all signature buckets seen so far."""
            listed = read_ledger(node).buckets[MapName.SIGNATURES]
            seen.update(int.from_bytes(bucket[:7]) for bucket in listed)
            names = (store_key("tidegate:{0}", "signatures", str(bucket)) for bucket in sorted(seen)[-40:])
            return sum(count_fields(node, name) for name in names)

        for number in range(foreign // 1000):
            node.eval(PLANT, 0, f"foreign:{number}")
        return measure(send, count, rate, seconds)


def measure_plain(server: StoreServer, rate: int, seconds: int) -> dict[str, float]:
    """Keys resident under the same load with one key a signature and the store's own expiry."""
    with server.nodes()[0] as node:
        before = node.dbsize()

        def send(signatures: list[str]) -> None:
            pipeline = node.pipeline(transaction=False)
            for name in signatures:
                pipeline.set(f"dedup:{name}", 1, px=WINDOW_SECONDS * 1000, nx=True)
            pipeline.execute()

        return measure(send, lambda: node.dbsize() - before, rate, seconds)


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
    for name, start in STORES.items():
        with start() as server:
            tidegate = measure_gate(server, options.rate, options.seconds, options.foreign)
            plain = measure_plain(server, options.rate, options.seconds)
        results[name] = {"tidegate": tidegate, "key_ttl": plain}
        print(name, json.dumps(results[name]), flush=True)
    load = {name: getattr(options, name) for name in ("rate", "seconds", "foreign")}
    write_json(options.out, {"options": load, "results": results})


if __name__ == "__main__":
    main()
