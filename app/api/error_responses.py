"""Errors as problem documents (RFC 9457): `urn:tidegate:problem:` and the slug, status, title and detail.

A few errors have a header besides: `Retry-After`, `WWW-Authenticate`, `Allow`, `Accept-Encoding`.
"""

from collections.abc import Mapping

from starlette.responses import Response

from app.decode.client_gone import ClientGone
from app.errors import (
    HttpError,
    MethodNotAllowed,
    RetryLater,
    StoreError,
    Unauthorized,
    UnsupportedMedia,
)
from app.server.problem_json import MEDIA_TYPE, problem_bytes


def problem(
    status: int,
    slug: str,
    title: str,
    detail: str,
    headers: Mapping[str, str] | None = None,
    **extension: object,
) -> Response:
    """Return a problem document; further members are its extension."""
    return Response(problem_bytes(status, slug, title, detail, **extension), status, headers, MEDIA_TYPE)


def problem_of(error: HttpError, **extension: object) -> Response:
    """Return one of our errors as a problem document, with the headers that belong to it."""
    headers = {}
    if isinstance(error, ClientGone) and error.problem is not None:
        told = error.problem
        if told.retry_after_seconds is not None:
            headers["Retry-After"] = str(told.retry_after_seconds)
        return problem(told.status, told.slug, told.title, told.detail, headers, **extension)
    if isinstance(error, RetryLater):
        headers["Retry-After"] = str(error.retry_after_seconds)
    if isinstance(error, Unauthorized):
        headers["WWW-Authenticate"] = 'Bearer realm="tidegate"'
    if isinstance(error, MethodNotAllowed):
        headers["Allow"] = error.allow
    if isinstance(error, UnsupportedMedia):
        headers["Accept-Encoding"] = "gzip"
    detail = error.advice if isinstance(error, StoreError) else str(error)
    return problem(error.status, error.slug, error.title, detail, headers, **extension)


def internal_problem() -> Response:
    """Return the problem document for what should not have happened."""
    return problem(500, "internal", "The gate failed", "This is a bug; the log has the details.")
