"""The whole loop, started once for the tests of this folder."""

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import pytest

from app.settings.field_kinds import MIB
from tests.support.chat import Humans, listening_humans
from tests.support.gate import GateProcess, gate_process
from tests.support.monitoring import Alertmanager, Prometheus
from tests.support.quick_monitoring import quick_monitoring
from tests.support.servers import StoreServer, valkey_server

ADMIN_TOKEN = "admin-Lr91ve"
TRANSACTIONS_LIMIT = 9_000
GATE: dict[str, object] = {
    "admin_tokens": f"operator-8Jw,{ADMIN_TOKEN}",
    "transactions_limit": TRANSACTIONS_LIMIT,
    "leak_growth_bytes": 4 * MIB,
    "memory_sample_seconds": 0.2,
    "alert_cooldown_seconds": 2,
    # Buckets of three seconds: those that have closed are what a cleanup takes, late on a busy machine.
    "transaction_retention_seconds": 180,
    "dedup_window_seconds": 0.2,
    "emergency_transaction_retention_seconds": 0.5,
    "emergency_observation_retention_seconds": 0.5,
}


@dataclass
class Loop:
    """Store, gate, Prometheus, Alertmanager and the people behind chat and pager, each knowing the next."""

    store: StoreServer
    gate: GateProcess
    prometheus: Prometheus
    alertmanager: Alertmanager
    humans: Humans
    pager: Humans

    def figure(self, name: str, **labels: str) -> float:
        """A value as Prometheus sees it now, 0 without such a series."""
        matchers = ",".join(f'{label}="{value}"' for label, value in labels.items())
        return self.prometheus.value(f"sum(tidegate_{name}{{{matchers}}})") or 0.0

    def call(self, method: str, path: str, body: object = None) -> Any:
        """What the gate answers an operator."""
        with self.gate.client(headers={"Authorization": f"Bearer {ADMIN_TOKEN}"}) as client:
            answer = client.request(method, path, json=body)
        assert answer.is_success, answer.text
        return answer.json()

    def received(self, name: str) -> list[tuple[str, str]]:
        """Status and action of what the gate kept of an alert, oldest first."""
        kept: list[dict[str, Any]] = self.call("GET", "/alerts")["alerts"]
        return [(one["status"], one["action"]) for one in reversed(kept) if one["alertname"] == name]


@pytest.fixture(scope="package")
def loop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Loop]:
    """The loop with the shipped configuration, its time running 120 times as fast."""
    with ExitStack() as stack:
        store = stack.enter_context(valkey_server(unix=True))
        gate = stack.enter_context(gate_process(store_url=store.url, **GATE))
        humans, pager = (stack.enter_context(listening_humans()) for _ in range(2))
        people = {"humans": humans.url, "pager": pager.url}
        watched = quick_monitoring(tmp_path_factory.mktemp("loop"), [gate.url], people, ADMIN_TOKEN)
        yield Loop(store, gate, *stack.enter_context(watched), humans, pager)
