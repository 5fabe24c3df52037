"""uvicorn's HTTP/1.1 protocol with a fast path for plain requests that come in one read."""

from typing import ClassVar

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from app.http.fast_path import FastCycle, FastPath, WholeRequest
from app.http.joined_writes import JoinedWrites


class FastProtocol(HttpToolsProtocol):
    """Holds a request back from ASGI until it is complete, and then asks the fast path first."""

    fast: ClassVar[FastPath | None] = None

    is_at_once = False
    """Whether what is being parsed begins with a request, and may be one."""
    _held: bytes | None = None  # the body of the request that is held back

    def on_headers_complete(self) -> None:
        """Start the application, unless the request may take the fast path."""
        self.headers = []  # trailers, which are not headers (RFC 9110 section 6.5.1), are forgotten
        if self.is_at_once and self.fast is not None and self._may_take(self.fast):
            self._held = b""
        else:
            self._start()

    def on_body(self, body: bytes) -> None:
        """Pass it on, or hold it back with its request."""
        if self._held is None:
            self._pass_on(body)
        else:
            self._held += body

    def on_message_complete(self) -> None:
        """Decide which way a request goes that was held back."""
        if self._held is None:
            HttpToolsProtocol.on_message_complete(self)
        elif self.fast is not None and self._is_taken(self.fast, self._held):
            self._held = None
        else:
            self.leave_to_asgi()
            HttpToolsProtocol.on_message_complete(self)

    def leave_to_asgi(self) -> None:
        """Start the application with what there is of a request that is held back."""
        body, self._held = self._held, None
        if body is not None:
            self._start()
            if body:
                self._pass_on(body)

    def _start(self) -> None:
        HttpToolsProtocol.on_headers_complete(self)
        # The response to HEAD has no second write, and `100 Continue` is one before the first.
        if self.scope["method"] != "HEAD" and not self.expect_100_continue:
            self.cycle.transport = JoinedWrites(self.transport)  # type: ignore[assignment]  # all that is used

    def _pass_on(self, body: bytes) -> None:
        """Uvicorn copies each piece twice; here those are not that come when the last one has been read."""
        cycle = self.cycle
        if cycle.body:
            cycle.body = bytearray(cycle.body)
        elif not cycle.response_complete:
            cycle.body, body = body, b""  # type: ignore[assignment]  # it takes either
        HttpToolsProtocol.on_body(self, body)

    def _may_take(self, fast: FastPath) -> bool:
        """Whether the request at hand is plain, and the only one under way."""
        cycle, parser = self.cycle, self.parser
        return (
            self.url.partition(b"?")[0] == fast.path
            and b"#" not in self.url
            and (cycle is None or cycle.response_complete)
            and parser.get_method() == b"POST"
            and parser.get_http_version() == "1.1"
            and parser.should_keep_alive()
            and not parser.should_upgrade()
            and not self.expect_100_continue
            and not self.flow.write_paused
        )

    def _is_taken(self, fast: FastPath, body: bytes) -> bool:
        cycle = FastCycle(self.scope, body, self.transport, self.server_state, self.on_response_complete)
        request = WholeRequest(self.url.partition(b"?")[2], self.scope["headers"], body)
        if not fast.take(request, cycle.send):
            return False
        self.cycle = cycle  # type: ignore[assignment]  # it has what is looked at
        return True
