"""What a client would rather have, by its headers `Accept` and `Accept-Encoding` (RFC 9110, 12.4.2, 12.5).

Of the libraries that a gate has, none goes by weights: `prometheus_client`'s `choose_encoder` takes the first
name that it knows, and Starlette's `GZipMiddleware` compresses for `gzip;q=0`.
"""

from collections.abc import Iterator
from typing import NamedTuple


class Wish(NamedTuple):
    """One member of such a header: `text/plain;version=0.0.4;q=0.5` has the weight 0.5."""

    name: str
    parameters: dict[str, str]
    weight: float


def wishes(header: str) -> Iterator[Wish]:
    """Yield what a header asks for, in its order; a weight that is no number is 0."""
    for member in header.split(","):
        name, *others = (part.strip().lower() for part in member.split(";"))
        pairs = (other.partition("=") for other in others)
        parameters = {key.strip(): value.strip() for key, _, value in pairs}
        yield Wish(name, parameters, _number(parameters.pop("q", "1")))


def accepts(header: str, name: str) -> bool:
    """Tell whether a header asks for this by its name."""
    return any(wish.name == name and wish.weight > 0 for wish in wishes(header))


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return 0.0
