"""Refuses what a page of another site has a browser call: it could press the buttons of an open gate.

A form on `http://evil.example` may post to `http://127.0.0.1:8000/cleanup/emergency` without asking anybody,
and a gate without tokens would do it. A browser says where a call comes from: in `Sec-Fetch-Site` (W3C Fetch
Metadata) if the gate is reached over TLS or on this machine, else in `Origin`. Other programs send neither.
"""

from collections.abc import Mapping
from urllib.parse import urlsplit

from app.errors import ClientError

_OWN = (b"same-origin", b"none")  # a page of the gate; the address bar


class CrossSite(ClientError):
    """A page of another site made the call."""

    status, slug, title = 403, "cross-site", "Pages of other sites may not call this"


def refuse_cross_site(headers: Mapping[bytes, bytes]) -> None:
    """Refuse a call that would change something, if it comes from a page of another site.

    Raises:
        CrossSite: it does.
    """
    site, origin = headers.get(b"sec-fetch-site"), headers.get(b"origin")
    if site in _OWN or (site is None and (origin is None or _names(origin, headers.get(b"host", b"")))):
        return
    raise CrossSite(
        "a page of another site had the browser send this: call it from the gate's own page or a program. "
        "A proxy that replaces the header Host has to pass on the client's"
    )


def _names(origin: bytes, host: bytes) -> bool:
    """Tell whether an origin names the host; the port may be the proxy's."""
    try:
        return urlsplit(origin).hostname == urlsplit(b"//" + host).hostname is not None
    except ValueError:
        return False
