"""The scope of a request, as ASGI 3 has it."""

import asyncio
from typing import Any, NamedTuple, Self

from app.server.heads import Head

_ASGI = {"version": "3.0", "spec_version": "2.3"}
Address = tuple[str, int | None]


class Addresses(NamedTuple):
    """The two ends of a connection."""

    client: Address | None
    server: Address | None

    @classmethod
    def of(cls, transport: asyncio.BaseTransport) -> Self:
        """Those of a transport; of a unix socket the server's path alone."""
        return cls(
            _address(transport.get_extra_info("peername"), ""), _address(transport.get_extra_info("sockname"))
        )


def _address(name: object, *nameless: str) -> Address | None:
    if isinstance(name, tuple):
        return str(name[0]), int(name[1])
    if isinstance(name, str) and name not in nameless:
        return name, None
    return None


def scope_of(head: Head, addresses: Addresses, state: dict[str, Any]) -> dict[str, Any]:
    """For the application."""
    return {
        "type": "http",
        "asgi": _ASGI,
        "http_version": head.version,
        "method": head.method.decode("ascii"),
        "scheme": "http",
        "path": head.decoded_path,
        "raw_path": head.path,
        "query_string": head.query,
        "root_path": "",
        "headers": head.fields,
        "client": addresses.client,
        "server": addresses.server,
        "state": state.copy(),
    }
