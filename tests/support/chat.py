"""A webhook that stands for the humans' chat: a plain HTTP server that remembers what it was sent."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any


@dataclass
class Humans:
    """People who are told things over a chat: all that was sent to them."""

    url: str = ""
    webhooks: list[dict[str, Any]] = field(default_factory=list)

    def heard(self, name: str) -> list[str]:
        """The statuses in which an alert reached them, in order."""
        alerts = [alert for webhook in self.webhooks for alert in webhook["alerts"]]
        return [alert["status"] for alert in alerts if alert["labels"]["alertname"] == name]


@contextmanager
def listening_humans() -> Iterator[Humans]:
    """A server on a free port of 127.0.0.1, closed in the end."""
    humans = Humans()

    class Listener(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            humans.webhooks.append(json.loads(body))
            self.send_response(204)
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
