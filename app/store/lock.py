"""A lock in the store: several gates want to do the same work, and the one that holds the lock does it."""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

from app.store.down_partitions import OF_ONE_MASTER
from app.store.map_rules import Layout
from app.store.session import StoreSession


@dataclass(frozen=True)
class StoreLock:
    """A key with an expiry, under the name of what is to be done, in the first partition that serves.

    Gates that do not agree on which that is may both hold the lock; what is done under it has to bear that.
    """

    session: StoreSession
    layout: Callable[[], Layout]
    name: str

    async def take(self, seconds: float) -> bool:
        """Take the lock for so many seconds; False while it is held, by this gate or another one.

        Raises:
            StoreFull: the store has no room for the key.
            StoreError: whether it was taken is unknown.
        """
        layout = self.layout()
        args: list[bytes | str | int] = [layout.rules, self.name, max(1, round(seconds * 1000))]
        *others, last = layout.prefixes
        for prefix in others:
            with suppress(*OF_ONE_MASTER):
                return bool(await self.session.run("lock", prefix, args))
        return bool(await self.session.run("lock", last, args))
