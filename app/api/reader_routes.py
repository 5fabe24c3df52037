"""Answers what readers call ahead of the framework: a thousand of them may be there at once, and each waits.

Behind the framework a stream would keep some fifteen coroutines, contexts and closures for as long as it
lasts, which the garbage collector would look through again and again.
"""

from collections.abc import Awaitable, Mapping

from starlette.types import ASGIApp, Receive, Scope, Send

from app.api.addresses import PathItem

Endpoints = Mapping[tuple[str, str], ASGIApp]
"""What answers, by method and path."""


class ReaderRoutes:
    """ASGI behind the checks, which have found the address: readers are answered here, others elsewhere."""

    def __init__(self, endpoints: Endpoints, elsewhere: ASGIApp) -> None:
        self._endpoints, self._elsewhere = endpoints, elsewhere

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        """Return what answers a request, to be awaited (ASGI)."""
        return self._find(scope)(scope, receive, send)

    def _find(self, scope: Scope) -> ASGIApp:
        address, method = scope.get("route"), scope.get("method")
        if not isinstance(address, PathItem):
            return self._elsewhere
        asked = ("GET" if method == "HEAD" else str(method), address.path)
        return self._endpoints.get(asked, self._elsewhere)
