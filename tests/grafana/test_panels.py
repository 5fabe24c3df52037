"""Panel proof: with a real gate and a real Prometheus, every query of every dashboard returns data."""

import contextlib
import math
import time
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.support.dashboards import Query, queries
from tests.support.gate import gate_process
from tests.support.monitoring import Prometheus
from tests.support.panel_proof import answers, load, monitored
from tests.support.processes import wait_until
from tests.support.trouble import Trouble

pytestmark = pytest.mark.slow

PATIENCE_SECONDS = 180.0
LEAK_ENDED = (
    'tidegate_guard_actions_total{process="store", action="emergency_cleanup"} > 0 and on ()'
    ' max_over_time(tidegate_memory_growth_bytes{process="store"}[1h]) >= 2^18'
)
# The interval of rates, and the step at which a query looks back: longer than scrapes of a busy machine fail
# on end. A look back has points at whole steps only, as 12:01:00, of which the first may be a step away.
SPAN_SECONDS = 60
STORE_DOWN = 'ALERTS{alertname="TidegateStoreDown", alertstate="firing"}'
# Queries that have no data while all is well, and why. The second run fills them.
ONLY_IN_TROUBLE = {
    "annotation: Restarts: Restart": "a gate has to start again",
    "annotation: Cleanups: Cleanup": "periodic cleanups are not marked",
    "annotation: Detections: Leak": "something has to leak",
    "annotation: Drills: Drill": "somebody has to begin one",
    "overview: Failing share: requests": "a status is counted from the first answer with it on",
    "overview: Errors a second: {{kind}}": "only the kinds that occur are drawn",
    "overview: Alerts: {{alertname}}": "a warning has to fire for one query, a critical alert for the other",
    "overview: Warnings: {{warning}}": "only those are drawn that stand",
    "feeds: Not taken a second: {{source}}: {{outcome}}": "only what occurs is drawn",
    "feeds: Rejected a second, by reason: {{feed}}: {{reason}}": "only what occurs is drawn",
    "feeds: Share of bodies rejected: {{feed}}": "only feeds that send to their own address",
    "feeds: Skipped a second: {{feed}}: {{kind}}": "only what occurs is drawn",
    "feeds: Documents a second, by shape: {{feed}}: {{shape}}": "only what occurs is drawn",
}


# Queries about workers, which a gate of one process does not have.
ONLY_WITH_WORKERS = {
    "overview: Workers missing: {{instance}}",
    "overview: Workers started again, 15 m: {{instance}}",
}


def without_data(server: Prometheus, since: float, among: list[Query]) -> list[Query]:
    """The queries of which no series has a value at any time."""
    return [query for query in among if not answers(server, query, since, rate_seconds=SPAN_SECONDS)]


@pytest.mark.parametrize("workers", [1, 2])
def test_every_query_returns_data_from_a_gate_under_load(workers: int, tmp_path: Path) -> None:
    missed = set(ONLY_IN_TROUBLE) | (ONLY_WITH_WORKERS if workers == 1 else set())
    wanted = [query for query in queries() if str(query) not in missed]
    quick = {"memory_sample_seconds": 0.2, "dedup_window_seconds": 1, "leak_warmup_seconds": 1}
    since = time.time()
    with (
        gate_process(workers=workers, memory_limit_bytes=2**29, **quick) as gate,
        load(gate),
        monitored(tmp_path, gate, rules=False) as server,
    ):
        missing = list(wanted)

        def is_complete() -> bool:
            missing[:] = without_data(server, since, missing)
            return not missing

        assert wait_until(is_complete, PATIENCE_SECONDS, 1.0), list(map(str, missing))


def test_what_only_fills_in_trouble_or_with_workers_is_on_a_dashboard() -> None:
    assert set(ONLY_IN_TROUBLE) | ONLY_WITH_WORKERS <= set(map(str, queries()))


@dataclass(frozen=True)
class Sign:
    """What a panel has to show of the trouble: a value of at least, or of at most, so much."""

    board: str
    panel: str
    labels: dict[str, str] = field(default_factory=dict)
    at_least: float = -math.inf
    at_most: float = math.inf

    def is_seen(self, server: Prometheus, since: float) -> bool:
        """Whether any point of any query of the panel is such a value."""
        return any(
            self.labels.items() <= labels.items() and self.at_least <= value <= self.at_most
            for query in queries()
            if (query.board, query.panel) == (self.board, self.panel)
            for labels, _, value in answers(server, query, since, rate_seconds=SPAN_SECONDS)
        )


