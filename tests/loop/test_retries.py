"""Alertmanager sends again what the gate could not take while its store was down, and nothing else."""

from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from tests.support.gate import GateProcess, gate_process
from tests.support.monitoring import Alertmanager, alertmanager
from tests.support.processes import wait_until
from tests.support.quick_monitoring import quick_alertmanager
from tests.support.servers import valkey_server

pytestmark = pytest.mark.slow

TOKEN = "admin-Lr91ve"
NOBODY = {"humans": "http://127.0.0.1:9/"}
PATIENCE_SECONDS = 40.0
PAUSE_SECONDS = 0.05


def comes_true(done: Callable[[], bool]) -> bool:
    return wait_until(done, PATIENCE_SECONDS, PAUSE_SECONDS)


def fire(alerts: Alertmanager) -> None:
    labels = {"alertname": "TryCleanup", "severity": "info", "action": "cleanup"}
    answer = httpx.post(
        f"{alerts.url}/api/v2/alerts", json=[{"labels": labels}], trust_env=False, verify=False
    )
    assert answer.status_code == 200, answer.text


def figure(url: str, series: str) -> float:
    """A value from a `/metrics`; 0 without such a series."""
    text = httpx.get(f"{url}/metrics", trust_env=False, verify=False, timeout=10).text
    return sum(float(line.split()[-1]) for line in text.splitlines() if line.startswith(series))


def answers(gate: GateProcess, code: int) -> float:
    series = f'tidegate_http_requests_total{{code="{code}",method="POST",route="/alerts"}}'
    return figure(gate.url, series)


def test_while_the_store_is_down_alertmanager_tries_until_the_cleanup_is_begun(tmp_path: Path) -> None:
    with valkey_server() as store, gate_process(store_url=store.url, admin_tokens=TOKEN) as gate:
        with alertmanager(quick_alertmanager(tmp_path / "alerts", gate.url, NOBODY, TOKEN)) as alerts:
            store.kill()
            assert comes_true(lambda: not gate.is_ready())
            fire(alerts)
            assert comes_true(lambda: answers(gate, 503) >= 2)
            store.restart()
            assert comes_true(lambda: answers(gate, 200) >= 1), alerts.log[-2000:]
        runs = 'tidegate_cleanup_runs_total{mode="emergency",result="success",trigger="alert"}'
        assert comes_true(lambda: figure(gate.url, runs) == 1)


def test_a_bad_token_is_not_tried_again(tmp_path: Path) -> None:
    with gate_process(admin_tokens=TOKEN) as gate:
        with alertmanager(quick_alertmanager(tmp_path / "alerts", gate.url, NOBODY, "wrong")) as alerts:
            fire(alerts)
            failed = 'alertmanager_notifications_failed_total{integration="webhook"'
            assert comes_true(lambda: figure(alerts.url, failed) >= 1)
            assert comes_true(lambda: "unrecoverable error" in alerts.log)
        assert answers(gate, 401) >= 1
        assert figure(gate.url, "tidegate_alerts_received_total") == 0
