"""What the commands that talk to a gate share: where it is, how to get in, how failures read."""

import os
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import wraps
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit

import click
import httpx

from app.cli.exit_codes import Refused, Unreachable
from app.cli.gate_answers import plain
from app.cli.nonempty_option import Given
from app.settings.environment import given_variables
from tidegate.answers import json_object, without_password

TIMEOUT_SECONDS, CONNECT_SECONDS = 30.0, 5.0

F = TypeVar("F", bound=Callable[..., None])


@dataclass(frozen=True)
class GateAddress:
    """Holds a gate's address and the token to show it, if any."""

    url: str
    token: str | None = field(repr=False)

    def open(self) -> httpx.Client:
        """Return a client of this gate, which goes through no proxy.

        To load the certificates takes a third of the time of a short command, so `http://` goes without them.
        """
        headers = {"Authorization": f"Bearer {self.token}"} if self.token else {}
        timeout = httpx.Timeout(TIMEOUT_SECONDS, connect=CONNECT_SECONDS)
        return httpx.Client(
            base_url=self.url,
            headers=headers,
            timeout=timeout,
            trust_env=False,
            verify=self.url.lower().startswith("https:"),
        )

    def call(self, method: str, path: str, **options: Any) -> httpx.Response:
        """Send one request, and return its answer.

        Raises:
            Unreachable: nothing answered.
        """
        try:
            with self.open() as client:
                return client.request(method, path, **options)
        except httpx.RequestError as error:
            raise self.unreachable(error) from None

    def unreachable(self, error: Exception) -> Unreachable:
        """Return the error for a gate that does not answer; it says what to do."""
        reason = plain(error) or type(error).__name__
        if isinstance(error, httpx.ReadTimeout):
            return Unreachable(
                f"the gate at {without_password(self.url)} takes connections and does not answer in time "
                f"({reason}): it hangs, was stopped, or has more to do than it can."
            )
        return Unreachable(
            f"no gate answers at {without_password(self.url)} ({reason}). "
            "Start one with `tidegate serve`, or name it with --url."
        )


_token_file_option = click.option(
    "--token-file",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    default=None,
    help="File with the token to show. [env TIDEGATE_TOKEN holds the token itself]",
)


def gate_options(command: F) -> F:
    """Add --url and --token-file, and pass a GateAddress as `gate`."""

    @click.option(
        "--url",
        type=Given(),
        default=None,
        help="Where the gate is. [env TIDEGATE_URL; default http://127.0.0.1:8000]",
    )
    @_token_file_option
    @wraps(command)
    def wrapped(url: str | None, token_file: Path | None, **rest: Any) -> None:
        command(gate=GateAddress(_checked_url(url or _default_url()), _token(token_file)), **rest)

    return wrapped  # type: ignore[return-value]  # click's decorators change the signature


def gates_options(command: F) -> F:
    """Add --url, which may be repeated, and --token-file, and pass the list of GateAddress as `gates`."""

    @click.option(
        "--url",
        "urls",
        type=Given(),
        multiple=True,
        help="Where the gate is; repeat it for others on the same store, which go on when it fails. "
        "[env TIDEGATE_URL; default http://127.0.0.1:8000]",
    )
    @_token_file_option
    @wraps(command)
    def wrapped(urls: tuple[str, ...], token_file: Path | None, **rest: Any) -> None:
        token = _token(token_file)
        command(gates=[GateAddress(_checked_url(url), token) for url in urls or (_default_url(),)], **rest)

    return wrapped  # type: ignore[return-value]  # click's decorators change the signature


def checked(answer: httpx.Response) -> dict[str, Any]:
    """Return the JSON object of a successful answer.

    Raises:
        Refused: the answer is a problem, whose title and detail it tells, or no JSON object.
    """
    document = json_object(answer)
    if answer.is_success and document is not None:
        return document
    raise Refused(sentence(answer))


def sentence(answer: httpx.Response) -> str:
    """Say in words why an answer is a failure."""
    problem = json_object(answer) or {}
    parts = [plain(problem[key]) for key in ("title", "detail") if problem.get(key)]
    unknown = (
        f"{answer.url.host} answered {answer.status_code} with something else; is this address a Tidegate?"
    )
    text = ": ".join(parts) or unknown
    if answer.status_code == 401:  # noqa: PLR2004  RFC 9110
        text += ". Set TIDEGATE_TOKEN, or pass --token-file."
    return text


def _default_url() -> str:
    given = given_variables()
    host = given.get("TIDEGATE_HOST", "127.0.0.1")
    host = "127.0.0.1" if host in ("0.0.0.0", "::") else host  # noqa: S104  a name for "everywhere" is no address
    host = f"[{host}]" if ":" in host else host
    port = given.get("TIDEGATE_PORT", "8000")
    port = "8000" if port == "0" else port  # any free one, which is none to ask
    return given.get("TIDEGATE_URL") or f"http://{host}:{port}"


def _checked_url(url: str) -> str:
    try:
        parts = urlsplit(url)
        usable = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        usable = False
    if usable and url.isprintable():
        return url
    meant = f"; perhaps http://{plain(url)}" if _lacks_scheme(url) else ""
    raise click.UsageError(
        f"the gate's address has to look like http://127.0.0.1:8000{meant} (--url, TIDEGATE_URL)"
    )


def _lacks_scheme(url: str) -> bool:
    """Tell whether an address is like `localhost:8000`, and holds nothing that must not be printed."""
    return "//" not in url and "@" not in url and bool(url)


def _token(file: Path | None) -> str | None:
    """Return the token, checked here because an HTTP library's complaint about a header would print it."""
    if file is None:
        name, words = "TIDEGATE_TOKEN", [os.environ.get("TIDEGATE_TOKEN", "").strip()]
    else:
        name, words = str(file), file.read_text(encoding="utf-8-sig", errors="replace").split()
    if file is not None and not words:
        raise click.UsageError(f"{name} holds no token")
    if not all("!" <= sign <= "~" for sign in words[0]):
        raise click.UsageError(
            f"{name} holds no token: one consists of visible ASCII characters without space"
        )
    return words[0] or None
