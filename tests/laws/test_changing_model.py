"""Laws 1, 3, 4 and 6: deliveries, waits and cleanups between changes of the rules, against a plain dict."""

import asyncio
import time

import hypothesis.strategies as st
from hypothesis import HealthCheck, settings
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from app.models import MapName, MapSizes, Reason, Verdict
from app.settings.model import Settings
from app.store.cleanup_severity import CleanupStep, Severity
from tests.support.deliver import connected_gate, transaction
from tests.support.keys import keys_without_expiry
from tests.support.servers import StoreServer
from tests.support.truth import Truth, assert_balanced, assert_nothing_lost, count_entries

WINDOWS = (0.1, 0.2, 0.6)
RETENTIONS = (0.6, 1.0, 2.0)
SIGNATURES = st.integers(0, 9).map(lambda number: f"signature-{number}")
LIMITS = {"signatures_limit": 10_000, "transactions_limit": 10_000, "observations_limit": 10_000}


class ChangingGates(RuleBasedStateMachine):
    """Gates change their rules in turn; the model holds each acceptance with the window in force then."""

    def __init__(self, store: StoreServer) -> None:
        super().__init__()
        store.flush()
        self.store = store
        self.runner = asyncio.Runner()
        start = Settings(store_url=store.url, **_rules(WINDOWS[1], RETENTIONS[1]), **LIMITS)  # type: ignore[arg-type]
        self.gates = [self.runner.run(connected_gate(start)) for _ in range(2)]
        self.in_force = start
        self.version = 0
        self.accepted: dict[str, tuple[int, float]] = {}
        self.clock = store.nodes()[0]

    @rule(window=st.sampled_from(WINDOWS), retention=st.sampled_from(RETENTIONS), gate=st.integers(0, 1))
    def change(self, window: float, retention: float, gate: int) -> None:
        self.version += 1
        self.in_force = self.in_force.model_copy(update=_rules(window, retention))
        self.gates[gate].live.replace(self.in_force, self.version)
        self.runner.run(self.gates[gate].maps.sizes())

    @rule(signatures=st.lists(SIGNATURES, min_size=1, max_size=8), gate=st.integers(0, 1))
    def deliver(self, signatures: list[str], gate: int) -> None:
        items = [transaction(signature) for signature in signatures]
        before_ms = self.server_ms()
        answers = self.runner.run(self.gates[gate].flusher.flush(items))
        for signature, answer in zip(signatures, answers, strict=True):
            assert answer.first_seen_ms is not None
            last_ms, window = self.accepted.get(signature, (0, 0.0))
            if answer.verdict is Verdict.ACCEPTED:
                assert answer.first_seen_ms - last_ms >= window * 1000, "accepted twice in one window"
                self.accepted[signature] = answer.first_seen_ms, self.in_force.dedup_window_seconds
            else:
                assert answer.first_seen_ms == last_ms, "duplicate of something that was not accepted"
                assert before_ms - last_ms < window * 1000, "duplicate after the window"

    @rule(milliseconds=st.sampled_from([1, 40, 99, 201, 620]))
    def wait(self, milliseconds: int) -> None:
        time.sleep(milliseconds / 1000)

    @rule(gate=st.integers(0, 1), name=st.sampled_from(MapName))
    def clean_up(self, gate: int, name: MapName) -> None:
        maps = self.gates[gate].maps
        wanted = CleanupStep(name, Severity.NORMAL, Reason.EXPIRED, 8, dry_run=False, periodic=False)
        for prefix in maps.layout.prefixes:
            self.runner.run(maps.cleanup_step(prefix, wanted))

    @invariant()
    def balanced_young_and_with_an_expiry(self) -> None:
        sizes, truth = self.figures_and_truth()
        assert_balanced(sizes, truth)
        assert_nothing_lost(self.runner.run(self.gates[0].maps.partitions()))
        assert keys_without_expiry(self.store) == []
        for name in (MapName.TRANSACTIONS, MapName.OBSERVATIONS):
            retention = self.in_force.transaction_retention_seconds
            assert (sizes[name].oldest_age_seconds or 0) <= retention + max(RETENTIONS) / 24, name
        assert (sizes[MapName.SIGNATURES].oldest_age_seconds or 0) <= max(WINDOWS) * 1.2

    def figures_and_truth(self) -> tuple[dict[MapName, MapSizes], Truth]:
        """Both of one state: nothing came due while the truth was counted."""
        maps = self.gates[0].maps
        while True:
            sizes, truth = self.runner.run(maps.sizes()), count_entries(self.store)
            again = self.runner.run(maps.sizes())
            if all(again[name].removed == sizes[name].removed for name in sizes):
                return sizes, truth

    def server_ms(self) -> int:
        seconds, microseconds = self.clock.time()
        return int(seconds) * 1000 + int(microseconds) // 1000

    def teardown(self) -> None:
        for gate in self.gates:
            self.runner.run(gate.session.close())
        self.runner.close()
        self.clock.close()


def _rules(window: float, retention: float) -> dict[str, float]:
    return {
        "dedup_window_seconds": window,
        "transaction_retention_seconds": retention,
        "observation_retention_seconds": retention,
        "emergency_transaction_retention_seconds": 0.6,
        "emergency_observation_retention_seconds": 0.6,
    }


def test_any_sequence_of_changes_keeps_once_balance_age_and_expiry(store: StoreServer) -> None:
    run_state_machine_as_test(
        lambda: ChangingGates(store),  # type: ignore[arg-type]  # any factory will do
        settings=settings(
            max_examples=4,
            stateful_step_count=25,
            suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
        ),
    )
