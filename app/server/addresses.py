"""The two ends of a connection, by which logs and limits know its client."""

import asyncio
from typing import NamedTuple, Self

SocketAddress = tuple[str, int | None]


class Addresses(NamedTuple):
    """The two ends of a connection."""

    client: SocketAddress | None
    server: SocketAddress | None

    @classmethod
    def of(cls, transport: asyncio.BaseTransport) -> Self:
        """Read the ends of a transport; a unix socket has the server's path alone."""
        return cls(
            _address(transport.get_extra_info("peername"), ""), _address(transport.get_extra_info("sockname"))
        )


def _address(name: object, *nameless: str) -> SocketAddress | None:
    if isinstance(name, tuple):
        return str(name[0]), int(name[1])
    if isinstance(name, str) and name not in nameless:
        return name, None
    return None
