"""The answer with a lease goes out in pieces, whose size follows the number of readers."""

import json
from itertools import cycle
from typing import Any

import pytest
from starlette.types import Message

from app.api.addresses import CONSUMER, CONSUMERS
from app.api.routes.consumers import endpoints
from app.consumers.consumer_plane import ConsumerPlane
from tests.support.way_out import Out, names


async def test_the_pieces_fit_together_though_readers_come_and_go_meanwhile(
    out: Out, monkeypatch: pytest.MonkeyPatch
) -> None:
    await out.post("long", 9, json.dumps("x" * 400).encode())
    sizes = cycle([700, 900, 1100, 800])
    monkeypatch.setattr(ConsumerPlane, "piece_bytes", property(lambda _: next(sizes)))
    lease = endpoints(out.runtime.consumers, out.runtime.plane)["POST", CONSUMER["/lease"].path]
    sent = list[Message]()

    async def send(message: Message) -> None:
        sent.append(message)

    async def receive() -> Message:
        return {"type": "http.request", "body": b"", "more_body": False}

    scope: dict[str, Any] = {"type": "http", "method": "POST", "path": f"{CONSUMERS}/bot/lease"}
    await lease(scope | {"query_string": b"", "headers": []}, receive, send)
    pieces = [message for message in sent if message["type"] == "http.response.body"]
    assert [piece["more_body"] for piece in pieces] == [True] * (len(pieces) - 1) + [False]
    answer = json.loads(b"".join(piece["body"] for piece in pieces))
    assert names(answer["transactions"]) == [f"long-{number}" for number in range(9)]
