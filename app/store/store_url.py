"""What TIDEGATE_STORE_URL may say: where the store is, or which sentinels know that."""

from dataclasses import dataclass
from typing import Any
from urllib.parse import SplitResult, parse_qs, unquote, urlsplit

from app.store.address import CLIENT_NAME, DEFAULT_PORT, RESP2, RESP3, StoreAddress
from app.store.tls import BOOLEANS, CERT_REQS
from app.store.tls import OPTIONS as TLS_OPTIONS
from app.store.url_text import refuse, refused, tidy_url

SENTINEL_PORT = 26_379
MOST_PORT = 65_535
_SCHEMES = {
    "redis": "redis",
    "rediss": "rediss",
    "unix": "unix",
    "valkey": "redis",
    "valkeys": "rediss",
    "valkey+unix": "unix",
    "redis+unix": "unix",
    "redis+sentinel": "redis+sentinel",
    "rediss+sentinel": "rediss+sentinel",
    "valkey+sentinel": "redis+sentinel",
    "valkeys+sentinel": "rediss+sentinel",
}
_WITH_TLS = ("rediss", "rediss+sentinel")
_NO_NUL = "no host and no name of a file holds a NUL, also as %00"
_SENTINEL_OPTIONS = ("sentinel_user", "sentinel_password")
_OPTIONS = ("client_name", "db", "protocol", *TLS_OPTIONS, *_SENTINEL_OPTIONS)


@dataclass(frozen=True)
class SentinelService:
    """A service that sentinels watch: a primary and its replicas, which all have the same login."""

    name: str
    """What the sentinels call it."""
    sentinels: tuple[StoreAddress, ...]
    servers: StoreAddress
    """Login, database and TLS of the servers; the sentinels know their places."""


def parse_store(url: str) -> StoreAddress | SentinelService:
    """Read a store's URL; the schemes are those of Redis and of Valkey.

    Raises:
        ConfigError: the scheme is unknown, no place is named, or an option is not one of ours.
    """
    name, separator, rest = tidy_url(url).partition("://")
    if not separator or name not in _SCHEMES:
        raise refused(f"must start with one of {', '.join(s + '://' for s in _SCHEMES)}")
    if not rest.strip("/"):
        raise refused("names no host or socket")
    scheme = _SCHEMES[name]
    return _sentinel_service(scheme, rest) if scheme.endswith("+sentinel") else _server(scheme, rest)


def parse_address(url: str) -> StoreAddress:
    """Read the URL of a server.

    Raises:
        ConfigError: it is not sound, or names sentinels.
    """
    found = parse_store(url)
    return found if isinstance(found, StoreAddress) else refuse("names sentinels instead of a server")


def normal_url(url: str) -> str:
    """The URL with the scheme of its kind, such as `redis` or `unix`, once it is known to be sound.

    Raises:
        ConfigError: it is not.
    """
    parse_store(url)
    scheme, _, rest = tidy_url(url).partition("://")
    return f"{_SCHEMES[scheme]}://{rest}"


def safe_url(url: str) -> str:
    """The URL, which is known to be sound, without user, password and query, for logs."""
    whole = tidy_url(url)
    scheme = whole.partition("://")[0]
    found = parse_store(whole.partition("?")[0])
    if isinstance(found, SentinelService):
        return f"{scheme}://{','.join(one.shown_place for one in found.sentinels)}/{found.name}"
    return f"{scheme}://{found.path or found.shown_place}"


def _server(scheme: str, rest: str) -> StoreAddress:
    parts = _split(scheme, rest)
    options = _options(parts, scheme)
    common = _common(parts, options, scheme)
    if scheme == "unix":
        path = unquote(parts.path) or refuse("names no socket")
        return StoreAddress(path=path, database=_database("", options), **common)
    database = _database(parts.path.strip("/"), options)
    return StoreAddress(host=_host(parts), port=_port(parts, DEFAULT_PORT), database=database, **common)


