"""A bare ASGI function under the same uvicorn: the most that a Python service can answer.

It reads the body, which is the least a service has to do, and does not look at it.
Listens on `TIDEGATE_PORT`.
"""

from uvicorn._types import ASGIReceiveCallable, ASGISendCallable, Scope

from benchmarks.rivals.serving import serve

ANSWER = b'{"status":"accepted"}'
START = {
    "type": "http.response.start",
    "status": 200,
    "headers": [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(ANSWER))],
}
BODY = {"type": "http.response.body", "body": ANSWER}


async def app(_: Scope, receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
    """Answer every request alike, once its body is there."""
    while (await receive()).get("more_body"):
        pass
    await send(START)  # type: ignore[arg-type]
    await send(BODY)  # type: ignore[arg-type]


if __name__ == "__main__":
    serve(app, lifespan="off")
