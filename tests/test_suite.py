"""The tests themselves: they can be trusted on a busy machine, in the background and without a terminal."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from tests.support.rules import complaints
from tests.support.surroundings import OFTEN_IGNORED

TESTS = Path(__file__).parent
FILES = sorted(TESTS.rglob("*.py"))
CTRL_C = "tests/unit/cli/test_access.py::test_ctrl_c_ends_a_client_with_130_and_no_traceback"


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(TESTS)))
def test_no_test_asserts_a_time_or_needs_a_terminal(file: Path) -> None:
    assert list(complaints(file.read_text(encoding="utf-8"))) == []


@pytest.mark.parametrize(
    "body",
    [
        "started = time.monotonic(); assert time.monotonic() - started < 1",
        "took = time.perf_counter() - started; assert took < 0.25",
        "waits.append(client.get('/livez').elapsed.total_seconds()); assert max(waits) < 0.25",
        "assert asyncio.get_running_loop().time() - started < 1",
        "assert abs(at - time.time()) < 5",
        "wait_until(lambda: done, 2)",
        "with asyncio.timeout(3): pass",
        "subprocess.run(command, stdin=subprocess.DEVNULL, timeout=5)",
        "subprocess.run(command)",
        "subprocess.Popen(command, stdout=output)",
    ],
)
def test_a_test_that_asserts_a_time_or_inherits_a_terminal_is_found(body: str) -> None:
    assert len(list(complaints(f"def test():\n    {body}"))) == 1


@pytest.mark.parametrize(
    "body",
    [
        "assert started <= at <= time.time()",
        "wait_until(lambda: done, 30)",
        "assert clock.now - started < 1",
        "assert len(answers) - before < 5",
        "subprocess.run(command, input=text, timeout=30)",
    ],
)
def test_order_and_counts_and_patience_are_fine(body: str) -> None:
    assert list(complaints(f"def test():\n    {body}")) == []


def test_examples_have_no_deadline_and_none_is_too_slow() -> None:
    assert settings().deadline is None
    assert HealthCheck.too_slow in settings().suppress_health_check


def test_a_run_that_inherits_ignored_signals_tests_the_same() -> None:
    """As a background job and nohup start one, with variables of a shell on top."""
    ignored = " ".join(number.name.removeprefix("SIG") for number in OFTEN_IGNORED)
    script = f'trap "" {ignored}; exec "$@"'
    pytest_command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", CTRL_C]
    done = subprocess.run(
        ["sh", "-c", script, "sh", *pytest_command],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        cwd=TESTS.parent,
        env=os.environ | {"TIDEGATE_TOKEN": "two words", "COLUMNS": "9"},
        timeout=100,
    )
    assert done.returncode == 0, done.stdout