def _sentinel_service(scheme: str, rest: str) -> SentinelService:
    """Read `user:password@host:port,host:port/service/database?options`; the login is that of the servers."""
    place, _, query = rest.partition("?")
    login, _, place = place.rpartition("@")
    if "," in login.partition("@")[2]:  # u:p@a,u:p@b
        refuse("the login stands once, before the first sentinel, and is that of the servers; @ in it is %40")
    hosts, _, path = place.partition("/")
    service, _, database = path.removesuffix("/").partition("/")
    if not unquote(service).strip():  # as in `//0`
        refuse(
            "names no service: behind the sentinels comes /service, as in redis+sentinel://host:26379/mymaster"
        )
    parts = _split(scheme, f"{login}@?{query}")
    options = _options(parts, scheme)
    common = _common(parts, options, scheme)
    servers = StoreAddress(database=_database(database, options), **common)
    own_login = {"user": options.get("sentinel_user", ""), "password": options.get("sentinel_password", "")}
    split = [_split(scheme, host.strip()) for host in hosts.split(",")]
    sentinels = [
        StoreAddress(host=_host(one), port=_port(one, SENTINEL_PORT), **common | own_login) for one in split
    ]
    return SentinelService(unquote(service), tuple(dict.fromkeys(sentinels)), servers)


def _split(scheme: str, rest: str) -> SplitResult:
    try:
        parts = urlsplit(f"{scheme}://{rest}")
    except ValueError:  # `redis://[::1`
        raise refused("has no sound address in its brackets") from None
    if "\0" in unquote(parts.netloc.rpartition("@")[2] + parts.path):
        refuse(_NO_NUL)
    return parts


def _options(parts: SplitResult, scheme: str) -> dict[str, str]:
    options = _once_each(parse_qs(parts.query, keep_blank_values=True))
    for key, value in options.items():
        if key not in _OPTIONS:
            raise refused(
                f"has no option {key!r}; those it has are {', '.join(_OPTIONS)}. "
                "Deadlines are TIDEGATE_STORE_DEADLINE_SECONDS, the rest is the gate's own affair"
            )
        if key in TLS_OPTIONS and scheme not in _WITH_TLS:
            raise refused(f"the option {key!r} needs TLS, as with rediss:// or valkeys://")
        if key in _SENTINEL_OPTIONS and not scheme.endswith("+sentinel"):
            raise refused(f"the option {key!r} needs redis+sentinel:// or one of its kind")
        if key == "client_name" and not (
            value.isascii() and value.isprintable() and value.split() == [value]
        ):
            raise refused("client_name must be printable ASCII without spaces")
        if key == "protocol" and value not in (str(RESP2), str(RESP3)):
            raise refused("protocol must be 2 or 3")
        if key == "ssl_cert_reqs" and value not in CERT_REQS:
            raise refused(f"{key} must be one of {', '.join(CERT_REQS)}")
        if key == "ssl_check_hostname" and value.lower() not in BOOLEANS:
            raise refused(f"{key} must be true or false")
        if "\0" in value:
            raise refused(_NO_NUL)
    return options


def _common(parts: SplitResult, options: dict[str, str], scheme: str) -> dict[str, Any]:
    """Return what is the same for all servers: login, TLS, protocol, name."""
    tls = tuple((key, options[key]) for key in options if key in TLS_OPTIONS)
    return {
        "user": unquote(parts.username or ""),
        "password": unquote(parts.password or ""),
        "tls": tls if scheme in _WITH_TLS else None,
        "protocol": int(options.get("protocol", RESP2)),
        "client_name": options.get("client_name", CLIENT_NAME),
    }


def _host(parts: SplitResult) -> str:
    host = unquote(parts.hostname or "") or refuse("names no host")
    if len(host.split()) > 1 or host.strip() != host:
        refuse("no host's name holds white space")
    try:
        host.encode("idna")  # as the system's resolver is asked for it
    except UnicodeError:
        raise refused("a part of the host's name is empty or longer than 63 characters") from None
    return host


def _port(parts: SplitResult, default: int) -> int:
    try:
        port = default if parts.port is None else parts.port
    except ValueError:
        port = 0
    return port or refuse(f"the port must be a number from 1 to {MOST_PORT}")


def _once_each(given: dict[str, list[str]]) -> dict[str, str]:
    for key, values in given.items():
        if len(values) > 1:
            refuse(f"has the option {key!r} more than once")
    return {key: value for key, (value,) in given.items()}


def _database(in_path: str, options: dict[str, str]) -> int:
    text = options.get("db", in_path)
    if in_path and in_path != text:
        refuse("names two databases, one behind the host and one as `db`")
    if text and not (text.isascii() and text.isdecimal()):
        raise refused("after the host comes the number of a database, or nothing")
    return int(text or 0)
