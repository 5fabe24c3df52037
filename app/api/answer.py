"""Answers in plain ASGI messages: the data plane needs nothing that a framework's response does besides."""

from functools import lru_cache

import msgspec
from starlette.types import Message, Send

from app.models import Answer, Transaction

encode = msgspec.json.Encoder().encode


def single_answer(item: Transaction, answer: Answer) -> dict[str, object]:
    """The document that answers a single transaction."""
    return {
        "status": answer.verdict,
        "signature": item.signature,
        "first_seen_ms": answer.first_seen_ms,
    }


async def send_json(send: Send, document: object) -> None:
    """Answer 200 with a JSON document."""
    body = encode(document)
    await send(_start(len(body)))
    await send({"type": "http.response.body", "body": body})


@lru_cache(1024)
def _start(length: int) -> Message:
    headers = [(b"content-length", b"%d" % length), (b"content-type", b"application/json")]
    return {"type": "http.response.start", "status": 200, "headers": headers}
