"""Faults that are planted in a store, as no gate makes them, for a judge that has to find them."""

from tests.support.truth import Store

SIGNATURE_HASH = b"0123456789abcdef"


def delete_buckets(store: Store, kind: str) -> None:
    """Delete all buckets of a map."""
    deleted = 0
    for node in store.masters():
        with node:
            for key in list(node.scan_iter(f"tidegate:*:{kind}:*")):
                deleted += int(node.delete(key))
    assert deleted > 0


def add_signature(store: Store) -> None:
    """Put a signature that nobody sent into a bucket; the ledger does not count it."""
    for node in store.masters():
        with node:
            for key in list(node.scan_iter("tidegate:*:signatures:*"))[:1]:
                node.hset(key, SIGNATURE_HASH, "")
