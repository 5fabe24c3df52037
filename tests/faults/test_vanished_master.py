"""The host of a Cluster's master is gone, and what is sent to it gets lost: nothing waits for it in vain."""

import pytest

from app.models import ACCEPTED, FAILED
from app.settings.model import Settings
from app.store.store_url import parse_address
from tests.support.blackhole import blackhole
from tests.support.deliver import connected_gate, transaction
from tests.support.servers import cluster_server

pytestmark = pytest.mark.server

LENIENT = ("--cluster-require-full-coverage", "no")
GONE = 1
TRANSACTIONS = [transaction(f"signature-{number}") for number in range(60)]


async def test_a_gate_starts_with_the_masters_that_answer() -> None:
    """One probe has to do: what kept it from coming up would keep each of them."""
    with cluster_server(options=LENIENT) as server:
        settings = Settings(store_url=server.url, dedup_window_seconds=60)
        earlier = await connected_gate(settings)
        await earlier.flusher.flush(TRANSACTIONS)
        await earlier.session.close()
        server.processes[GONE].kill()
        server.processes[GONE].wait()
        with blackhole(parse_address(server.launches[GONE].url).port):
            gate = await connected_gate(settings)
            answers = await gate.flusher.flush(TRANSACTIONS)
            codes = list(answers.codes)
            assert 0 < codes.count(FAILED) == len(answers.errors) < len(codes)
            assert ACCEPTED not in codes, "the others have them already"
            assert 0 < len(gate.session.down_partitions) < len(gate.maps.layout.prefixes)
            await gate.session.close()
