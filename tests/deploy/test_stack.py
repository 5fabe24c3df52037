import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import psutil
import pytest

from tests.support.processes import free_port, wait_until

SCRIPT = Path(__file__).parents[2] / "scripts" / "stack.py"
NAMES = ("gate", "prometheus", "alertmanager")


class Stack:
    """The script as a process, and where its parts are."""

    def __init__(self, folder: Path) -> None:
        self.urls = {name: f"http://127.0.0.1:{free_port()}" for name in NAMES}
        ports = {f"STACK_{name.upper()}_PORT": url.rpartition(":")[2] for name, url in self.urls.items()}
        self.output = folder / "output"
        with self.output.open("wb") as output:
            self.process = subprocess.Popen(
                [sys.executable, SCRIPT],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                env=os.environ | ports,
            )

    def is_up(self) -> bool:
        assert self.process.poll() is None, self.output.read_text()
        return "The stack is up" in self.output.read_text()

    def stop(self) -> int:
        self.process.send_signal(signal.SIGINT)
        return self.process.wait(60)


@pytest.fixture
def stack(tmp_path: Path) -> Iterator[Stack]:
    started = Stack(tmp_path)
    yield started
    if started.process.poll() is None:
        started.stop()


def get(url: str) -> httpx.Response:
    return httpx.get(url, trust_env=False, verify=False, timeout=10, follow_redirects=True)


def printed(stack: Stack, pattern: str) -> list[str]:
    """What the script says of each part that looks so, in the order of NAMES."""
    said = stack.output.read_text()
    return [re.findall(rf"^  {name} +({pattern})$", said, re.MULTILINE)[0] for name in NAMES]


def is_scraped(prometheus: str) -> bool:
    answer = get(f"{prometheus}/api/v1/query?query=up{{job='tidegate'}}").json()
    return [series["value"][1] for series in answer["data"]["result"]] == ["1"]


def knows_alertmanager(stack: Stack) -> bool:
    known = get(f"{stack.urls['prometheus']}/api/v1/alertmanagers").json()["data"]["activeAlertmanagers"]
    return [manager["url"] for manager in known] == [f"{stack.urls['alertmanager']}/api/v2/alerts"]


def test_one_command_starts_gate_prometheus_and_alertmanager_and_ctrl_c_stops_all(stack: Stack) -> None:
    assert wait_until(stack.is_up, 60)
    children = psutil.Process(stack.process.pid).children(recursive=True)
    item = {"signature": "a", "payload": {"fee": 1}}
    answer = httpx.post(f"{stack.urls['gate']}/transactions", json=item, trust_env=False, verify=False)
    assert answer.json()["status"] == "accepted"
    assert [get(url).status_code for url in printed(stack, r"http\S+")] == [200, 200, 200]
    for log in printed(stack, r"/\S+\.log"):
        assert Path(log).stat().st_size > 0, log
    rules = get(f"{stack.urls['prometheus']}/api/v1/rules?type=alert").json()["data"]["groups"]
    assert sum(len(group["rules"]) for group in rules) > 20
    assert wait_until(lambda: is_scraped(stack.urls["prometheus"]), 40)
    assert wait_until(lambda: knows_alertmanager(stack), 40)
    assert stack.stop() == 0
    assert "Traceback" not in stack.output.read_text()
    _, alive = psutil.wait_procs(children, timeout=30)
    assert len(children) == 4, "the three, and the gate's own Valkey"
    assert alive == []


def test_a_port_that_is_taken_is_named(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        ports = {
            "STACK_GATE_PORT": str(other.getsockname()[1]),
            "STACK_PROMETHEUS_PORT": str(free_port()),
            "STACK_ALERTMANAGER_PORT": str(free_port()),
        }
        done = subprocess.run(
            [sys.executable, SCRIPT],
            stdin=subprocess.DEVNULL,
            env=os.environ | ports | {"TMPDIR": str(tmp_path)},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
    assert done.returncode == 1
    assert "TIDEGATE_PORT" in done.stderr
    assert list(tmp_path.glob("tidegate-stack-*")) == []
