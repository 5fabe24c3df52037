"""Law 10 over the socket: what is refused, or cut off, was never begun."""

import socket
from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest

from tests.support.gate import GateProcess, gate_process
from tests.support.processes import wait_until

pytestmark = pytest.mark.server

HEAD = b"%b HTTP/1.1\r\nHost: gate\r\nConnection: close\r\nContent-Type: application/json\r\n"
LONGER = b"Content-Length: 40\r\n\r\n{}"
MALFORMED = b"Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\nnot a length\r\n"
CUT_OFF = b"Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n5\r\nab"
BROKEN = {"longer": LONGER, "malformed": MALFORMED, "cut off": CUT_OFF}
SECONDS = 60.0
ALERT = (
    b'{"version":"4","alerts":[{"status":"firing","labels":{"action":"cleanup"},'
    b'"startsAt":"2026-01-01T00:00:00Z","fingerprint":"a"}]}'
)


@pytest.fixture(scope="module", params=[1, 2], ids=["alone", "with workers"])
def gate(request: pytest.FixtureRequest) -> Iterator[GateProcess]:
    """A gate, quiet but for what is asked of it."""
    quiet = {"cleanup_interval_seconds": 3600, "signature_cleanup_interval_seconds": 3600}
    with gate_process(workers=request.param, **quiet) as started:
        yield started


def _sent(gate: GateProcess, data: bytes, pieces: int = 1, *, ends: bool = True) -> bytes:
    """All that is answered to these bytes; `ends` says at once that nothing comes behind them."""
    place = urlsplit(gate.url)
    with socket.create_connection((place.hostname, place.port), SECONDS) as client:
        size = -(-len(data) // pieces)
        for start in range(0, len(data), size):
            client.sendall(data[start : start + size])
        if ends:
            client.shutdown(socket.SHUT_WR)
        answered = b""
        while piece := client.recv(65536):
            answered += piece
        return answered


def _runs(gate: GateProcess) -> int:
    """Cleanups asked for by hand or by alerts, by the reports and by the metrics, which agree."""
    with gate.client() as client:
        reports = [one for one in client.get("/cleanup").json() if one["trigger"] in ("manual", "alert")]
        lines = client.get("/metrics").text.splitlines()
    asked = ('trigger="manual"', 'trigger="alert"')
    counted = (
        line
        for line in lines
        if line.startswith("tidegate_cleanup_runs_total") and any(a in line for a in asked)
    )
    assert sum(float(line.split()[-1]) for line in counted) == len(reports)
    return len(reports)


def _counted(gate: GateProcess, route: str, code: str) -> float:
    with gate.client() as client:
        lines = client.get("/metrics").text.splitlines()
    labels = f'route="{route}",code="{code}"'
    return sum(float(line.split()[-1]) for line in lines if "http_requests_total" in line and labels in line)


@pytest.mark.parametrize("broken", BROKEN)
@pytest.mark.parametrize("pieces", [1, 3])
@pytest.mark.parametrize("path", ["/cleanup/emergency", "/cleanup"])
def test_a_cleanup_whose_body_is_broken_does_not_run(
    gate: GateProcess, path: str, pieces: int, broken: str
) -> None:
    before, carried_out = _runs(gate), _counted(gate, path, "200")
    answered = _sent(gate, HEAD % (b"POST " + path.encode()) + BROKEN[broken], pieces)
    assert answered.startswith(b"HTTP/1.1 400 ") or answered == b""
    assert _runs(gate) == before
    assert _counted(gate, path, "200") == carried_out


@pytest.mark.parametrize("broken", BROKEN)
def test_a_reset_or_a_change_of_settings_whose_body_is_broken_does_nothing(
    gate: GateProcess, broken: str
) -> None:
    with gate.client() as client:
        before = client.get("/settings").headers["etag"]
        for request in (b"POST /memory/reset", b"PATCH /settings"):
            path = request.split()[1].decode()
            carried_out = _counted(gate, path, "200")
            answered = _sent(gate, HEAD % request + BROKEN[broken])
            assert answered.startswith(b"HTTP/1.1 400 ") or answered == b""
            assert _counted(gate, path, "200") == carried_out
        assert client.get("/settings").headers["etag"] == before


def test_an_alert_that_is_cut_off_starts_no_cleanup_and_is_not_kept(gate: GateProcess) -> None:
    before = _runs(gate)
    chunk = b"Transfer-Encoding: chunked\r\n\r\n%x\r\n%b\r\n" % (len(ALERT), ALERT)
    _sent(gate, HEAD % b"POST /alerts" + chunk + b"zz\r\n")
    with gate.client() as client:
        assert client.get("/alerts").json() == {"alerts": []}
    assert _runs(gate) == before


def test_the_same_request_complete_is_carried_out_once(gate: GateProcess) -> None:
    before = _runs(gate)
    whole = b"Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n"
    answered = _sent(gate, HEAD % b"POST /cleanup/emergency" + whole, ends=False)
    assert answered.startswith(b"HTTP/1.1 200 ")
    assert wait_until(lambda: _runs(gate) == before + 1, SECONDS)


@pytest.mark.parametrize("workers", [1, 2])
def test_a_post_without_a_token_is_counted_once_by_either_way_in(workers: int) -> None:
    quiet = {"ingest_tokens": "secret-3Kf", "workers": workers}
    with gate_process(**quiet) as closed, closed.client() as client:
        assert client.post("/transactions", json={"signature": "one"}).status_code == 401
        assert client.post("/transactions", content=iter([b"[]"])).status_code == 401
        both = 'tidegate_unauthorized_total{plane="ingest"} 2.0'
        # A worker that is late to tell is counted by a later scrape.
        assert wait_until(lambda: both in client.get("/metrics").text.splitlines(), SECONDS)
        lines = client.get("/metrics").text.splitlines()
    assert 'tidegate_unauthorized_total{plane="admin"} 0.0' in lines


def test_head_over_the_socket_has_the_length_of_get_and_no_body_behind_it(gate: GateProcess) -> None:
    for path in ("/livez", "/readyz", "/docs", "/openapi.json", "/transactions/missing", "/missing"):
        with gate.client() as client:
            got = client.get(path)
        answered = _sent(gate, HEAD % (b"HEAD " + path.encode()) + b"\r\n", ends=False)
        head, _, body = answered.partition(b"\r\n\r\n")
        assert body == b""
        assert head.startswith(b"HTTP/1.1 %d " % got.status_code)
        assert b"\r\ncontent-length: %d\r\n" % len(got.content) in head.lower() + b"\r\n"
