"""Laws 1, 3, 4 and 6: any sequence of deliveries, waits and cleanups against a plain dict."""

import asyncio
import time
from typing import Any

import hypothesis.strategies as st
from hypothesis import HealthCheck, settings
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from app.cleanup.run import Cleanup
from app.ingest.lookup import Lookup
from app.ingest.recent_signatures import SLOT_BYTES, Fingerprints
from app.metrics.catalogue import Metrics
from app.models import MapName, MapSizes, Mode, Trigger, Verdict
from app.settings.model import Settings
from app.store.map_rules import map_rules
from tests.support.deliver import connected_gate, transaction
from tests.support.keys import keys_without_expiry
from tests.support.servers import StoreServer
from tests.support.truth import Truth, assert_balanced, assert_nothing_lost, count_entries

WINDOW_MS = 120
RETENTION_MS = 1000
EMERGENCY_MS = 300
SIGNATURES = st.integers(0, 9).map(lambda number: f"signature-{number}")
SOURCES = st.sampled_from(["helius-a", "helius-b", "quicknode"])


class GatesAgainstDict(RuleBasedStateMachine):
    """Two gates share a store; the model is one dict of the last acceptance by signature."""

    def __init__(self, store: StoreServer) -> None:
        super().__init__()
        store.flush()
        self.store = store
        self.clock = store.nodes()[0]
        self.runner = asyncio.Runner()
        self.settings = Settings(
            store_url=store.url,
            dedup_window_seconds=WINDOW_MS / 1000,
            transaction_retention_seconds=RETENTION_MS / 1000,
            observation_retention_seconds=RETENTION_MS / 1000,
            emergency_transaction_retention_seconds=EMERGENCY_MS / 1000,
            emergency_observation_retention_seconds=EMERGENCY_MS / 1000,
        )
        # As workers do; with so few slots that what they know of one another changes all the time.
        shared = Fingerprints(bytearray(4 * SLOT_BYTES))
        self.gates = [self.runner.run(connected_gate(self.settings, shared)) for _ in range(2)]
        self.accepted_ms: dict[str, int] = {}
        self.payloads: dict[str, int] = {}
        self.deliveries = 0
        self.cut = False

    def server_ms(self) -> int:
        seconds, microseconds = self.clock.time()
        return int(seconds) * 1000 + int(microseconds) // 1000

    @rule(signatures=st.lists(SIGNATURES, min_size=1, max_size=8), source=SOURCES, gate=st.integers(0, 1))
    def deliver(self, signatures: list[str], source: str, gate: int) -> None:
        self.deliveries += 1
        before_ms = self.server_ms()
        items = [transaction(signature, source, self.deliveries) for signature in signatures]
        answers = self.runner.run(self.gates[gate].flusher.flush(items))
        for signature, answer in zip(signatures, answers, strict=True):
            assert answer.first_seen_ms is not None
            last_ms = self.accepted_ms.get(signature)
            if answer.verdict is Verdict.ACCEPTED:
                assert last_ms is None or answer.first_seen_ms - last_ms >= WINDOW_MS, (
                    "accepted twice in one window"
                )
                self.accepted_ms[signature] = answer.first_seen_ms
                self.payloads[signature] = self.deliveries
            else:
                assert answer.first_seen_ms == last_ms, "duplicate of something that was not accepted"
                assert before_ms - last_ms < WINDOW_MS, "duplicate after the window"

    @rule(milliseconds=st.sampled_from([1, 40, 119, 121, 350, 1100]))
    def wait(self, milliseconds: int) -> None:
        time.sleep(milliseconds / 1000)

    @rule(mode=st.sampled_from(Mode), trigger=st.sampled_from(Trigger), dry_run=st.booleans())
    def clean_up(self, mode: Mode, trigger: Trigger, dry_run: bool) -> None:
        maps = self.gates[0].maps
        cleanup = Cleanup(maps, Metrics(64, "test"), lambda: 0, None)
        report = self.runner.run(cleanup.run(trigger, mode, dry_run=dry_run))
        assert all(change.before - change.removed == change.after for change in report.maps.values())
        self.cut = self.cut or (mode is Mode.EMERGENCY and not dry_run)

    @rule()
    def flush_scripts(self) -> None:
        for node in self.store.nodes():
            node.script_flush()

    @rule(signature=SIGNATURES)
    def look_up(self, signature: str) -> None:
        found: Any = self.runner.run(Lookup(self.gates[1].maps).find(signature))
        now_ms = self.server_ms()
        accepted_ms = self.accepted_ms.get(signature)
        if accepted_ms is None:
            assert found is None
        elif now_ms - accepted_ms < (EMERGENCY_MS if self.cut else RETENTION_MS):
            assert found.first_seen_ms == accepted_ms
            assert bytes(found.payload) == str(self.payloads[signature]).encode()
            assert found.observations[0].delay_ms == 0

    @invariant()
    def balanced_and_young(self) -> None:
        sizes, truth = self.figures_and_truth()
        assert_balanced(sizes, truth)
        for name, rule_ in map_rules(self.settings).items():
            bucket_seconds = rule_.retention_seconds / rule_.buckets_a_retention
            age = sizes[name].oldest_age_seconds or 0
            assert age <= rule_.retention_seconds + bucket_seconds, name
        assert_nothing_lost(self.runner.run(self.gates[0].maps.partitions()))
        assert sizes[MapName.TRANSACTIONS].bytes >= 0
        assert keys_without_expiry(self.store) == []

    def figures_and_truth(self) -> tuple[dict[MapName, MapSizes], Truth]:
        """Both of one state: nothing came due while the truth was counted."""
        maps = self.gates[0].maps
        while True:
            sizes, truth = self.runner.run(maps.sizes()), count_entries(self.store)
            again = self.runner.run(maps.sizes())
            if [figures.removed for figures in again.values()] == [
                figures.removed for figures in sizes.values()
            ]:
                return sizes, truth

    def teardown(self) -> None:
        for gate in self.gates:
            self.runner.run(gate.session.close())
        self.runner.close()
        self.clock.close()


def test_any_sequence_keeps_once_balance_age_and_expiry(store: StoreServer) -> None:
    run_state_machine_as_test(
        lambda: GatesAgainstDict(store),  # type: ignore[arg-type]  # any factory will do
        settings=settings(
            max_examples=8,
            stateful_step_count=25,
            suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
        ),
    )
