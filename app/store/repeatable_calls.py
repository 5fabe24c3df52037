"""The calls to the store that are made again after a connection broke, and how often.

When a connection breaks before the answer came, nobody knows whether the server carried the call out. A call
that only reads, or whose second time changes nothing, is made once more, on another connection. A claim is
not: had it been carried out, the second one would find its own signatures and call all of them duplicates.

A connection that was closed while it lay idle needs no retry: `Node` (reconnecting_node.py) opens another
before it sends anything. A store that is down is reached for again by session.py.
"""

from collections.abc import Awaitable, Callable
from typing import Any

from app.store.shared_connection import AnswerLost

# Most of these only read. `sizes` removes what is due, which its next call would do as well; a consumer is
# moved to the same place again; and of a lease that was committed it is only said that it had been before.
REPEATABLE_SCRIPTS = frozenset(
    {
        *("lookup", "deliverers", "late", "read_blocks", "find_position", "read_history", "sizes"),
        *("lookup_format_1", "consumers", "seek_consumer", "commit_lease"),
    }
)


async def call_again_if_lost(call: Callable[[], Awaitable[Any]]) -> Any:
    """Call, and call once more should the connection break; not where a second one did not do any better.

    Raises:
        AnswerLost: both connections broke, or the server is gone.
        Exception: whatever else the call raises, which is not repeated for that.
    """
    try:
        return await call()
    except AnswerLost as lost:
        if lost.is_gone:
            raise
    return await call()
