"""uvicorn's HTTP/1.1 protocol with a fast path for plain requests that come in one read."""

from typing import ClassVar

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from app.http.fast_path import FastCycle, FastPath, WholeRequest
from app.http.heads import Heads
from app.http.joined_writes import JoinedWrites


class FastProtocol(HttpToolsProtocol):
    """Holds a request back from ASGI until it is complete, and then asks the fast path first."""

    fast: ClassVar[FastPath | None] = None
    heads: ClassVar[Heads] = Heads()

    at_once: bytes | None = None
    """What is being parsed, if it begins with a request and may be one."""
    _held: bytes | None = None  # the body of the request that is held back

    def on_headers_complete(self) -> None:
        """Start the application, unless the request may take the fast path."""
        self.headers = []  # trailers, which are not headers (RFC 9110 section 6.5.1), are forgotten
        if self.at_once is not None and self.fast is not None and self._may_take(self.fast):
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
        elif self.fast is not None and self._is_taken_anew(self.fast, self._held):
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

    def is_known(self, data: bytes) -> bool:
        """Whether this is a request with a head that took the fast path before, and takes it now."""
        if self.fast is None or not self._is_free():
            return False
        known = self.heads.find(data)
        if known is None or not self._is_taken(self.fast, WholeRequest(*known)):
            return False
        self._unset_keepalive_if_required()
        return True

    def _is_free(self) -> bool:
        """Whether no request is under way, and the last response has gone out."""
        cycle = self.cycle
        return (cycle is None or cycle.response_complete) and not self.flow.write_paused

    def _may_take(self, fast: FastPath) -> bool:
        """Whether the request at hand is plain, and the only one under way."""
        parser = self.parser
        return (
            self.url.partition(b"?")[0] == fast.path
            and b"#" not in self.url
            and self._is_free()
            and parser.get_method() == b"POST"
            and parser.get_http_version() == "1.1"
            and parser.should_keep_alive()
            and not parser.should_upgrade()
            and not self.expect_100_continue
        )

    def _is_taken_anew(self, fast: FastPath, body: bytes) -> bool:
        """The same of a request that was parsed; its head is known from now on."""
        request = WholeRequest(self.url.partition(b"?")[2], dict(self.scope["headers"]), body)
        is_taken = self._is_taken(fast, request)
        if is_taken and self.at_once is not None:
            self.heads.note(self.at_once, *request)
        return is_taken

    def _is_taken(self, fast: FastPath, request: WholeRequest) -> bool:
        cycle = FastCycle(
            self.scope, request.body, self.transport, self.server_state, self.on_response_complete
        )
        if not fast.take(request, cycle.send):
            return False
        self.cycle = cycle  # type: ignore[assignment]  # it has what is looked at
        return True
