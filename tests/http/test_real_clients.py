"""Clients that people have, with their defaults, post and read answers over both ways in."""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.support.gate import GateProcess, gate_process

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

CLIENTS = Path(__file__).with_name("clients")
TOKEN = "a-token-of-the-feed"
MAX_BODY = 1024 * 1024
# More than the buffers of both sides hold: a client is still sending when the answer is there.
LARGE_BYTES = 6 * 1024 * 1024
EARLY_ANSWERS, KEPT = 20, 10
JSON, LINES = "application/json", "application/x-ndjson"


class Answer(NamedTuple):
    status: int
    body: str


class Request(NamedTuple):
    method: str
    path: str
    media_type: str = "-"
    body: bytes | None = None
    token: str = TOKEN


def item(number: int) -> bytes:
    return b'{"signature":"transaction-%d","payload":{"fee":%d}}' % (number, number)


LARGE = b'{"signature":"large","payload":"' + b"x" * LARGE_BYTES + b'"}'
PLAN = {
    "one": Request("POST", "/transactions", JSON, item(1)),
    "array": Request("POST", "/transactions", JSON, b"[%b,%b,%b]" % (item(2), item(3), item(2))),
    "lines": Request("POST", "/transactions", LINES, item(4) + b"\n" + item(5) + b"\n"),
    "lookup": Request("GET", "/transactions/transaction-1"),
    "live": Request("GET", "/livez"),
    "head": Request("HEAD", "/livez"),
    "not-found": Request("GET", "/transactions/transaction-0"),
    "broken": Request("POST", "/transactions", JSON, b'{"signature":'),
    **{f"kept-{n}": Request("POST", "/transactions", JSON, item(100 + n)) for n in range(KEPT)},
    **{f"too-large-{n}": Request("POST", "/transactions", JSON, LARGE) for n in range(EARLY_ANSWERS)},
    **{f"no-token-{n}": Request("POST", "/transactions", JSON, LARGE, "-") for n in range(EARLY_ANSWERS)},
    "after": Request("POST", "/transactions", JSON, item(6)),
}
# Of those that can send it: a GET with `Content-Length: 0`.
EMPTY_BODY = {"empty-body": Request("GET", "/livez", "-", b"")}


@cache
def built_in() -> Path:
    """A folder for what is compiled, once for all tests."""
    return Path(tempfile.mkdtemp(prefix="clients-"))


def build(*command: str, **environment: str) -> None:
    subprocess.run(command, check=True, stdin=subprocess.DEVNULL, env=os.environ | environment)


@cache
def java() -> list[str]:
    build("javac", "-d", str(built_in()), str(CLIENTS / "Client.java"))
    return ["java", "-XX:TieredStopAtLevel=1", "-cp", str(built_in()), "Client"]


@cache
def go() -> list[str]:
    program = built_in() / "client"
    offline = {
        "GOFLAGS": "-mod=mod",
        "GOPROXY": "off",
        "GOCACHE": str(built_in() / "cache"),
        "GOPATH": str(built_in() / "go"),
    }
    build("go", "build", "-o", str(program), str(CLIENTS / "client.go"), **offline)
    return [str(program)]


def python(client: str, *options: str) -> list[str]:
    return [sys.executable, str(CLIENTS / client), *options]


COMMANDS: dict[str, Callable[[], list[str]]] = {
    "java": java,
    "go": go,
    "node": lambda: ["node", str(CLIENTS / "client.mjs")],
    "curl": lambda: python("client_curl.py"),
    "curl-http2": lambda: python("client_curl.py", "--http2"),
    "urllib": lambda: python("client_urllib.py"),
    "requests": lambda: python("client_requests.py"),
}
SENDS_EMPTY_BODIES = {"java", "requests", "curl", "curl-http2"}


@pytest.fixture(scope="module", autouse=True)
def cleared() -> Iterator[None]:
    yield
    shutil.rmtree(built_in(), ignore_errors=True)


