"""What the commands that talk to a gate share: where it is, how to get in, how failures read."""

import os
from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    import httpx

EXIT_REFUSED, EXIT_USAGE, EXIT_UNREACHABLE, EXIT_INTERRUPTED = 1, 2, 3, 130
TIMEOUT_SECONDS = 30.0

F = TypeVar("F", bound=Callable[..., None])


class Refused(click.ClickException):
    """The gate answered, and the answer is no."""

    exit_code = EXIT_REFUSED


class Unreachable(click.ClickException):
    """No gate answered."""

    exit_code = EXIT_UNREACHABLE


@dataclass(frozen=True)
class Target:
    """A gate's address and the token to show it, if any."""

    url: str
    token: str | None

    def open(self) -> "httpx.Client":
        """A client of this gate, without a proxy; the import is here because `--help` needs none."""
        import httpx  # noqa: PLC0415

        headers = {"Authorization": f"Bearer {self.token}"} if self.token else {}
        return httpx.Client(base_url=self.url, headers=headers, timeout=TIMEOUT_SECONDS, trust_env=False)

    def call(self, method: str, path: str, **options: Any) -> "httpx.Response":
        """One request.

        Raises:
            Unreachable: nothing answered.
        """
        import httpx  # noqa: PLC0415

        try:
            with self.open() as client:
                return client.request(method, path, **options)
        except (httpx.TransportError, httpx.InvalidURL) as error:
            raise self.unreachable(error) from None

    def unreachable(self, error: Exception) -> Unreachable:
        """The error for a gate that does not answer, with what to do."""
        return Unreachable(
            f"no gate answers at {self.url} ({error}). "
            "Start one with `tidegate serve`, or name it with --url."
        )


def gate_options(command: F) -> F:
    """Add --url and --token-file, and pass a Target as `target`."""

    @click.option(
        "--url", default=None, help="Where the gate is. [env TIDEGATE_URL; default http://127.0.0.1:8000]"
    )
    @click.option(
        "--token-file",
        type=click.Path(exists=True, dir_okay=False, path_type=Path),
        default=None,
        help="File with the token to show. [env TIDEGATE_TOKEN holds the token itself]",
    )
    @wraps(command)
    def wrapped(url: str | None, token_file: Path | None, **rest: Any) -> None:
        command(target=Target(url or _default_url(), _token(token_file)), **rest)

    return wrapped  # type: ignore[return-value]  # click's decorators change the signature


def checked(answer: "httpx.Response") -> Any:
    """The JSON of a successful answer.

    Raises:
        Refused: with the problem's title and detail otherwise.
    """
    if answer.is_success:
        return answer.json()
    raise Refused(sentence(answer))


def sentence(answer: "httpx.Response") -> str:
    """A failed answer in words."""
    try:
        problem = answer.json()
        text = f"{problem['title']}: {problem['detail']}"
    except (ValueError, KeyError, TypeError):
        text = f"the gate answered {answer.status_code}; is this address a Tidegate?"
    if answer.status_code == 401:  # noqa: PLR2004  RFC 9110
        text += ". Set TIDEGATE_TOKEN, or pass --token-file."
    return text


def _default_url() -> str:
    host = os.environ.get("TIDEGATE_HOST", "127.0.0.1")
    host = "127.0.0.1" if host in ("0.0.0.0", "::") else host  # noqa: S104  a name for "everywhere" is no address
    host = f"[{host}]" if ":" in host else host
    return os.environ.get("TIDEGATE_URL") or f"http://{host}:{os.environ.get('TIDEGATE_PORT', '8000')}"


def _token(file: Path | None) -> str | None:
    if file is None:
        return os.environ.get("TIDEGATE_TOKEN") or None
    lines = file.read_text().split()
    if not lines:
        raise click.UsageError(f"{file} holds no token")
    return lines[0]
