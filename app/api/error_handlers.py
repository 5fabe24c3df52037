"""Makes the errors of the application, and those of its framework, problem documents."""

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import Response
from starlette.exceptions import HTTPException

from app.api.error_responses import problem, problem_of
from app.errors import HttpError


def install(app: FastAPI) -> None:
    """Make every error of the application a problem document."""
    app.exception_handler(HttpError)(_our_error)
    app.exception_handler(RequestValidationError)(_invalid_parameter)
    app.exception_handler(HTTPException)(_framework_error)


async def _our_error(_: Request, error: HttpError) -> Response:
    return problem_of(error)


async def _invalid_parameter(_: Request, error: RequestValidationError) -> Response:
    details = (f"{'.'.join(str(part) for part in item['loc'])}: {item['msg']}" for item in error.errors())
    return problem(422, "invalid", "The request is not valid", "; ".join(details))


async def _framework_error(request: Request, error: HTTPException) -> Response:
    detail = f"{request.method} {request.url.path}: {error.detail}; see /docs"
    return problem(error.status_code, "error", str(error.detail), detail, error.headers)