@pytest.fixture(scope="module")
def gates() -> Iterator[dict[str, GateProcess]]:
    settings = {"ingest_tokens": TOKEN, "max_body_bytes": MAX_BODY, "dedup_window_seconds": 0.1}
    with gate_process(**settings, fast_path=True) as fast, gate_process(**settings, fast_path=False) as asgi:
        yield {"fast": fast, "asgi": asgi}


@pytest.fixture(scope="module", params=["fast", "asgi"])
def gate(gates: dict[str, GateProcess], request: pytest.FixtureRequest) -> GateProcess:
    return gates[request.param]


@pytest.fixture(scope="module", params=COMMANDS)
def answers(
    gate: GateProcess, request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, Answer]:
    """What the client read for each request of the plan."""
    client: str = request.param
    plan = PLAN | (EMPTY_BODY if client in SENDS_EMPTY_BODIES else {})
    lines = _lines(plan, gate.url, tmp_path_factory.mktemp("bodies"))
    done = subprocess.run(
        COMMANDS[client](), input=lines, capture_output=True, text=True, check=True, timeout=200
    )
    read = [line.split("\t", 2) for line in done.stdout.splitlines()]
    assert [name for name, *_ in read] == list(plan), done.stderr
    return {name: Answer(int(status), body) for name, status, body in read}


def _lines(plan: dict[str, Request], url: str, folder: Path) -> str:
    return "".join(
        "\t".join(
            (name, each.method, url + each.path, each.media_type, _bearer(each), _file(each.body, folder))
        )
        + "\n"
        for name, each in plan.items()
    )


def _bearer(request: Request) -> str:
    return f"Bearer {request.token}" if request.token != "-" else "-"


def _file(body: bytes | None, folder: Path) -> str:
    if body is None:
        return "-"
    file = folder / f"{hash(body)}"
    file.write_bytes(body)
    return str(file)


def test_one_transaction_an_array_and_lines_are_posted(answers: dict[str, Answer]) -> None:
    assert {name: answers[name].status for name in ("one", "array", "lines")} == dict.fromkeys(
        ("one", "array", "lines"), 200
    )
    assert json.loads(answers["one"].body)["signature"] == "transaction-1"
    assert json.loads(answers["array"].body)["duplicates"] == [2]
    assert json.loads(answers["lines"].body)["invalid"] == 0


def test_what_was_posted_is_read(answers: dict[str, Answer]) -> None:
    assert json.loads(answers["lookup"].body)["payload"] == {"fee": 1}
    assert (answers["live"].status, answers["not-found"].status) == (200, 404)


def test_a_get_with_an_empty_body_is_served(answers: dict[str, Answer]) -> None:
    assert answers.get("empty-body", answers["live"]).status == 200


def test_a_probe_with_head_is_served(answers: dict[str, Answer]) -> None:
    assert answers["head"] == Answer(200, "")


def test_a_bad_request_is_told_what_is_wrong(answers: dict[str, Answer]) -> None:
    assert answers["broken"].status == 400
    assert json.loads(answers["broken"].body)["type"] == "urn:tidegate:problem:malformed-body"


def test_one_client_posts_many_times(answers: dict[str, Answer]) -> None:
    assert [answers[f"kept-{n}"].status for n in range(KEPT)] == [200] * KEPT


@pytest.mark.parametrize(
    ("name", "status", "slug"), [("too-large", 413, "too-large"), ("no-token", 401, "unauthorized")]
)
def test_an_early_answer_to_a_large_body_is_read_each_time(
    answers: dict[str, Answer], name: str, status: int, slug: str
) -> None:
    read = [answers[f"{name}-{n}"] for n in range(EARLY_ANSWERS)]
    assert [answer.status for answer in read] == [status] * EARLY_ANSWERS, read
    assert {json.loads(answer.body)["type"] for answer in read} == {f"urn:tidegate:problem:{slug}"}


def test_the_next_request_is_served(answers: dict[str, Answer]) -> None:
    assert answers["after"].status == 200
