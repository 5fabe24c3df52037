"""Panel proof: with a real gate and a real Prometheus, every query of every dashboard returns data."""

import time
from pathlib import Path

import pytest

from tests.grafana.boards import Query, queries
from tests.grafana.proof import answers, config, load
from tests.support.gate import gate_process
from tests.support.monitoring import Prometheus, prometheus
from tests.support.processes import wait_until

pytestmark = pytest.mark.slow

PATIENCE_SECONDS = 60.0
# Queries that have no data while all is well, and why. The second run fills them.
ONLY_IN_TROUBLE = {
    "annotation: Restarts: Restart": "a gate has to start again",
    "annotation: Cleanups: Cleanup": "periodic cleanups are not marked",
    "annotation: Detections: Leak": "something has to leak",
    "overview: Failing share: requests": "a status is counted from the first answer with it on",
    "overview: Errors a second: {{kind}}": "only the kinds that occur are drawn",
    "overview: Alerts: {{alertname}}": "an alert has to fire, a warning in one query, a critical one in the other",
    "feeds: Not taken a second: {{source}}: {{outcome}}": "only what occurs is drawn",
}


def without_data(server: Prometheus, since: float, among: list[Query]) -> list[Query]:
    """The queries of which no series has a value at any time."""
    return [query for query in among if not answers(server, query, since)]


def test_every_query_returns_data_from_a_gate_under_load(tmp_path: Path) -> None:
    wanted = [query for query in queries() if str(query) not in ONLY_IN_TROUBLE]
    quick = {"memory_sample_seconds": 0.2, "dedup_window_seconds": 1, "memory_limit_bytes": 2**30}
    since = time.time()
    with gate_process(**quick) as gate, load(gate):
        with prometheus(config(tmp_path / "prometheus", gate.url, rules=False)) as server:
            missing = list(wanted)

            def is_complete() -> bool:
                missing[:] = without_data(server, since, missing)
                return not missing

            assert wait_until(is_complete, PATIENCE_SECONDS, 1.0), list(map(str, missing))


def test_what_only_fills_in_trouble_is_on_a_dashboard() -> None:
    assert set(ONLY_IN_TROUBLE) <= set(map(str, queries()))
