"""The turns that others have in an event loop while something works."""

import asyncio


async def count_turns(until: asyncio.Event) -> int:
    """How many turns others had."""
    turns = 0
    while not until.is_set():
        turns += 1
        await asyncio.sleep(0)
    return turns
