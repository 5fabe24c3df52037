"""A whole installation on loopback: stores, gates, Prometheus, Alertmanager, and the people who are told.

Rules, scrapes, routes and inhibitions are the shipped files. Only addresses are replaced, the receivers
`pager` and `humans` by webhooks that remember what they are sent, and, where a cause says so, time by a
faster one.
"""

import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.causes.traffic import Traffic
from tests.support.chat import Humans, listening_humans
from tests.support.gate import GateProcess, await_gate, start_command, tidegate_command
from tests.support.monitoring import Alertmanager, Prometheus
from tests.support.processes import free_port
from tests.support.quick_monitoring import quick_monitoring
from tests.support.servers import StoreServer, valkey_server

ADMIN_TOKEN = "admin-of-the-stack"
INGEST_TOKEN = "ingest-of-the-stack"
TOKENS = {"admin_tokens": ADMIN_TOKEN, "ingest_tokens": INGEST_TOKEN}
QUIET_SECONDS = 45
SERVE = (tidegate_command(), "serve")


@dataclass
class Gate:
    """A gate that keeps its port when it is started again, with other settings or another build."""

    folder: Path
    settings: Mapping[str, object]
    process: GateProcess = field(init=False)

    def __post_init__(self) -> None:
        """Take a port, and start it."""
        self.folder.mkdir()
        self.settings = {**TOKENS, "port": free_port(), "host": "127.0.0.1", **self.settings}
        self.start()

    @property
    def url(self) -> str:
        """The URL that it is called by."""
        return f"http://127.0.0.1:{self.settings['port']}"

    def start(self, *command: str, **settings: object) -> None:
        """Start the gate, ready on return; a build with a fault is started by a command of its own."""
        self.process = start_command(command or SERVE, self.folder, {**self.settings, **settings})
        await_gate(self.process)

    def replace(self, *command: str, **settings: object) -> None:
        """Stop the gate as a deployment does, and start it again."""
        self.process.terminate()
        self.start(*command, **settings)

    def call(self, method: str, path: str, body: object = None) -> Any:
        """Call the gate as an operator, and return the answer, which has to be a success."""
        with self.process.client(headers={"Authorization": f"Bearer {ADMIN_TOKEN}"}) as client:
            answer = client.request(method, path, json=body)
        assert answer.is_success, f"{path}: {answer.text}"
        return answer.json()


@dataclass(frozen=True)
class Build:
    """What a stack is made of."""

    store: Callable[[], StoreServer] = valkey_server
    gates: tuple[Mapping[str, object], ...] = ({},)
    """The settings of each."""
    faster: int = 1
    """Divides the durations of rules, scrapes and routes; 1 leaves them as shipped."""


AS_SHIPPED = Build()


@dataclass
class Stack:
    """A running installation; `people` by the receiver that stands for them."""

    store: StoreServer
    gates: list[Gate]
    prometheus: Prometheus
    alertmanager: Alertmanager
    people: dict[str, Humans]
    traffic: Traffic
    token_file: Path
    """Which token Alertmanager shows the gate."""
    faster: int

    @property
    def gate(self) -> Gate:
        """The first gate, which is sent the alerts that ask for a cleanup."""
        return self.gates[0]

    def told(self) -> list[tuple[float, str, str, str]]:
        """Return all that people were told: when, by which receiver, which alert, and its status."""
        every = [(at, who, *what) for who, people in self.people.items() for at, *what in people.told()]
        return sorted(every)  # type: ignore[arg-type]

    def active(self) -> list[str]:
        """Return the alerts that fired or were about to in the last 45 s, except the watchdog."""
        span = f"{1000 * QUIET_SECONDS // self.faster}ms"
        found = self.prometheus.query(f'last_over_time(ALERTS{{alertname!="TidegateWatchdog"}}[{span}])')
        return sorted({one["metric"]["alertname"] for one in found})


@contextmanager
def stack(build: Build) -> Iterator[Stack]:
    """Start everything, under load; has to be called in the main thread of its process."""
    folder = Path(tempfile.mkdtemp(prefix="tidegate-causes-"))
    with ExitStack() as parts:
        parts.callback(shutil.rmtree, folder, ignore_errors=True)
        store = parts.enter_context(build.store())
        gates = []
        for number, settings in enumerate(build.gates):
            gates.append(Gate(folder / f"gate-{number}", {"store_url": store.url, **settings}))
            parts.callback(_end, gates[-1])
        people = {name: parts.enter_context(listening_humans()) for name in ("pager", "humans")}
        urls, webhooks = [gate.url for gate in gates], {name: each.url for name, each in people.items()}
        traffic = Traffic(urls, INGEST_TOKEN)
        parts.enter_context(traffic.running())
        watched = quick_monitoring(folder, urls, webhooks, ADMIN_TOKEN, build.faster)
        yield Stack(
            store,
            gates,
            *parts.enter_context(watched),
            people,
            traffic,
            folder / "alertmanager" / "secrets" / "tidegate_token",
            build.faster,
        )


def _end(gate: Gate) -> None:
    if gate.process.process.poll() is None:
        gate.process.kill()
