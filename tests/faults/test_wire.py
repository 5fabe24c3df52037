"""The connections of tests are closed in whichever turn of the event loop their time is over."""

import asyncio
from contextlib import suppress

from tests.support.wire import Connection, connected

SOON_SECONDS = 0.1


async def test_a_deadline_that_passes_as_the_answer_comes_leaves_no_connection_open() -> None:
    """A loop that is late finds both in one turn: the answer, and then the deadline."""
    kept, loop = list[asyncio.StreamWriter](), asyncio.get_running_loop()
    server = await asyncio.start_server(lambda _, writer: kept.append(writer), "127.0.0.1", 0)
    [address] = [listening.getsockname() for listening in server.sockets]
    opened: list[Connection] = []
    limit = asyncio.timeout(None)

    def answer_late(answered: asyncio.Future[None]) -> None:
        answered.set_result(None)
        while loop.time() < (limit.when() or 0) + SOON_SECONDS:
            pass

    with suppress(TimeoutError):
        async with limit, connected(f"http://127.0.0.1:{address[1]}", 1) as opened:
            limit.reschedule(loop.time() + SOON_SECONDS)
            answered = loop.create_future()
            loop.call_soon(answer_late, answered)
            await answered
    assert limit.expired()
    assert [one._writer.is_closing() for one in opened] == [True]  # noqa: SLF001  as the loop sees it
    for writer in kept:
        writer.close()
    server.close()
