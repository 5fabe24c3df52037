"""Bearer tokens (RFC 6750): several valid at once, compared in constant time, never logged."""

from collections.abc import Collection, Iterator
from hmac import compare_digest
from pathlib import Path

import structlog

from app.errors import ConfigError, Unauthorized
from app.settings.model import Settings, env_name
from app.settings.secret_files import file_mark, secret_lines

log = structlog.get_logger()


class Tokens:
    """The tokens of one kind of access; without a list and without a file it is open.

    A file that is emptied shuts: nobody is admitted until it holds a token again. One that is `shared` with
    other processes cannot be a pipe.
    """

    def __init__(self, listed: tuple[str, ...], file: Path | None, setting: str, *, shared: bool) -> None:
        self._file, self._setting = file, setting
        self._is_listed = bool(listed)
        self._seen: tuple[int, ...] = ()
        self._trouble = ""
        self._accept([token.encode() for token in listed])
        if file is not None:
            self._read(file, again=shared)
            if self.is_shut:
                raise ConfigError(f"{setting}: {file} holds no token")

    @property
    def is_open(self) -> bool:
        """Whether anybody may pass."""
        return not self._is_listed and self._file is None

    @property
    def is_shut(self) -> bool:
        """Whether nobody may pass, as there is a file of tokens without one."""
        return not self.is_open and not self._tokens

    def admits(self, authorization: str | None, *, bare: bool = False) -> bool:
        """Whether the header carries one of the tokens; all are compared, so time tells nothing.

        With `bare` the token may also stand alone in the header, without `Bearer`.
        """
        if self.is_open:
            return True
        header = authorization or ""
        scheme, _, rest = header.partition(" ")
        is_bearer = scheme.lower() == "bearer"
        given = (rest if is_bearer or not bare else header).encode("latin-1", "replace").strip()
        matches = [compare_digest(token, given) for token in self._tokens]
        return (is_bearer or bare) and any(matches)

    def reload(self) -> None:
        """Read the file again if it changed; while it cannot be read, the tokens read before stay valid."""
        if self._file is None or not (self._trouble or file_mark(self._file) != self._seen):
            return
        try:
            self._read(self._file, again=True)
        except ConfigError as error:
            self._tell(str(error))
        else:
            self._tell(f"{self._file} holds no token, so nobody is admitted" if self.is_shut else "")

    def _tell(self, trouble: str) -> None:
        """Log a trouble once, and its end."""
        if not trouble:
            log.info("tokens read again", setting=self._setting, tokens=self._count)
        elif trouble != self._trouble:
            event = "token file shuts" if self.is_shut else "tokens not read again"
            log.warning(event, setting=self._setting, error=trouble)
        self._trouble = trouble

    def _read(self, file: Path, *, again: bool) -> None:
        seen = file_mark(file)
        try:
            tokens = secret_lines(file, again=again)
        except ConfigError as error:
            raise ConfigError(f"{self._setting}: {error}") from None
        self._accept(tokens)
        self._seen = seen

    def _accept(self, tokens: Collection[bytes]) -> None:
        # A client sends `voilà` in UTF-8, as files have it, or in Latin-1, as older HTTP says.
        self._tokens = tuple(form for token in tokens for form in _forms(token))
        self._count = len(tokens)


def _forms(token: bytes) -> tuple[bytes, ...]:
    """The bytes a client may send for a token: UTF-8, and Latin-1 where that has its letters."""
    try:
        return tuple({token, token.decode().encode("latin-1")})
    except UnicodeEncodeError:
        return (token,)


class Access:
    """Who may do what: ingest tokens post and look up, admin tokens clean up and look up."""

    def __init__(self, settings: Settings) -> None:
        shared = settings.workers > 1
        ingest, admin = env_name("ingest_tokens_file"), env_name("admin_tokens_file")
        self.ingest = Tokens(settings.ingest_tokens, settings.ingest_tokens_file, ingest, shared=shared)
        self.admin = Tokens(settings.admin_tokens, settings.admin_tokens_file, admin, shared=shared)

    async def reload(self) -> None:
        """Read the token files again where they changed."""
        self.ingest.reload()
        self.admin.reload()

    def shut(self) -> Iterator[str]:
        """The names of the settings whose file holds no token any more, so that nobody is admitted."""
        kinds = (("ingest_tokens_file", self.ingest), ("admin_tokens_file", self.admin))
        return (name for name, tokens in kinds if tokens.is_shut)

    def check_ingest(self, authorization: str | None) -> None:
        """Raise Unauthorized unless the header carries an ingest token."""
        _check(self.ingest.admits(authorization), authorization, "TIDEGATE_INGEST_TOKENS")

    def check_feed(self, authorization: str | None) -> None:
        """Raise Unauthorized unless the header carries an ingest token, behind `Bearer` or alone.

        Helius sends as Authorization what was typed into its form, which for many is the token itself.
        """
        _check(self.ingest.admits(authorization, bare=True), authorization, "TIDEGATE_INGEST_TOKENS")

    def check_admin(self, authorization: str | None) -> None:
        """Raise Unauthorized unless the header carries an admin token."""
        _check(self.admin.admits(authorization), authorization, "TIDEGATE_ADMIN_TOKENS")

    def check_lookup(self, authorization: str | None) -> None:
        """Raise Unauthorized unless the header carries a token of either kind."""
        admitted = self.ingest.admits(authorization) or (
            not self.admin.is_open and self.admin.admits(authorization)
        )
        _check(admitted, authorization, "TIDEGATE_INGEST_TOKENS or TIDEGATE_ADMIN_TOKENS")


def _check(admitted: bool, authorization: str | None, setting: str) -> None:
    if not admitted:
        # Whether something arrived is no secret; how near it came to a token is not looked at.
        found = (
            "no Authorization header arrived"
            if authorization is None
            else "the Authorization header that arrived has none of the gate's tokens"
        )
        # Of two headers, each of which may have had a valid one, both stand there (`headers_of`).
        if authorization is not None and ", " in authorization:
            found += " alone; if there were two such headers, of which one may be a proxy's, send one"
        raise Unauthorized(f"{found}: send `Authorization: Bearer <token>` with a token of {setting}")
