"""A tiny HTTP server that answers as the contract says, and keeps what it was asked."""

import gzip
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread


@dataclass(frozen=True)
class Request:
    """One request as it came in, its body inflated."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes


@dataclass(frozen=True)
class Answer:
    """What to answer; None as document drops the connection instead."""

    status: int
    document: object
    headers: dict[str, str] = field(default_factory=dict)


Respond = Callable[[Request], Answer]


@dataclass
class StandIn:
    """A running server."""

    url: str
    respond: Respond
    requests: list[Request] = field(default_factory=list)


def ingest(request: Request) -> Answer:
    """Accept the lines that are JSON with a signature, as the gate would; 422 when none is."""
    lines = [line for line in request.body.split(b"\n") if line.strip()]
    errors = [
        {"index": i, "detail": "not an item"} for i, line in enumerate(lines) if b'"signature"' not in line
    ]
    counts = {
        "accepted": len(lines) - len(errors),
        "duplicate": 0,
        "invalid": len(errors),
        "duplicates": [],
        "errors": errors,
    }
    if lines and len(errors) == len(lines):
        return problem(422, "No valid item", "every item is invalid", **counts)
    return Answer(200, counts)


def problem(status: int, title: str, detail: str, **extensions: object) -> Answer:
    """A problem document (RFC 9457)."""
    return Answer(status, {"title": title, "detail": detail, "status": status} | extensions)


def in_turn(*answers: Answer, then: Respond = ingest) -> Respond:
    """Answer with `answers` first, one a request, and by `then` from there on."""
    left = list(answers)
    return lambda request: left.pop(0) if left else then(request)


@contextmanager
def stand_in(respond: Respond) -> Iterator[StandIn]:
    """A server for the time of a test."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def do_GET(self) -> None:
            self._answer()

        def do_POST(self) -> None:
            self._answer()

        def log_message(self, *_: object) -> None:
            pass

        def _answer(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            if self.headers.get("Content-Encoding") == "gzip":
                body = gzip.decompress(body)
            request = Request(self.command, self.path, dict(self.headers), body)
            running.requests.append(request)
            answer = running.respond(request)
            if answer.document is None:
                self.close_connection = True
                return
            text = answer.document if isinstance(answer.document, str) else json.dumps(answer.document)
            self.send_response(answer.status)
            for name, value in ({"Content-Length": str(len(text.encode()))} | answer.headers).items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(text.encode())

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    running = StandIn(f"http://127.0.0.1:{server.server_port}", respond)
    thread.start()
    try:
        yield running
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
