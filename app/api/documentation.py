"""`/openapi.json` and `/docs`: bytes that are made once, since both are large and open to all."""

from functools import cache

from fastapi import FastAPI
from fastapi.openapi.docs import get_swagger_ui_html
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response

DOCUMENT, PAGE = "/openapi.json", "/docs"


def add_documentation(api: FastAPI) -> None:
    """Serve both in the place of FastAPI, which makes them anew for every request."""

    @cache
    def document() -> bytes:
        return bytes(JSONResponse(api.openapi()).body)

    page = get_swagger_ui_html(openapi_url=DOCUMENT, title=f"{api.title} - Swagger UI").body

    async def answer_document(_: Request) -> Response:
        return Response(document(), media_type="application/json")

    async def answer_page(_: Request) -> Response:
        return HTMLResponse(page)

    api.add_route(DOCUMENT, answer_document, include_in_schema=False)
    api.add_route(PAGE, answer_page, include_in_schema=False)
