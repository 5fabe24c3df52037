"""What is checked about a request before anything is begun: law 10 has its place here.

All requests pass here but posts of transactions, which have checks of their own, and a worker's lookups.

In this order: is there such an address, has it the method, may the client call it, are its query
parameters known, does no page of another site call it, and is its body within its limit, complete, and not
malformed. So a request that is refused has done nothing, and one that is cut off has done nothing either.
"""

import asyncio
from collections.abc import Iterable
from urllib.parse import parse_qsl

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.api.addresses import (
    ADDRESSES,
    BELOW_FEEDS,
    CONSUMERS,
    Call,
    PathItem,
    Token,
    address_of,
    near_consumer,
    nearest,
)
from app.api.cross_site import refuse_cross_site
from app.api.error_responses import problem_of
from app.auth import Access
from app.decode.body_budget import ByteBudget
from app.decode.body_reader import chunk_of
from app.errors import (
    BodyTimeout,
    BodyTooLarge,
    HttpError,
    InvalidRequest,
    MethodNotAllowed,
    NotFound,
    Overloaded,
)

# Bodies of the control plane that may be coming in at once in one process, and how long each may take.
MOST_BODIES = 64
BODY_SECONDS = 30.0
# Of a path or a name that is said back.
SHOWN_CHARACTERS = 128

_FEEDS = frozenset({BELOW_FEEDS.strip("/")})
Headers = Iterable[tuple[bytes, bytes]]


class Checks:
    """ASGI around the control plane, or around what passes requests on to it, and around what readers call.

    The application behind it gets requests that are whole and allowed, the body in one message.
    """

    def __init__(self, app: ASGIApp, access: Access, budget: ByteBudget) -> None:
        self._app, self._access, self._budget = app, access, budget
        self._bodies = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Refuse a request, or pass it on (ASGI)."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        body = _Body(receive, self._budget)
        try:
            call = self._examine(scope)
            # GET and HEAD begin nothing, and a body has no meaning there (RFC 9110, 9.3.1): it is not read.
            if scope["method"] not in ("GET", "HEAD"):
                refuse_cross_site(dict(scope["headers"]))
                await self._read(scope["headers"], call, body)
        except HttpError as error:
            body.release()
            await problem_of(error)(scope, receive, send)
            return
        try:
            await self._app(scope, body.receive, send)
        finally:
            body.release()

    def _examine(self, scope: Scope) -> Call:
        """Find what the request asks for, if its head is in order."""
        path = scope["path"]
        # What HEAD is answered has the length of what GET is answered, so it says GET too.
        method = "GET" if scope["method"] == "HEAD" else scope["method"]
        address = address_of(path)
        if address is None:
            raise NotFound(_where_else(method, path))
        scope["route"] = address
        call = address.call(method)
        if call is None:
            detail = f"{method} {path[:SHOWN_CHARACTERS]}: this address has {address.allow}; see /docs"
            raise MethodNotAllowed(detail, address.allow)
        self._check_token(call.token, scope["headers"])
        _check_parameters(address, call, scope["query_string"])
        return call

    def _check_token(self, token: Token, headers: Headers) -> None:
        if token is Token.ADMIN:
            self._access.check_admin(_header(headers, b"authorization"))
        elif token is Token.READING:
            self._access.check_lookup(_header(headers, b"authorization"))

    async def _read(self, headers: Headers, call: Call, body: "_Body") -> None:
        has_body = _has_body(headers, call.most_body_bytes)
        if has_body and self._bodies >= MOST_BODIES:
            raise Overloaded(f"{MOST_BODIES} requests with a body are coming in already")
        self._bodies += has_body
        try:
            async with asyncio.timeout(BODY_SECONDS):
                await body.read(call.most_body_bytes, keep=call.takes_body)
        except TimeoutError:
            raise BodyTimeout(f"the body was not complete within {BODY_SECONDS:g} seconds") from None
        finally:
            self._bodies -= has_body


