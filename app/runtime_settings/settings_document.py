"""The settings changed at run time as they lie in the store: one JSON document with a version."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from hashlib import sha256

import msgspec

from app.errors import TidegateError
from app.settings.model import CHANGEABLE, Settings, load_settings

FORMAT = 1
Number = int | float


class UnusableSettings(TidegateError):
    """What is stored cannot be read as settings."""


class FromNewerGate(UnusableSettings):
    """A newer Tidegate has written what is stored, and this one must not write over it."""


@dataclass(frozen=True)
class StoredSettings:
    """The settings that differ from those of the start, and how many changes led to them."""

    version: int = 0
    values: Mapping[str, Number] = field(default_factory=dict)

    @property
    def etag(self) -> str:
        """A strong entity tag (RFC 9110): equal only for equal settings of one version."""
        digest = sha256(_encode(dict(sorted(self.values.items())))).hexdigest()[:12]
        return f'"{self.version}-{digest}"'

    def encoded(self) -> bytes:
        """Encode the document for the store."""
        return _encode({"format": FORMAT, "version": self.version, "values": self.values})


class _Format(msgspec.Struct):
    format: int


class _Body(msgspec.Struct, forbid_unknown_fields=True):
    format: int
    version: int
    values: dict[str, Number]


def read_document(stored: bytes) -> StoredSettings:
    """Read what is stored.

    Raises:
        UnusableSettings: it is no such document.
        FromNewerGate: it is one of a later format, or holds settings that cannot be changed here.
    """
    try:
        if msgspec.json.decode(stored, type=_Format).format > FORMAT:
            raise FromNewerGate("they are in a format of a newer Tidegate")
        body = msgspec.json.decode(stored, type=_Body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise UnusableSettings(f"they cannot be read ({error})") from None
    foreign = sorted(body.values.keys() - set(CHANGEABLE))
    if foreign:
        raise FromNewerGate(f"a newer Tidegate has put {foreign[0][:64]!r} among them")
    if not 0 < body.version < 2**53:
        raise UnusableSettings("their version is not a positive number")
    return StoredSettings(body.version, body.values)


def with_changes(settings: Settings, values: Mapping[str, object]) -> Settings:
    """Replace some values of settings, and check the whole as at the start.

    Raises:
        ConfigError: the values do not fit, with the sentence that the start would refuse them with.
    """
    if not values:
        return settings
    # The URL of the file has been read; it stays what it was at the start.
    given = settings.model_dump() | {"store_url_file": None} | dict(values)
    return load_settings(**given).model_copy(update={"store_url_file": settings.store_url_file})


def is_whole(name: str) -> bool:
    """Whether a setting takes whole numbers only."""
    return Settings.model_fields[name].annotation in (int, int | None)


def _encode(document: object) -> bytes:
    return msgspec.json.encode(document)
