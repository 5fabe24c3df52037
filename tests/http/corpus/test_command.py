"""The corpus runs as a command of its own, as the page on conformance is written."""

import os
import subprocess
import sys

import pytest

pytestmark = [pytest.mark.slow, pytest.mark.server]


def test_the_corpus_runs_outside_of_the_tests() -> None:
    outside = {name: value for name, value in os.environ.items() if name != "PYTEST_CURRENT_TEST"}
    command = [sys.executable, "-m", "tests.http.corpus", "--bounded", "--rule", "host-doubled"]
    run = subprocess.run(
        command,
        stdin=subprocess.DEVNULL,
        env=outside,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    assert "host-doubled" in run.stdout
