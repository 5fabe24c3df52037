"""Prints each transaction that a gate accepts, as the consumer `bot`: `python3 consume.py [ADDRESS …]`."""

import asyncio
import logging
import os
import sys

from tidegate.client import Client


async def main() -> None:
    """Act on each transaction; what was leased and not acted on comes again after a crash."""
    addresses = sys.argv[1:] or ["http://127.0.0.1:8000"]
    async with Client(*addresses, token=os.environ.get("TIDEGATE_TOKEN")) as gate:
        async for transaction in gate.consume("bot"):
            print(transaction.signature, transaction.payload, flush=True)


if __name__ == "__main__":
    logging.basicConfig()  # warnings, such as that of a gap, go to stderr
    asyncio.run(main())
