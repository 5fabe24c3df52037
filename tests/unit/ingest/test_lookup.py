"""A lookup finds the transaction of its signature, and never another's."""

import pytest

from app.errors import StoreError
from app.ingest.lookup import Lookup
from app.settings.model import Settings
from app.store.partitions import partition_prefixes
from tests.support.deliver import connected_gate, transaction
from tests.support.ledger import store_key
from tests.support.servers import valkey_server

[PREFIX] = partition_prefixes("tidegate", 1)
pytestmark = pytest.mark.server


async def test_what_a_failed_claim_left_does_not_lead_to_the_transactions_that_take_its_place() -> None:
    """The next claim gives its block the same number, so the entries that stay lead into that block."""
    with valkey_server() as server, server.nodes()[0] as node:
        node.acl_setuser("gate", enabled=True, passwords=["+pw"], commands=["+@all"], keys=["*"])
        url = server.url.replace("redis://", "redis://gate:pw@")
        gate = await connected_gate(
            Settings(store_url=url, store_deadline_seconds=10, dedup_window_seconds=60)
        )
        lookup = Lookup(gate.maps)
        await gate.flusher.flush([transaction("before")])
        writable = [f"%RW~{store_key(PREFIX, kind)}" for kind in ("blocks:*", "transactions:*", "ledger")]
        node.acl_setuser("gate", reset_keys=True, keys=["%R~*", *writable, f"~{PREFIX}"])
        with pytest.raises(StoreError):
            await gate.flusher.flush([transaction("left"), transaction("left behind it")])
        node.acl_setuser("gate", keys=["*"])
        await gate.session.probe(gate.maps.sizes)
        await gate.flusher.flush([transaction("after")])
        assert [node.hlen(key) for key in node.scan_iter(match=store_key(PREFIX, "transactions:*"))] == [5]
        assert [node.hlen(key) for key in node.scan_iter(match=store_key(PREFIX, "blocks:*"))] == [3]
        assert await lookup.find("left") is None, "in its place is `after`"
        assert await lookup.find("left behind it") is None, "the block has one place only"
        for signature in ("before", "after"):
            found = await lookup.find(signature)
            assert found is not None
            assert found.signature == signature
        await gate.session.close()
