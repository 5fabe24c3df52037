"""How many bytes of the store does a transaction take, and how many a signature inside its window?

Three feeds deliver the same real enhanced transactions through the gate's own ingest. What counts is all that
the store uses more than before (`INFO`: blocks, index, observations, signatures, ledgers, rounding), while
every signature is still inside its window; and, key by key (`MEMORY USAGE`), what each map takes of it.
"""

import time
from collections import Counter
from collections.abc import Sequence
from secrets import token_hex

import redis

from benchmarks.bench.result import Result
from benchmarks.common.constant_rate import Rate, post_at_rate
from benchmarks.common.gates import Service, tidegate
from benchmarks.common.plan import FEEDS
from benchmarks.common.store import records_of, store_client, used_bytes
from tests.support.deliver import block_of
from tests.support.http_calls import with_payload
from tests.support.payloads import Item, Payloads, body_of, payload_of
from tests.support.real_payloads import transactions_of
from tests.support.servers import valkey_server

Figures = dict[str, float]

TRANSACTIONS, BATCH_ITEMS = 10_000, 50
SIGNATURES, SIGNATURES_A_BATCH = 25_000, 500
TRANSACTION_BOUND, SIGNATURE_BOUND = 0.20, 90.0
# Long enough that nothing leaves while it is measured.
SETTINGS = {"dedup_window_seconds": 60, "signature_cleanup_interval_seconds": 60}
SETTLE_SECONDS = 3.0  # for the buffers of the connections that brought it
SIGNATURE = "store bytes a live signature"
MAPS = ("signatures", "transactions", "blocks", "observations")


def run(pairs: int) -> list[Result]:
    """Each figure so many times, on a fresh gate with other payloads."""
    seeds, originals = range(1, pairs + 1), _originals()
    transactions = [_transactions(Payloads(seed).items(TRANSACTIONS)) for seed in seeds]
    signatures = [_signatures() for _ in seeds]
    once, first, plain = _transactions(originals), transactions[0], _one_key_each()
    # How well originals and copies compress in a block of 25: of their JSON, what is left.
    block_share = {"originals": _block_share(originals), "copies": _block_share(Payloads(1).items(25))}
    remark = (
        f"{first['used_bytes_each']:,.0f} bytes used of {first['raw_bytes_each']:,.0f} of JSON, three feeds, "
        f"batches of {BATCH_ITEMS}; the keys of the 25 originals, each once: {once['maps_share']:.3f}"
    )
    details = {"runs": transactions, "originals_once": once, "block_share": block_share}
    each, told = [one["signatures_bytes_each"] for one in signatures], f"one key each: {plain:.0f}"
    shares, work = [one["used_share"] for one in transactions], "store bytes a transaction, real enhanced"
    known = {"runs": signatures, "one_key_each_bytes": plain}
    return [
        Result(work, "raw JSON", "at most", TRANSACTION_BOUND, "×", shares, details, remark),
        Result(SIGNATURE, "one key each", "at most", SIGNATURE_BOUND, "bytes", each, known, told),
    ]


def _transactions(items: list[Item]) -> Figures:
    """Deliver the items by three feeds; bytes of each, in all and by map."""
    raw = _payload_bytes(items) / len(items)
    with tidegate(**SETTINGS) as gate, store_client(gate) as store:
        time.sleep(SETTLE_SECONDS)
        before = used_bytes(store)
        _deliver(gate, items, BATCH_ITEMS, FEEDS)
        time.sleep(SETTLE_SECONDS)
        used = (used_bytes(store) - before) / len(items)
        figures = _by_map(store, len(items))
    shares = {"used_share": round(used / raw, 4), "maps_share": round(sum(figures.values()) / raw, 4)}
    return {"raw_bytes_each": raw, "used_bytes_each": used} | shares | figures


def _signatures() -> Figures:
    """Deliver transactions of one byte by one feed; bytes each by map."""
    items = [(name, with_payload(b"0", name)) for name in (token_hex(32) for _ in range(SIGNATURES))]
    with tidegate(**SETTINGS) as gate, store_client(gate) as store:
        _deliver(gate, items, SIGNATURES_A_BATCH, FEEDS[:1])
        return _by_map(store, SIGNATURES)


def _deliver(gate: Service, items: list[Item], batch_items: int, feeds: Sequence[str]) -> None:
    """Post some batches at once, and the next ones a moment later; each by all feeds at the same time."""
    bodies = [body_of(items[at : at + batch_items]) for at in range(0, len(items), batch_items)]
    post_at_rate(gate.url, bodies, Rate(40.0, feeds, connections=4, at_once=4)).checked()


def _by_map(store: redis.Redis, count: int) -> Figures:
    """Bytes of each map's keys, for each of so many; the ledger, one of all maps, is among the others."""
    sizes: Counter[str] = Counter()
    for key in store.scan_iter(count=1000):
        owner = next((name for name in MAPS if f":{name}:".encode() in key), "others")
        sizes[owner] += store.memory_usage(key, samples=0) or 0
    return {f"{name}_bytes_each": round(sizes[name] / count, 2) for name in (*MAPS, "others")}


def _one_key_each() -> float:
    """Bytes a signature of 88 characters takes by hand, as a key of its own with an expiry."""
    with valkey_server(unix=True) as server, server.nodes()[0] as store:
        before = used_bytes(store)
        pipeline = store.pipeline(transaction=False)
        for signature, _ in Payloads(1).items(SIGNATURES):
            pipeline.set(f"dedup:{signature}", 1, px=3_600_000, nx=True)
        pipeline.execute()
        time.sleep(SETTLE_SECONDS)
        return (used_bytes(store) - before) / SIGNATURES


def _originals() -> list[Item]:
    """The 25 transactions the payloads are copies of, as they are."""
    named = {one.signature: one.minified() for one in transactions_of("helius_enhanced_25.json")}
    return [(name, with_payload(one.payload, name)) for name, one in named.items()]


def _payload_bytes(items: list[Item]) -> int:
    return sum(len(payload_of(item)) for item in items)


def _block_share(items: list[Item]) -> float:
    return round(len(block_of(records_of(items))) / _payload_bytes(items), 4)
