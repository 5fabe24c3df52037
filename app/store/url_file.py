"""The file of TIDEGATE_STORE_URL_FILE: read again when the store denies access, as passwords are changed."""

import asyncio
from collections.abc import Callable
from pathlib import Path

import structlog

from app.errors import ConfigError, StoreDenied
from app.settings.secret_files import only_line
from app.store.connector import StoreConnector
from app.store.error_mapping import as_store_error
from app.store.server_identity import Connector, Server, Servers
from app.store.store_errors import StoreSentinelsDeny
from app.store.store_url import normal_url

log = structlog.get_logger()

_DENIED = (StoreDenied, StoreSentinelsDeny)


def connector_of(url: str, file: Path | None, deadline_seconds: float, prefix: str) -> Connector:
    """Return what opens the store of a URL that was read from a file, or of one that was not (None)."""

    def of(url: str) -> Connector:
        return StoreConnector(url, deadline_seconds, prefix)

    return of(url) if file is None else ConnectorOfFile(file, url, of)


class ConnectorOfFile:
    """Opens the store of the URL in a file.

    It goes on with that URL for as long as it is let in, whatever is written to the file: a gate that left
    for another store by itself would accept there what the other gates accept here.
    """

    def __init__(self, file: Path, url: str, of: Callable[[str], Connector]) -> None:
        """Begin with the URL that was read from the file; `of` makes the connector of a URL."""
        self._file, self._url, self._of = file, url, of
        self._connector = of(url)
        self.shown_url, self.deadline_seconds = self._connector.shown_url, self._connector.deadline_seconds
        self._trouble = ""

    async def connect(self) -> tuple[Servers, Server]:
        """Connect, with what stands in the file now should the URL in use be denied.

        Raises:
            Exception: what the connector of the URL in use raises.
        """
        try:
            return await self._connector.connect()
        except Exception as error:
            if not isinstance(as_store_error(error), _DENIED) or not await self.read_again():
                raise
        return await self._connector.connect()

    async def close(self) -> None:
        """Close what the connector of the URL in use keeps open."""
        await self._connector.close()

    async def read_again(self) -> bool:
        """Read the file, and say whether it holds another URL now; one that is not sound is told once."""
        try:
            url = normal_url(await asyncio.to_thread(only_line, self._file, "the URL", again=True))
        except ConfigError as error:
            if str(error) != self._trouble:
                log.warning("store URL not read again", error=str(error))
            self._trouble = str(error)
            return False
        self._trouble = ""
        if url == self._url:
            return False
        await self._connector.close()
        self._url, self._connector = url, self._of(url)
        self.shown_url = self._connector.shown_url
        log.info("store URL read again", file=str(self._file), url=self.shown_url)
        return True
