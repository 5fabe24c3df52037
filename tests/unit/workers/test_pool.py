"""A pool before any of its workers was started, and in a gate that has none."""

import socket
import subprocess
import sys

from app.ingest.source_statistics import SourceStatistics
from app.metrics.catalogue import Metrics
from app.settings.model import Settings
from app.workers.pool.pool import WorkerPool


def _pool(workers: int, listener: socket.socket) -> WorkerPool:
    return WorkerPool(
        Settings(workers=workers),
        listener,
        "redis://127.0.0.1:1",
        Metrics(64, "test"),
        SourceStatistics(str, lambda: 5.0),
    )


def test_a_worker_that_was_not_started_takes_no_traffic_and_holds_nothing() -> None:
    with socket.socket() as listener:
        pool = _pool(2, listener)
        try:
            assert [worker.name for worker in pool.workers] == ["worker-1", "worker-2"]
            assert pool.unready_reasons() == ["no worker is up"]
            assert (pool.pids(), pool.reports()) == ({}, {})
            assert (pool.requests(), pool.streams()) == (0, 0)
        finally:
            pool.close()
            assert pool.listener is not None
            pool.listener.close()  # as the server does


def test_a_gate_of_one_process_has_no_workers_and_waits_for_none() -> None:
    with socket.socket() as listener:
        pool = _pool(1, listener)
    assert (pool.workers, pool.unready_reasons(), pool.listener) == ([], [], None)


def test_serving_loads_no_client_that_only_others_need() -> None:
    program = "import sys, app.cli.main, app.cli.serve; print([*map(sys.modules.get, sys.argv[1:])])"
    command = [sys.executable, "-c", program, "httpx", "valkey"]
    done = subprocess.run(
        command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout == "[None, None]\n"
