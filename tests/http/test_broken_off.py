"""NDJSON is stored as it comes: whatever breaks a request off, the answer says what was stored before."""

import json
import socket
import time
from collections.abc import Iterator
from typing import NamedTuple
from urllib.parse import urlsplit

import pytest

from tests.support.gate import GateProcess, gate_process

pytestmark = pytest.mark.slow

HEAD = b"POST /transactions HTTP/1.1\r\nHost: gate\r\nContent-Type: application/x-ndjson\r\n%b\r\n\r\n"
CHUNKED, SIZED = b"Transfer-Encoding: chunked", b"Content-Length: 1000"


class Break(NamedTuple):
    """How a request breaks off, and what it is answered."""

    framing: bytes
    rest: bytes
    ends: bool
    answer: tuple[int, str]


BREAKS = {
    "no chunk": Break(CHUNKED, b"no size\r\n", False, (400, "malformed-request")),
    "a trailer that is none": Break(CHUNKED, b"0\r\nno trailer\r\n\r\n", False, (400, "malformed-request")),
    "too many trailers": Break(CHUNKED, b"0\r\n" + b"a: b\r\n" * 102, False, (431, "too-many-headers")),
    "a long extension": Break(CHUNKED, b"1;" + b"a" * 20_000, False, (431, "header-too-large")),
    "cut off in chunks": Break(CHUNKED, b"5\r\n{", True, (400, "incomplete-request")),
    "cut off by its length": Break(SIZED, b"{", True, (400, "incomplete-request")),
}
PAUSE = Break(CHUNKED, b"", False, (408, "body-timeout"))


@pytest.fixture(scope="module", params=["true", "false"], ids=["fast", "asgi"])
def gate(request: pytest.FixtureRequest) -> Iterator[GateProcess]:
    with gate_process(fast_path=request.param) as started:
        yield started


@pytest.mark.parametrize("name", BREAKS)
def test_the_answer_and_the_metrics_tell_what_came_of_a_request_that_breaks_off(
    gate: GateProcess, name: str
) -> None:
    _assert_told(gate, BREAKS[name])


@pytest.mark.parametrize("fast_path", ["true", "false"], ids=["fast", "asgi"])
def test_they_tell_it_of_a_request_whose_client_pauses_too_long(fast_path: str) -> None:
    with gate_process(fast_path=fast_path, receive_deadline_seconds=1) as impatient:
        _assert_told(impatient, PAUSE)


def _assert_told(gate: GateProcess, broken: Break) -> None:
    signature = f"broken-{time.time_ns()}"
    status, slug = broken.answer
    line = b'{"signature":"%b"}\n' % signature.encode()
    before = _counted(gate, status)
    with socket.create_connection(("127.0.0.1", urlsplit(gate.url).port or 0), timeout=30) as connection:
        is_chunked = broken.framing == CHUNKED
        first = b"%x\r\n%b\r\n" % (len(line), line) if is_chunked else line
        connection.sendall(HEAD % broken.framing + first)
        with gate.client() as other:
            while other.get(f"/transactions/{signature}").status_code != 200:
                pass
        connection.sendall(broken.rest)
        if broken.ends:
            connection.shutdown(socket.SHUT_WR)
        answer = b"".join(iter(lambda: connection.recv(65536), b""))
    head, _, body = answer.partition(b"\r\n\r\n")
    document = json.loads(body)
    assert head.startswith(b"HTTP/1.1 %d " % status)
    assert b"connection: close" in head
    assert (document["status"], document["type"]) == (status, f"urn:tidegate:problem:{slug}")
    assert (document["accepted"], document["duplicate"], document["invalid"]) == (1, 0, 0)
    assert _counted(gate, status) == before + 1


def _counted(gate: GateProcess, status: int) -> float:
    with gate.client() as client:
        lines = client.get("/metrics").text.splitlines()
    series = f'tidegate_http_requests_total{{code="{status}",method="POST",route="/transactions"}} '
    return sum(float(line.removeprefix(series)) for line in lines if line.startswith(series))
