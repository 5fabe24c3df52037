"""Gates that leak, side by side and under load; each is ended once its leak is found."""

import json
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import httpx
import redis

from tests.support.gate import await_gate, start_command, tidegate_command
from tests.support.payloads import Payloads, body_of
from tests.support.processes import wait_until

MIB = 1024 * 1024
BYTES_PER_SECOND = MIB
FOUND_SECONDS = 500.0  # of 600 that a test has; on an idle machine a tenth of it
# Found within a minute instead of half an hour.
QUICK: dict[str, object] = {
    "leak_warmup_seconds": 3,
    "leak_window_seconds": 10,
    "leak_growth_bytes": 4 * MIB,
    "memory_sample_seconds": 0.2,
    "max_connections": 100_000,
}
ROUND_SECONDS = 0.1
BATCH_ITEMS, BATCHES = 20, 30
VALUE_BYTES = 1000

Detection = dict[str, Any]


class Patient:
    """One gate under observation."""

    def __init__(self, folder: Path, command: Sequence[str] = (tidegate_command(), "serve")) -> None:
        folder.mkdir()
        self._diagnoses = folder / "diagnoses"
        self.gate = start_command(command, folder, QUICK | {"diagnosis_dir": self._diagnoses})
        self.metrics = ""
        self._found: list[Detection] = []
        try:
            await_gate(self.gate)
        except BaseException:
            self.gate.kill()
            raise

    @property
    def is_alive(self) -> bool:
        return self.gate.process.poll() is None

    def detections(self) -> list[Detection]:
        """What `GET /memory` shows, newest first; none if the gate just dropped this connection."""
        with self.gate.client() as client, suppress(httpx.TransportError):
            found = list(client.get("/memory").json()["detections"])
            self.metrics = client.get("/metrics").text  # after it, so that what was found is counted there
            return found
        return []

    def await_detection(self) -> Detection:
        """Await the first detection, and end the gate then; whoever asks again is told the same."""
        if not self._found:
            assert wait_until(self._is_found, FOUND_SECONDS, pause_seconds=0.3), self._log_end()
            wait_until(lambda: bool(self.files()), 30)
            self.gate.kill()
        return self._found[-1]

    def _is_found(self) -> bool:
        self._found.extend(self.detections())
        return bool(self._found)

    def _log_end(self) -> str:
        return self.gate.log.read_text()[-5000:]

    def files(self) -> list[Detection]:
        """What was written to the folder."""
        return [json.loads(path.read_text()) for path in self._diagnoses.glob("*.json")]

    def store(self) -> redis.Redis:
        """A client of its embedded store."""
        urls = [str(event["url"]) for event in self.gate.events() if event.get("event") == "store up"]
        return redis.Redis.from_url(urls[0])


def leaking(folder: Path, kind: str, module: str = "leaky_gate") -> Patient:
    """A gate that leaks one MiB a second."""
    command = (sys.executable, "-m", f"tests.support.{module}", kind, str(BYTES_PER_SECOND))
    return Patient(folder / f"{kind}-{module}", command)


@contextmanager
def under_load(patients: Sequence[Patient]) -> Iterator[None]:
    """Batches of real transactions for each, fresh ones and duplicates, as long as it lives."""
    payloads = Payloads(seed=1)
    bodies = [body_of(payloads.items(BATCH_ITEMS)) for _ in range(BATCHES)]
    clients = [patient.gate.client(headers={"Content-Type": "application/json"}) for patient in patients]

    def deliver(number: int) -> None:
        for patient, client in zip(patients, clients, strict=True):
            with suppress(httpx.HTTPError):
                if patient.is_alive:
                    client.post("/transactions", content=bodies[number % BATCHES])

    with repeated(deliver):
        yield
    for client in clients:
        client.close()


@contextmanager
def foreign_keys(patient: Patient) -> Iterator[None]:
    """Somebody writes to the patient's store, one MiB a second, and forgets the expiry."""
    store = patient.store()
    value = b"x" * VALUE_BYTES
    each_round = round(BYTES_PER_SECOND * ROUND_SECONDS / VALUE_BYTES)

    def write(number: int) -> None:
        with suppress(redis.ConnectionError):
            store.mset({f"session:{number}:{one}": value for one in range(each_round)})

    with repeated(write), store:
        yield


@contextmanager
def repeated(work: Callable[[int], None]) -> Iterator[None]:
    """Call `work` ten times a second, or as often as it can, with a number that counts up."""
    stopped = threading.Event()

    def run() -> None:
        number = 0
        while not stopped.wait(ROUND_SECONDS):
            work(number)
            number += 1

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield
    finally:
        stopped.set()
        thread.join()
