"""Law 9: all that is accepted is handed to each consumer while it is kept, or it is told that it left."""

import pytest
from hypothesis import HealthCheck, settings
from hypothesis.stateful import run_state_machine_as_test

from tests.support.consumer_machine import MOST_LEASES, ConsumersAgainstModel
from tests.support.servers import StoreServer
from tests.support.store_clock import let_clocks_be_set, let_leases_be_few


def test_what_was_accepted_is_handed_to_each_consumer_or_told_to_be_missed(
    store: StoreServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    let_clocks_be_set(monkeypatch)
    let_leases_be_few(monkeypatch, MOST_LEASES)
    run_state_machine_as_test(
        lambda: ConsumersAgainstModel(store),  # type: ignore[arg-type]  # any factory will do
        settings=settings(
            max_examples=8,
            stateful_step_count=30,
            suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
        ),
    )


def test_one_who_begins_now_after_the_clock_was_set_back_may_be_told_a_gap_of_unknown_size(
    store: StoreServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same moment came twice: some that were accepted from it on have left, before it came again."""
    let_clocks_be_set(monkeypatch)
    let_leases_be_few(monkeypatch, MOST_LEASES)
    machine = ConsumersAgainstModel(store)
    try:
        machine.accept(0, 100, 0)
        machine.move_clock(-1, 0)
        for _ in range(4):
            machine.accept(0, 200, 0)
        machine.lease("bot", 100, 1 << 20, 10_000, "now", 0)
        machine.drain("bot", 0)
        machine.figures_are_those_of_the_model()
    finally:
        machine.teardown()