SOME = 1e-9
SIGNS = (
    Sign("overview", "Store", at_most=0),
    Sign("overview", "Gates", at_most=0),
    Sign("overview", "Leak", at_least=1),
    Sign("overview", "Alerts firing", at_least=1),
    Sign("overview", "Failing", at_least=0.0144),
    *(
        Sign("overview", "Transactions a second, by outcome", {"outcome": outcome}, SOME)
        for outcome in ("accepted", "duplicate", "invalid", "refused", "failed")
    ),
    Sign("overview", "Failing share", at_least=0.0144),
    Sign("overview", "Answers a second", {"class": "5xx"}, SOME),
    Sign("overview", "Requests refused a second", {"reason": "memory-pressure"}, SOME),
    Sign("overview", "Memory of limit", at_least=0.8),
    Sign("overview", "Pressure level", at_least=2),
    Sign("overview", "Guard, by process", {"process": "store"}, 2),
    Sign("overview", "Filled, of the limit", {"map": "transactions"}, 0.9),
    Sign("overview", "Removed a second, by reason", {"reason": "capacity"}, SOME),
    Sign("overview", "Removed a second, by reason", {"reason": "emergency"}, SOME),
    Sign("overview", "Cleanups a minute, by trigger", {"trigger": "manual"}, SOME),
    Sign("overview", "Cleanups a minute, by trigger", {"trigger": "emergency"}, SOME),
    Sign("overview", "Errors a second", {"kind": "timeout"}, SOME),
    Sign("overview", "Background tasks", {"task": "store"}, at_most=0),
    Sign("overview", "Alerts", {"alertname": "TidegateStoreDown"}, 2),
    Sign("overview", "Warnings", {"warning": "drill"}, 1),
    Sign("overview", "Missed in 10 minutes", {"consumer": "slow"}, SOME),
    Sign("overview", "Settings changed a minute", {"source": "api"}, SOME),
    Sign("overview", "Starts, 30 m", at_least=1),
    Sign("leak", "Suspected", at_least=1),
    Sign("leak", "Detections", at_least=SOME),
    # A busy machine decides which of the short windows finds it first.
    Sign("leak", "Detections, by tier", at_least=SOME),
    Sign("leak", "Actions, by kind", {"process": "store", "action": "emergency_cleanup"}, SOME),
    Sign("leak", "Growth of the floors", {"process": "store"}, 2**18),
    Sign("feeds", "Not taken a second", {"source": "broken", "outcome": "invalid"}, SOME),
    Sign("feeds", "Rejected a second, by reason", {"feed": "broken", "reason": "malformed-body"}, SOME),
    Sign("feeds", "Skipped a second", {"feed": "skipping", "kind": "failed"}, SOME),
    Sign("feeds", "Documents a second, by shape", {"feed": "skipping", "shape": "solana-transaction"}, SOME),
    Sign("feeds", "Over their share a second", {"feed": "greedy"}, SOME),
    Sign("feeds", "Without a token or signature a second", {"feed": "signing"}, SOME),
)


def test_trouble_of_every_kind_is_seen_and_fills_the_rest(tmp_path: Path) -> None:
    since = time.time()
    with contextlib.closing(Trouble(tmp_path / "gate")) as trouble, load(trouble.gate):  # noqa: SIM117  too long
        with monitored(tmp_path, trouble.gate, rules=True) as server:
            get_into_trouble(trouble, server)
            rest = [query for query in queries() if str(query) in ONLY_IN_TROUBLE]
            unseen = list(SIGNS)

            def is_complete() -> bool:
                rest[:] = without_data(server, since, rest)
                unseen[:] = [sign for sign in unseen if not sign.is_seen(server, since)]
                return not rest and not unseen

            assert wait_until(is_complete, PATIENCE_SECONDS, 1.0), (list(map(str, rest)), unseen)


def await_scrape(server: Prometheus) -> None:
    """Wait until Prometheus has taken from the gate what is true now; a busy machine has scrapes fail."""
    began = time.time()
    assert wait_until(lambda: (server.value("timestamp(tidegate_store_up)") or 0) > began, PATIENCE_SECONDS)


def get_into_trouble(trouble: Trouble, server: Prometheus) -> None:
    """Everything that can go wrong, each seen by Prometheus before the next."""
    assert wait_until(lambda: server.value("tidegate_store_up") == 1, PATIENCE_SECONDS)
    trouble.practise(lambda: bool(server.query("tidegate_drill_active == 1")))
    # Where a count first shows is a series that begins; that it grows is seen from the second time on.
    for _ in range(2):
        trouble.send_nonsense()
        trouble.send_what_feeds_must_not()
        await_scrape(server)
    trouble.clean_up()
    await_scrape(server)
    trouble.leak(lambda: bool(server.query(LEAK_ENDED)))
    trouble.fill_signatures()
    await_scrape(server)
    trouble.fill_memory(lambda: server.value("tidegate_memory_pressure_level") == 2)
    await_scrape(server)
    trouble.freeze_store(lambda: bool(server.query(STORE_DOWN)))
    trouble.restart(lambda: server.value('up{job="tidegate"}') == 0)
