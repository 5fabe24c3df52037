"""Makes the errors of the application, and those of its framework, problem documents."""

from collections.abc import Sequence
from functools import partial

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import Response
from starlette.exceptions import HTTPException
from starlette.routing import Match, Route

from app.api.problems import problem, problem_of
from app.errors import HttpError

METHOD_NOT_ALLOWED = 405
_TITLES = {
    404: ("not-found", "There is nothing here"),
    405: ("method-not-allowed", "The method is not allowed here"),
}


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
