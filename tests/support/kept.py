"""What a store keeps of what was accepted, read with plain commands beside the gate."""

from typing import NamedTuple

from app.store.blocks import parse_block
from tests.support.ledger import read_ledger, store_key
from tests.support.servers import StoreClient


class Kept(NamedTuple):
    """An accepted transaction that is kept."""

    signature: str
    accepted_ms: int


def read_kept(client: StoreClient, prefix: str) -> dict[int, Kept]:
    """Read what a partition keeps, by ordinal: the blocks in the buckets that its ledger lists."""
    buckets = read_ledger(client, prefix).blocks
    with client.pipeline(transaction=False) as pipeline:
        for bucket_id, _ in buckets:
            pipeline.hgetall(store_key(prefix, "blocks", str(bucket_id)))
        answers: list[dict[bytes, bytes]] = pipeline.execute()
    found: dict[int, Kept] = {}
    for (_, latest), fields in zip(buckets, answers, strict=True):
        for number, value in fields.items():
            if number and (latest - int(number)) % 2**32 < 2**31:
                block = parse_block(value)
                for at, record in enumerate(block.records() if block.count else ()):
                    found[block.ordinal + at] = Kept(record.signature, block.accepted_ms)
    return dict(sorted(found.items()))
