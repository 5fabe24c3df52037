"""How many signatures are resident in the store at a constant rate, beside many foreign keys?

Posts new transactions at a constant rate through a real gate, while a second connection counts ten times a
second the entries of every signature bucket there ever was. With per-key TTL in place of buckets the same
load is shown in the second column: `SET key 1 PX window NX`, counted by DBSIZE. `make bench` has a row of
it: 5,000 a second for three minutes, once.

    python -m benchmarks.residency --rate 2000 --seconds 60 --foreign 500000
"""

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median

import redis

from app.models import MapName
from benchmarks.bench.result import Result
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


def paced(rate: int, seconds: int, send: Callable[[list[str]], None]) -> float:
    """Send signatures at a constant rate; returns the rate reached."""
    size, started = rate // BATCHES_A_SECOND, time.monotonic()
    for number in range(seconds * BATCHES_A_SECOND):
        send([f"{started}-{number}-{item}" for item in range(size)])
        time.sleep(max(0.0, started + (number + 1) / BATCHES_A_SECOND - time.monotonic()))
    return size * seconds * BATCHES_A_SECOND / (time.monotonic() - started)


@contextmanager
def counting(node: redis.Redis) -> Iterator[list[int]]:
    """Count the entries of all signature buckets seen so far, ten times a second while the block runs."""
    samples, stop_asked = list[int](), threading.Event()

    def count_bucket(bucket: int) -> int:
        return count_fields(node, store_key("tidegate:{0}", "signatures", str(bucket)))

    def count() -> None:
        ids: list[int] = []
        while not stop_asked.wait(SAMPLE_SECONDS):
            listed = read_ledger(node).buckets[MapName.SIGNATURES]
            ids = sorted({*ids, *(int.from_bytes(bucket[:7]) for bucket in listed)})[-40:]
            samples.append(sum(map(count_bucket, ids)))

    thread = threading.Thread(target=count, daemon=True)
    thread.start()
    yield samples
    stop_asked.set()
    thread.join()


def measure_gate(server: StoreServer, rate: int, seconds: int, foreign: int) -> dict[str, float]:
    """Entries resident while a gate on this store takes the load, beside so many keys of somebody else."""
    with server.nodes()[0] as node, gate_process(store_url=server.url) as gate, gate.client() as client:

        def send(signatures: list[str]) -> None:
            answer = client.post("/transactions", json=[{"signature": name} for name in signatures])
            if answer.json().get("accepted") != len(signatures):
                raise SystemExit(f"not all accepted: {answer.text[:200]}")

        for number in range(foreign // 1000):
            node.eval(PLANT, 0, f"foreign:{number}")
        with counting(node) as samples:
            reached = paced(rate, seconds, send)
    return figures(samples, rate, reached)


def measure_plain(server: StoreServer, rate: int, seconds: int) -> dict[str, float]:
    """Keys resident under the same load with one key a signature and the store's own expiry."""
    with server.nodes()[0] as node:
        before, samples = node.dbsize(), []

        def send(signatures: list[str]) -> None:
            pipeline = node.pipeline(transaction=False)
            for name in signatures:
                pipeline.set(f"dedup:{name}", 1, px=WINDOW_SECONDS * 1000, nx=True)
            pipeline.execute()
            samples.append(node.dbsize() - before)

        reached = paced(rate, seconds, send)
    return figures(samples, rate, reached)


def figures(samples: list[int], rate: int, reached: float) -> dict[str, float]:
    """Peak and median of the second half, and the peak against rate times window."""
    alive, peak = rate * WINDOW_SECONDS, max(samples)
    found = {"rate_reached": round(reached, 1), "alive": alive, "peak": peak}
    return found | {"median": median(samples[len(samples) // 2 :]), "peak_ratio": round(peak / alive, 3)}


def row(rate: int = 5000, seconds: int = 180, foreign: int = 500_000) -> list[Result]:
    """The row of `make bench`."""
    with valkey_server(unix=True) as server:
        found = measure_gate(server, rate, seconds, foreign)
    work = f"resident signatures, {rate:,}/s for {seconds / 60:g} minutes beside {foreign:,} foreign keys"
    remark = (
        f"peak {found['peak']:,.0f}, median {found['median']:,.0f} of {found['alive']:,.0f} alive; "
        f"{found['rate_reached']:,.0f} a second reached"
    )
    measured, details = [found["peak_ratio"]], {"figures": found}
    return [Result(work, "rate × window", "at most", BOUND, "×", measured, {**details}, remark)]


def main() -> None:
    """Run both on each store, print a table and write the figures."""
    parser = options_of(__doc__, rate=2000, seconds=60, foreign=500_000)
    parser.add_argument("--out", type=Path, default=RESULTS / "residency.json")
    options = parser.parse_args()
    load = {name: getattr(options, name) for name in ("rate", "seconds", "foreign")}
    results = {}
    for name, start in STORES.items():
        with start() as server:
            tidegate = measure_gate(server, **load)
            plain = measure_plain(server, options.rate, options.seconds)
        results[name] = {"tidegate": tidegate, "key_ttl": plain}
        print(name, json.dumps(results[name]), flush=True)
    write_json(options.out, {"options": load, "results": results})


if __name__ == "__main__":
    main()