class _Body:
    """Reads the body of one request as a whole first, then gives it to whoever asks for it."""

    def __init__(self, receive: Receive, budget: ByteBudget) -> None:
        self._receive, self._budget = receive, budget
        self._kept = bytearray()
        self._held = 0
        self._is_whole = False

    async def read(self, most: int, *, keep: bool) -> None:
        """Read the whole body, and drop its bytes as they come unless they are to be kept.

        Raises:
            MalformedBody: the connection ended first, or what came is not a body.
            BodyTooLarge: it is longer than `most` bytes.
            Overloaded: the budget of bodies is used up.
        """
        length, more = 0, True
        while more:
            chunk, more = chunk_of(await self._receive())
            length += len(chunk)
            if length > most:
                raise BodyTooLarge(f"the body has more than {most} bytes")
            if keep:
                self._budget.take(len(chunk))
                self._held += len(chunk)
                self._kept += chunk
        self._is_whole = True

    async def receive(self) -> Message:
        """Return the whole body in one message; after that what the server says (ASGI).

        Its bytes leave the budget with it: who receives them counts them as its own, without a pause between.
        """
        if not self._is_whole:
            return await self._receive()
        body, self._is_whole = bytes(self._kept), False
        self.release()
        return {"type": "http.request", "body": body, "more_body": False}

    def release(self) -> None:
        """Give back what is held of the budget."""
        self._budget.release(self._held)
        self._held = 0
        self._kept = bytearray()


def _has_body(headers: Headers, most: int) -> bool:
    """Tell whether a body follows these headers.

    Raises:
        BodyTooLarge: it is declared to be longer than `most` bytes.
    """
    length = _header(headers, b"content-length") or "0"
    if length.isdecimal() and int(length) > most:
        raise BodyTooLarge(f"the body has {int(length)} bytes, {most} are allowed")
    return length != "0" or _header(headers, b"transfer-encoding") is not None


def _header(headers: Headers, name: bytes) -> str | None:
    return next((value.decode("latin-1") for key, value in headers if key == name), None)


def _check_parameters(address: PathItem, call: Call, query: bytes) -> None:
    if call.parameters is None or not query:
        return
    for name, _ in parse_qsl(query.decode("latin-1"), keep_blank_values=True):
        if name not in call.parameters:
            raise InvalidRequest(
                f"unknown parameter `{name[:SHOWN_CHARACTERS]}`; {_what_parameters(address, call, name)}"
            )


def _what_parameters(address: PathItem, call: Call, name: str) -> str:
    known = call.parameters or frozenset()
    near = nearest(name, known)
    if near:
        return f"did you mean `{near}`?"
    taken = " and ".join(f"`{each}`" for each in sorted(known))
    return f"{address.path} takes {taken or 'none'}"


def _near_feed(path: str) -> str | None:
    """Return the feed that was meant by an address such as `/feed/helius-a`, None when it is unlike one."""
    first, _, name = path.removeprefix("/").partition("/")
    return f"{BELOW_FEEDS}{name}" if name and nearest(first, _FEEDS) else None


def _where_else(method: str, path: str) -> str:
    """Say what to call in the place of an address there is not."""
    shown, without_slash = path[:SHOWN_CHARACTERS], path.rstrip("/")
    if without_slash == BELOW_FEEDS.rstrip("/"):
        return f"{method} {shown}: name the feed: POST {BELOW_FEEDS}NAME; see /docs"
    address = ADDRESSES.get(without_slash) or (
        address_of(without_slash) if path.startswith(f"{CONSUMERS}/") and path != without_slash else None
    )
    if address is not None:
        return (
            f"{method} {shown}: leave the slash at its end out: "
            f"{method} {without_slash[:SHOWN_CHARACTERS]}; see /docs"
        )
    near = _near_feed(shown) or near_consumer(shown) or nearest(path, ADDRESSES)
    hint = f"did you mean {near}? See" if near else "see"
    return f"{method} {shown}: there is no such address; {hint} /docs"
