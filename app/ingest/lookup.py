"""Finds one transaction again by its signature, for `GET /transactions/{signature}`."""

import msgspec

from app.models import Sighting, StoredTransaction
from app.store.blocks import NOT_RECORDED, decode_frame
from app.store.maps import Maps
from app.store.partitions import signature_hash


class Lookup:
    """Reads a transaction out of its block."""

    def __init__(self, maps: Maps) -> None:
        self._maps = maps

    async def find(self, signature: str) -> StoredTransaction | None:
        """Return the transaction as it was accepted last, with who delivered it; None if it is not kept.

        Raises:
            StoreError: the store cannot say.
        """
        found = await self._maps.lookup(signature_hash(signature))
        if found is None:
            return None
        records = decode_frame(found.frame)
        record = records[found.place] if found.place < len(records) else None
        if record is None or record.signature not in (signature, NOT_RECORDED):
            return None  # a claim failed that had written this entry, and another took the place of its block
        first = Sighting(record.source, 0)
        return StoredTransaction(
            signature=signature,
            source=record.source,
            slot=record.slot,
            first_seen_ms=found.first_seen_ms,
            payload=msgspec.Raw(record.payload),
            observations=[first, *(seen for seen in found.sightings if seen.source != first.source)],
        )
