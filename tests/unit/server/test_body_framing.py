"""What bodies take while they come in."""

import tracemalloc

from app.server.body_framing import body_of
from app.server.heads import CHUNKED
from app.server.limits import Limits

CHUNK = b"2\r\n\r\n\r\n"


def test_chunks_of_two_bytes_take_little_more_than_their_bytes() -> None:
    body = body_of(CHUNKED, Limits())
    tracemalloc.start()
    body.take(100 * CHUNK)
    before, _ = tracemalloc.get_traced_memory()
    body.take(30_000 * CHUNK)
    after, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert body.size == 2 * 30_100
    assert after - before < 2 * body.size
    assert body.take_out() == b"\r\n" * 30_100
    assert (body.size, body.take_out()) == (0, b"")
