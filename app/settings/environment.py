"""The `TIDEGATE_…` variables of the environment, of which others put some there.

Commands that only talk to a gate read them here, and so load no part of pydantic.
"""

import os
import re
from collections.abc import Iterable, Sequence
from difflib import get_close_matches

PREFIX = "TIDEGATE_"
# Read by the commands that talk to a gate, see `app/cli/client.py`.
CLIENT_VARIABLES = frozenset({"TIDEGATE_URL", "TIDEGATE_TOKEN"})
# Kubernetes gives a container the addresses of all Services in variables that begin with their names. Of a
# Service `tidegate` (of one `tidegate-store`, with TIDEGATE_STORE_ before the same endings):
#   TIDEGATE_SERVICE_HOST=10.1.2.3   TIDEGATE_SERVICE_PORT=8000    TIDEGATE_SERVICE_PORT_HTTP=8000
#   TIDEGATE_PORT=tcp://10.1.2.3:8000                              TIDEGATE_PORT_8000_TCP=tcp://10.1.2.3:8000
#   TIDEGATE_PORT_8000_TCP_ADDR=10.1.2.3  …_TCP_PORT=8000          …_TCP_PROTO=tcp
_SERVICE_LINK = re.compile(
    r"""TIDEGATE_(\w+_)?(
        SERVICE_HOST=[0-9a-f.:]+ | SERVICE_PORT(_\w+)?=\d+
        | PORT(_\d+_(TCP|UDP|SCTP))?=(tcp|udp|sctp)://\S+
        | PORT_\d+_(TCP|UDP|SCTP)_(ADDR=[0-9a-f.:]+ | PORT=\d+ | PROTO=(tcp|udp|sctp))
    )""",
    re.VERBOSE | re.ASCII,
)


def env_name(field: str) -> str:
    """The environment variable of a setting."""
    return f"{PREFIX}{field.upper()}"


def about(location: Sequence[object], message: str) -> str:
    """Say what is wrong with a setting, given the place and the words of pydantic's error."""
    message = message.removeprefix("Value error, ")
    return f"{env_name(str(location[0]))}: {message[0].lower()}{message[1:]}" if location else message


def is_service_link(name: str, value: str) -> bool:
    """Whether the variable is the address of a Service, as Kubernetes sets it, and no setting."""
    return _SERVICE_LINK.fullmatch(f"{name.upper()}={value}") is not None


def service_links() -> list[str]:
    """The names of all variables that are addresses of Services, in order."""
    return sorted(name for name, value in os.environ.items() if is_service_link(name, value))


def given_variables() -> dict[str, str]:
    """The `TIDEGATE_…` variables by name in upper case; empty ones count as unset, links are left out."""
    return {
        name.upper(): value
        for name, value in os.environ.items()
        if name.upper().startswith(PREFIX) and value and not is_service_link(name, value)
    }


def is_empty(name: str) -> bool:
    """Whether the variable is set and empty, which counts as unset."""
    return any(not value for given, value in os.environ.items() if given.upper() == name)


def wrong_variables(known: Iterable[str]) -> list[str]:
    """A sentence for each variable that is none of the known settings, as a misspelt one, or is not UTF-8."""
    settings, given = sorted(known), given_variables()
    strange = sorted(given.keys() - set(settings) - CLIENT_VARIABLES)
    garbled = sorted(name for name, value in given.items() if not _is_utf8(value))
    unknown = [f"unknown setting {name}; {_advice(name, settings)}" for name in strange]
    return unknown + [f"{name}: is not UTF-8" for name in garbled]


def _is_utf8(value: str) -> bool:
    # Python keeps bytes that are no UTF-8 as lone surrogates (PEP 383), which nothing else takes.
    return not any("\ud800" <= sign <= "\udfff" for sign in value)


def _advice(name: str, settings: list[str]) -> str:
    # Without the prefix, which makes any two of them alike.
    candidates = {setting.removeprefix(PREFIX): setting for setting in settings}
    close = get_close_matches(name.removeprefix(PREFIX), candidates, n=1)
    return f"did you mean {candidates[close[0]]}?" if close else "docs/settings.md lists all there are"
