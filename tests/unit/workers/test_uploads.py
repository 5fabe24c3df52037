"""Clients that send slowly to the control plane: probes, scrapes and others do not wait for them."""

import select
import socket
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from urllib.parse import urlsplit

import pytest

from app.api.addresses import SMALL_BODY_BYTES
from app.api.control_plane_checks import MOST_BODIES
from tests.support.gate import GateProcess
from tests.support.processes import wait_until
from tests.support.worker_gates import NAMES, SECONDS, client_at, counted, two_workers

pytestmark = pytest.mark.server

UPLOADS = 200
START = (
    b"POST /alerts HTTP/1.1\r\nHost: gate\r\nContent-Type: application/json\r\nContent-Length: 1000\r\n\r\n{"
)


@contextmanager
def _uploads(gate: GateProcess, start: bytes) -> Iterator[list[socket.socket]]:
    """Connections that have sent the start of a body, and leave it at that."""
    place = urlsplit(gate.url)
    with ExitStack() as stack:
        opened = []
        for _ in range(UPLOADS):
            client = socket.create_connection((place.hostname, place.port), SECONDS)
            opened.append(stack.enter_context(client))
            client.sendall(start)
        yield opened


def _answers(clients: Sequence[socket.socket], wanted: int) -> list[bytes]:
    """The beginnings of so many answers, waited for; the other clients have none."""
    found: dict[socket.socket, bytes] = {}
    deadline = time.monotonic() + SECONDS
    while len(found) < wanted and time.monotonic() < deadline:
        left = [client for client in clients if client not in found]
        for client in select.select(left, [], [], 1.0)[0]:
            found[client] = client.recv(65536)
    return list(found.values())


def _assert_probes_are_answered(gate: GateProcess) -> None:
    for name in NAMES:
        with client_at(gate, name) as client:
            for path in ("/livez", "/readyz", "/metrics", "/stats"):
                assert client.get(path).status_code == 200, path
            assert client.post("/cleanup").status_code in (200, 401)


def test_slow_uploads_without_a_token_are_refused_at_once_and_hold_nothing() -> None:
    with two_workers(admin_tokens="secret-6Tq") as gate, _uploads(gate, START) as uploads:
        answers = _answers(uploads, UPLOADS)
        assert len(answers) == UPLOADS, "no body is waited for"
        assert all(answer.startswith(b"HTTP/1.1 401 ") for answer in answers)
        _assert_probes_are_answered(gate)
        # Beside the uploads, one cleanup through each worker was refused.
        refused = UPLOADS + len(NAMES)
        assert counted(gate, refused, "unauthorized_total", plane="admin") == refused
        calls = {"method": "POST", "route": "/alerts", "code": "401"}
        assert counted(gate, UPLOADS, "http_requests_total", **calls) == UPLOADS


def test_slow_uploads_that_are_allowed_are_bounded_and_told_and_hold_no_probe_or_scrape() -> None:
    most = MOST_BODIES * len(NAMES)
    with two_workers() as gate, gate.client() as other:
        with _uploads(gate, START) as uploads:
            answers = _answers(uploads, UPLOADS - most)
            assert len(answers) >= UPLOADS - most
            assert all(answer.startswith(b"HTTP/1.1 503 ") for answer in answers)
            assert all(b"with a body are coming in already" in answer for answer in answers)
            _assert_probes_are_answered(gate)
        alert = {"version": "4", "alerts": []}
        assert wait_until(lambda: other.post("/alerts", json=alert).status_code == 200, SECONDS)


def test_a_body_that_nobody_reads_is_bounded_with_and_without_a_length() -> None:
    with two_workers() as gate, gate.client() as client:
        assert client.post("/cleanup", content=b"x" * (SMALL_BODY_BYTES + 1)).status_code == 413
        pieces = (b"x" * 1024 for _ in range(SMALL_BODY_BYTES // 1024 + 1))
        assert client.post("/memory/reset", content=pieces).status_code == 413
        assert client.post("/cleanup", content=b"x" * SMALL_BODY_BYTES).status_code == 200
