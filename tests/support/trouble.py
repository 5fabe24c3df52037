"""A gate that gets into every kind of trouble the dashboards have to show, one after the other."""

import os
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import redis
from prometheus_client.parser import text_string_to_metric_families

from app.settings.field_kinds import MIB
from tests.support.faulty_gates import store_socket
from tests.support.gate import GateProcess, await_gate, start_gate
from tests.support.processes import free_port, wait_until

PATIENCE_SECONDS = 90.0
LEAKED_A_SECOND = 3 * MIB
LEAKED_SECONDS = 15
FEEDS = """
[feeds.skipping]
skip = ["failed"]
[feeds.greedy]
transactions_per_second = 1
[feeds.signing]
hmac = "quicknode"
secrets_file = "secret"
"""
SETTINGS: dict[str, object] = {
    "memory_limit_bytes": 1024 * MIB,
    "memory_sample_seconds": 0.1,
    # On a busy machine a shorter window has too few samples to find anything in.
    "leak_window_seconds": 10,
    "leak_warmup_seconds": 0,
    "leak_growth_bytes": MIB,
    "leak_cooldown_seconds": 2,
    "transactions_limit": 1_000,
    "dedup_window_seconds": 0.5,
    "emergency_transaction_retention_seconds": 1,
    "emergency_observation_retention_seconds": 1,
}


class Trouble:
    """One gate on one port, which can be started again; `close` it in the end."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir()
        self._folder, self._port = folder, free_port()
        self._feeds = folder / "feeds.toml"
        self._feeds.write_text(FEEDS, encoding="utf-8")
        (folder / "secret").write_text("a secret of the feed", encoding="utf-8")
        self.gate = self._start()

    def _start(self) -> GateProcess:
        gate = start_gate(self._folder, port=self._port, feeds_file=self._feeds, **SETTINGS)
        await_gate(gate)
        return gate

    def close(self) -> None:
        """End the gate, by force if need be."""
        if self.gate.process.poll() is None:
            self.gate.kill()

    def send_nonsense(self) -> None:
        """Items that are no transactions, of a source that sends nothing else."""
        self._post("broken", [{"signature": ""} for _ in range(5)])

    def send_what_feeds_must_not(self) -> None:
        """No JSON; transactions that failed; more than a feed's share; and what is not signed."""
        transaction = {"signatures": ["5" * 88], "message": {"accountKeys": [], "instructions": []}}
        failed = {"slot": 1, "transaction": transaction, "meta": {"err": {"InstructionError": []}}}
        greed = [{"signature": f"greed-{number}"} for number in range(5)]
        with self.gate.client() as client:
            client.post("/feeds/broken", content=b"{")
            client.post("/feeds/skipping", json=[failed])
            client.post("/feeds/greedy", json=greed)
            client.post("/feeds/greedy", json=greed)
            client.post("/feeds/signing", json=[])

    def practise(self, is_noticed: Callable[[], bool]) -> None:
        """A drill of a map that seems full, until that is noticed."""
        self._ask("POST", "/drill", params={"drill": "full"})
        assert self._wait(is_noticed)
        self._ask("DELETE", "/drill")

    def clean_up(self) -> None:
        """An operator's emergency cleanup, when there is something old enough."""
        assert self._wait(lambda: self._figure("map_oldest_entry_age_seconds", map="observations") > 2)
        self._ask("POST", "/cleanup/emergency")

    def leak(self, is_noticed: Callable[[], bool]) -> None:
        """Somebody else writes to the store, until it is noticed that the guard has acted."""
        with redis.Redis(unix_socket_path=store_socket(self.gate)) as store:
            last = time.monotonic()

            def acted() -> bool:
                nonlocal last
                # By the time that has passed: a busy machine takes few turns in the guard's window.
                now = time.monotonic()
                noise = os.urandom(int(LEAKED_A_SECOND * min(now - last, LEAKED_SECONDS)))
                last = now
                store.set(f"noise-{now}", noise, ex=LEAKED_SECONDS)
                return is_noticed()

            assert self._wait(acted)

    def fill_signatures(self) -> None:
        """A limit so low that the window's signatures do not fit."""
        self._change(signatures_limit=20, signatures_warn_entries=10)
        assert self._wait(lambda: self._figure("transactions_total", outcome="refused") > 0)
        self._change(signatures_limit=100_000, signatures_warn_entries=80_000)

    def fill_memory(self, is_noticed: Callable[[], bool]) -> None:
        """A limit below what is held already, until that is noticed, and posts are refused for it."""
        self._change(memory_limit_bytes=40 * MIB)
        assert self._wait(is_noticed)
        assert self._wait(lambda: self._figure("ingest_refusals_total", reason="memory-pressure") > 0)
        self._change(memory_limit_bytes=SETTINGS["memory_limit_bytes"])

    def freeze_store(self, is_noticed: Callable[[], bool]) -> None:
        """The store does not answer until that is noticed, then it is killed; the gate starts another."""
        pid = self._store()
        os.kill(pid, signal.SIGSTOP)
        assert self._wait(is_noticed)
        os.kill(pid, signal.SIGKILL)
        assert self._wait(self.gate.is_ready)

    def restart(self, is_noticed: Callable[[], bool]) -> None:
        """The gate ends and, when that is noticed, starts again at the same address."""
        self.gate.terminate()
        assert self._wait(is_noticed)
        self.gate = self._start()

    def _store(self) -> int:
        with self.gate.client() as client:
            processes = client.get("/memory").json()["processes"]
        return next(int(one["pid"]) for one in processes if one["name"] == "store")

    def _post(self, source: str, items: list[dict[str, object]]) -> None:
        with self.gate.client() as client:
            client.post("/transactions", params={"source": source}, json=items)

    def _change(self, **values: object) -> None:
        self._ask("PATCH", "/settings", json=values)

    def _ask(self, method: str, path: str, **options: Any) -> None:
        """Call as an operator, until it is done: a busy store may not answer in its second."""
        with self.gate.client() as client:
            assert self._wait(lambda: client.request(method, path, **options).status_code == 200)

    def _figure(self, name: str, **labels: str) -> float:
        with self.gate.client() as client:
            families = text_string_to_metric_families(client.get("/metrics").text)
        return sum(
            sample.value
            for family in families
            for sample in family.samples
            if sample.name == f"tidegate_{name}" and labels.items() <= sample.labels.items()
        )

    @staticmethod
    def _wait(done: Callable[[], bool]) -> bool:
        return wait_until(done, PATIENCE_SECONDS, 0.1)
