"""Drills through the whole loop: a real Prometheus and Alertmanager with the shipped files."""

import re
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from tests.loop.conftest import ADMIN_TOKEN, Loop
from tests.support.gate import environment_of, tidegate_command
from tests.support.processes import wait_until

pytestmark = pytest.mark.slow

PATIENCE_SECONDS = 40.0
PAUSE_SECONDS = 0.1
NEAR_LIMIT = "TidegateMemoryNearLimit"
LEAK = "TidegateLeakConfirmed"
# Those of the guard's times that rules have no part in: a leak is found within seconds.
QUICK_GUARD: dict[str, object] = {"leak_warmup_seconds": 0, "leak_window_seconds": 3}


def comes_true(done: Callable[[], bool]) -> bool:
    return wait_until(done, PATIENCE_SECONDS, PAUSE_SECONDS)


def drill(loop: Loop, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the command as an operator would."""
    return subprocess.run(
        [tidegate_command(), "drill", *arguments, "--url", loop.gate.url],
        check=False,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=200,
        env=environment_of({"token": ADMIN_TOKEN}),
    )


@contextmanager
def quick_guard(loop: Loop) -> Iterator[None]:
    """Have the guard find leaks within seconds while the block runs, of which it has found none before."""
    loop.call("PATCH", "/settings", QUICK_GUARD)
    assert comes_true(lambda: leak_state(loop) == "ok")
    yield
    loop.call("PATCH", "/settings", dict.fromkeys(QUICK_GUARD))


def leak_state(loop: Loop) -> str:
    [own] = [one for one in loop.call("GET", "/memory")["processes"] if one["name"] == "gate"]
    return str(own["state"])


def leaking(loop: Loop) -> set[str]:
    """The processes of which people were told that they leak."""
    alerts = [alert for webhook in loop.humans.webhooks for alert in webhook["alerts"]]
    return {one["labels"]["process"] for one in alerts if one["labels"]["alertname"] == LEAK}


def test_an_operator_proves_the_whole_chain_with_one_command(loop: Loop) -> None:
    began = time.time()
    done = drill(loop, "full")
    assert done.returncode == 0, done.stdout + done.stderr
    told = [re.sub(r"^ *\d+ s  ", "", line) for line in done.stdout.splitlines()]
    assert told[3] == "Alertmanager: TidegateDrillFull firing, cleanup"
    # Here both come within a second, and the command asks once a second.
    assert set(told[4:6]) == {"drill over: answered", "Alertmanager: TidegateDrillFull resolved, resolved"}
    assert told[6:] == ["the whole chain works: metric, rule, Alertmanager, POST /alerts, cleanup, resolved"]
    runs = [run for run in loop.call("GET", "/cleanup") if run["trigger"] == "alert"]
    [run] = [run for run in runs if run["started_ms"] >= 1000 * began]
    assert (run["mode"], list(run["maps"])) == ("normal", ["observations"])
    # Whoever was told of it is told that it is over; it may be over before anybody is told (`group_wait`).
    assert comes_true(lambda: loop.humans.heard("TidegateDrillFull")[-1:] != ["firing"])


@pytest.mark.parametrize(
    ("arguments", "alert", "pages"),
    [
        (("store-down", "--refuse-ingest"), "TidegateStoreDown", True),
        (("pressure", "--refuse-ingest"), "TidegateMemoryPressureHard", True),
        (("pressure",), NEAR_LIMIT, False),
    ],
)
def test_a_drill_raises_its_alert_as_shipped_and_is_over_for_everybody(
    loop: Loop, arguments: tuple[str, ...], alert: str, pages: bool
) -> None:
    loop.call("PATCH", "/settings", {"memory_limit_bytes": 2**31})
    told, others = (loop.pager, loop.humans) if pages else (loop.humans, loop.pager)
    assert comes_true(lambda: not loop.alertmanager.alerts(alert))
    before, near_before = len(told.heard(alert)), len(loop.humans.heard(NEAR_LIMIT))
    begun = drill(loop, *arguments, "--seconds", "9", "--no-wait")
    assert begun.returncode == 0, begun.stderr

    def is_told() -> bool:
        return all(loop.alertmanager.alerts(name) for name in (alert, "TidegateDrillOn"))

    assert comes_true(is_told), loop.prometheus.unhealthy()

    def is_over() -> bool:
        return not any(loop.alertmanager.alerts(name) for name in (alert, "TidegateDrillOn"))

    assert comes_true(is_over)
    assert comes_true(lambda: told.heard(alert)[before:] == ["firing", "resolved"]), told.told()
    assert others.heard(alert) == []
    if alert != NEAR_LIMIT:
        # Nor is it told late, when the hard pressure that silences it is over.
        assert comes_true(lambda: not loop.alertmanager.alerts(NEAR_LIMIT))
        assert len(loop.humans.heard(NEAR_LIMIT)) == near_before
    assert loop.call("GET", "/drill")["past"][0]["end"] == "time"
    assert comes_true(loop.gate.is_ready)


def test_the_leak_of_a_drill_is_found_by_the_guard_and_told_as_the_drills_with_no_cleanup(loop: Loop) -> None:
    with quick_guard(loop):
        runs, before = loop.figure("cleanup_runs_total", trigger="alert"), len(loop.humans.heard(LEAK))
        done = drill(loop, "leak", "--seconds", "60", "--mib", "200")
        assert done.returncode == 0, done.stdout + done.stderr
        assert done.stdout.splitlines()[-1].endswith("drill over: answered"), done.stdout
        found = loop.call("GET", "/memory")["detections"][0]
    assert found["top_allocations"][0]["place"].startswith("app/drills/leak.py:")
    assert comes_true(lambda: loop.humans.heard(LEAK)[before:] == ["firing", "resolved"]), loop.humans.told()
    assert leaking(loop) == {"drill"}
    assert comes_true(lambda: loop.humans.heard("TidegateDrillOn")[-1:] == ["resolved"])
    assert loop.pager.heard(LEAK) == []
    # Acting on a leak of the gate is the guard's; a cleanup of the store would not make it smaller.
    assert (loop.received(LEAK), loop.figure("cleanup_runs_total", trigger="alert")) == ([], runs)
