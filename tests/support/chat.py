"""A webhook that stands for people's chat or pager: a plain HTTP server that remembers what it was sent."""

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any


@dataclass
class Humans:
    """People who are told things over a chat: all that was sent to them, each with its time of arrival."""

    url: str = ""
    webhooks: list[dict[str, Any]] = field(default_factory=list)
    answer: int = 204
    """The status that they answer; with 403 they take nothing, and what is sent is not remembered."""

    def told(self) -> list[tuple[float, str, str]]:
        """What reached them in order: seconds since the epoch, the alert's name and its status."""
        return [
            (webhook["arrived"], alert["labels"]["alertname"], alert["status"])
            for webhook in self.webhooks
            for alert in webhook["alerts"]
        ]

    def heard(self, name: str) -> list[str]:
        """The statuses in which an alert reached them, in order."""
        return [status for _, told, status in self.told() if told == name]


@contextmanager
def listening_humans() -> Iterator[Humans]:
    """A server on a free port of 127.0.0.1, closed in the end."""
    humans = Humans()

    class Listener(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            if humans.answer < 300:
                humans.webhooks.append({"arrived": time.time(), **json.loads(body)})
            self.send_response(humans.answer)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Listener) as server:
        humans.url = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield humans
        finally:
            server.shutdown()
            thread.join()
