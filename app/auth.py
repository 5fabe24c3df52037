"""Bearer tokens (RFC 6750): several valid at once, compared in constant time, never logged."""

from hmac import compare_digest
from pathlib import Path

import structlog

from app.errors import ConfigError, Unauthorized
from app.settings import Settings, env_name

log = structlog.get_logger()


class Tokens:
    """The tokens of one kind of access; none at all means open."""

    def __init__(self, listed: tuple[str, ...], file: Path | None, setting: str) -> None:
        self._tokens = tuple(token.encode() for token in listed)
        self._file = file
        self._setting = setting
        self._read_at = 0.0
        if file is not None:
            self._read(file)

    @property
    def is_open(self) -> bool:
        """Whether anybody may pass."""
        return not self._tokens and self._file is None

    def admits(self, authorization: str | None) -> bool:
        """Whether the header carries one of the tokens; all are compared, so time tells nothing."""
        if self.is_open:
            return True
        scheme, _, given = (authorization or "").partition(" ")
        matches = [
            compare_digest(token, given.strip().encode("latin-1", "replace")) for token in self._tokens
        ]
        return scheme.lower() == "bearer" and any(matches)

    def reload(self) -> None:
        """Read the file again if it changed; should that fail, the tokens read before stay valid."""
        if self._file is None:
            return
        try:
            if self._file.stat().st_mtime != self._read_at:
                self._read(self._file)
                log.info("tokens read again", setting=self._setting, tokens=len(self._tokens))
        except (OSError, ConfigError) as error:
            log.warning("tokens not read again", setting=self._setting, error=str(error))

    def _read(self, file: Path) -> None:
        try:
            self._read_at = file.stat().st_mtime
            lines = file.read_text().splitlines()
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigError(f"{self._setting}: cannot be read: {error}") from None
        tokens = tuple(line.strip().encode() for line in lines if line.strip())
        if not tokens:
            raise ConfigError(f"{self._setting}: {file} holds no token")
        self._tokens = tokens


class Access:
    """Who may do what: ingest tokens post and look up, admin tokens clean up and look up."""

    def __init__(self, settings: Settings) -> None:
        self.ingest = Tokens(
            settings.ingest_tokens, settings.ingest_tokens_file, env_name("ingest_tokens_file")
        )
        self.admin = Tokens(settings.admin_tokens, settings.admin_tokens_file, env_name("admin_tokens_file"))

    async def reload(self) -> None:
        """Read the token files again where they changed."""
        self.ingest.reload()
        self.admin.reload()

    def check_ingest(self, authorization: str | None) -> None:
        """Raise Unauthorized unless the header carries an ingest token."""
        _check(self.ingest.admits(authorization), "TIDEGATE_INGEST_TOKENS")

    def check_admin(self, authorization: str | None) -> None:
        """Raise Unauthorized unless the header carries an admin token."""
        _check(self.admin.admits(authorization), "TIDEGATE_ADMIN_TOKENS")

    def check_lookup(self, authorization: str | None) -> None:
        """Raise Unauthorized unless the header carries a token of either kind."""
        admitted = self.ingest.admits(authorization) or (
            not self.admin.is_open and self.admin.admits(authorization)
        )
        _check(admitted, "TIDEGATE_INGEST_TOKENS or TIDEGATE_ADMIN_TOKENS")


def _check(admitted: bool, setting: str) -> None:
    if not admitted:
        raise Unauthorized(f"send `Authorization: Bearer <token>` with a token of {setting}")
