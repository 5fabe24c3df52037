"""Serves `/openapi.json`, `/docs` and what that page loads: made once each, being large and open to all.

The document takes 0.2 seconds to make, so a thread makes it while others are served.
"""

import gzip
from functools import partial
from importlib.resources import files

from fastapi import FastAPI
from fastapi.openapi.docs import get_swagger_ui_html
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response

from app.api.addresses import SWAGGER_UI
from app.process.made_once import MadeOnce

DOCUMENT, PAGE = "/openapi.json", "/docs"
# A browser then loads nothing from elsewhere, whatever the page and its script would like.
POLICY = {
    "Content-Security-Policy": "default-src 'self'; img-src 'self' data:; "
    "script-src 'self' 'unsafe-inline'; style-src 'self' 'unsafe-inline'"
}
# All browsers take gzip, in which the script has 0.4 MB instead of 1.7; a client that does not read it holds
# as much of what all connections may leave unsent together.
COMPRESSED = {"Content-Encoding": "gzip", "Cache-Control": "max-age=3600"}


def add_documentation(api: FastAPI) -> None:
    """Serve both instead of FastAPI, which makes the page anew and has it load the rest from a CDN."""
    document = MadeOnce(lambda: bytes(JSONResponse(api.openapi()).body))
    compressed = {path: MadeOnce(partial(_compressed, path)) for path in SWAGGER_UI}
    script, style, icon = SWAGGER_UI
    page = get_swagger_ui_html(
        openapi_url=DOCUMENT,
        title=f"{api.title} - Swagger UI",
        swagger_js_url=script,
        swagger_css_url=style,
        swagger_favicon_url=icon,
        swagger_ui_parameters={"validatorUrl": None},  # no site is asked whether the document is valid
    ).body

    async def answer_document(_: Request) -> Response:
        return Response(await document.get(), media_type="application/json")

    async def answer_page(_: Request) -> Response:
        return HTMLResponse(page, headers=POLICY)

    async def answer_file(request: Request) -> Response:
        path = request.url.path
        return Response(await compressed[path].get(), headers=COMPRESSED, media_type=SWAGGER_UI[path])

    api.add_route(DOCUMENT, answer_document, include_in_schema=False)
    api.add_route(PAGE, answer_page, include_in_schema=False)
    for path in SWAGGER_UI:
        api.add_route(path, answer_file, include_in_schema=False)


def _compressed(path: str) -> bytes:
    """Compress a file of Swagger UI that the package `fastapi-swagger` has."""
    name = path.removeprefix(f"{PAGE}/")
    return gzip.compress(files("fastapi_swagger").joinpath("resources", name).read_bytes())
