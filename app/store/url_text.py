"""The text of TIDEGATE_STORE_URL before it is taken apart: what is forgiven, and what was meant otherwise.

In `redis://:pa#ss@host`, `redis://:pa/ss@host` and `redis://:pa?ss@host` a host without a name ends before
`ss`. Taken apart as they are, they would name the wrong place, and messages on that might show a part of the
password.
"""

import re
from typing import NoReturn
from urllib.parse import urlsplit

from app.errors import ConfigError

_HOST = r"(\[[^\]]*\]|[^:\[\],]+)(:\d*)?"
_HOSTS = re.compile(rf"{_HOST}(,{_HOST})*")


def tidy_url(url: str) -> str:
    """Return the URL without white space around it, its scheme in lower case.

    Raises:
        ConfigError: a sign in it ends a part of it too early, or it names several hosts.
    """
    scheme, separator, rest = url.strip().partition("://")
    if not separator:
        return scheme
    scheme = scheme.lower()
    _refuse_stray_signs(rest, is_path=scheme.endswith("unix"))
    if "," in _place(rest) and not scheme.endswith("sentinel"):
        refuse(
            "names several hosts: with sentinels write redis+sentinel://host:port,host:port/service; "
            "of a Cluster name one node"
        )
    return f"{scheme}://{rest}"


def _refuse_stray_signs(rest: str, *, is_path: bool) -> None:
    place = rest.partition("?")[0]
    before, _, path = place.partition("/")
    login = before.rpartition("@")[0]
    if "#" in rest or "[" in login or "]" in login or _ends_login_early(rest, is_path=is_path):
        refuse(
            "special characters in user and password are percent-encoded: "
            "# is %23, / is %2F, ? is %3F, @ is %40, [ is %5B, ] is %5D, % is %25"
        )
    if is_path and path and before and "@" not in before:
        refuse(
            "after unix:// comes the whole path, which begins with a slash: unix:///run/valkey/valkey.sock"
        )


def _ends_login_early(rest: str, *, is_path: bool) -> bool:
    """Say whether a slash or question mark stands before the @ that ends user and password.

    It does in `:pa/ss@host`, `:pa?ss@host` and `:pa?s=s@host`, and not in `/run/a@b.sock` and
    `host:6380?ssl_ca_certs=/a@b.pem`.
    """
    place, _, query = rest.partition("?")
    before, _, path = place.partition("/")
    if "@" in path:
        return not is_path or (before != "" and "@" not in before)
    if "@" in place or "@" not in query:
        return False
    return "@" in query.partition("=")[0] or (before != "" and _HOSTS.fullmatch(before) is None)


def _place(rest: str) -> str:
    """Return what stands between user and password and the path."""
    try:
        return urlsplit(f"redis://{rest}").netloc.rpartition("@")[2]
    except ValueError:
        return ""


def refused(why: str) -> ConfigError:
    """Make the error that says what is wrong with the URL."""
    return ConfigError(f"TIDEGATE_STORE_URL: {why}")


def refuse(why: str) -> NoReturn:
    """Raise the error that says what is wrong with the URL, ConfigError."""
    raise refused(why)
