"""Errors as problem documents (RFC 9457)."""

from collections.abc import Mapping, Sequence
from functools import partial

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import Response
from starlette.exceptions import HTTPException
from starlette.routing import Match, Route

from app.errors import HttpError, RetryLater, StoreError, Unauthorized, UnsupportedMedia
from app.http.problem import MEDIA_TYPE, problem_bytes

METHOD_NOT_ALLOWED = 405
_TITLES = {
    404: ("not-found", "There is nothing here"),
    405: ("method-not-allowed", "The method is not allowed here"),
}


def problem(
    status: int,
    slug: str,
    title: str,
    detail: str,
    headers: Mapping[str, str] | None = None,
    **extension: object,
) -> Response:
    """A problem document; further members are its extension."""
    return Response(problem_bytes(status, slug, title, detail, **extension), status, headers, MEDIA_TYPE)


def problem_of(error: HttpError, **extension: object) -> Response:
    """The problem document of one of our errors."""
    headers = {}
    if isinstance(error, RetryLater):
        headers["Retry-After"] = str(error.retry_after_seconds)
    if isinstance(error, Unauthorized):
        headers["WWW-Authenticate"] = 'Bearer realm="tidegate"'
    if isinstance(error, UnsupportedMedia):
        headers["Accept-Encoding"] = "gzip"
    detail = error.advice if isinstance(error, StoreError) else str(error)
    return problem(error.status, error.slug, error.title, detail, headers, **extension)


def install(app: FastAPI, routes: Sequence[Route]) -> None:
    """Make every error of the application a problem document; a 405 names the methods of all these routes."""
    app.exception_handler(HttpError)(_our_error)
    app.exception_handler(RequestValidationError)(_invalid_parameter)
    app.exception_handler(HTTPException)(partial(_framework_error, routes))


async def _our_error(_: Request, error: HttpError) -> Response:
    return problem_of(error)


async def _invalid_parameter(_: Request, error: RequestValidationError) -> Response:
    details = (f"{'.'.join(str(part) for part in item['loc'])}: {item['msg']}" for item in error.errors())
    return problem(422, "invalid", "The request is not valid", "; ".join(details))


async def _framework_error(routes: Sequence[Route], request: Request, error: HTTPException) -> Response:
    slug, title = _TITLES.get(error.status_code, ("error", str(error.detail)))
    headers = error.headers
    if error.status_code == METHOD_NOT_ALLOWED:
        headers = {"Allow": ", ".join(sorted(_allowed_methods(routes, request)))}
    detail = f"{request.method} {request.url.path}: {error.detail}; see /docs"
    return problem(error.status_code, slug, title, detail, headers)


def _allowed_methods(routes: Sequence[Route], request: Request) -> set[str]:
    """Those of every route with this path; the framework names only the first route's."""
    matching = (route for route in routes if route.matches(request.scope)[0] is not Match.NONE)
    return {method for route in matching for method in route.methods or ()}
