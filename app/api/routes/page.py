"""`GET /`, the live page, with what it loads and its figures as JSON.

- `GET /` answers the page with the figures of this moment, so that it can be read without scripts.
- `GET /page/figures` answers these figures as JSON, for `tidegate top`: `{"state": "ready", …}`
"""

from typing import Annotated, Final

from fastapi import APIRouter, Request, Response
from starlette.responses import HTMLResponse

from app.api.addresses import PAGE_FIGURES, PAGE_FILES
from app.api.deps import part
from app.web.figures_document import LiveFigures
from app.web.gather_figures import Board
from app.web.page import page, page_file, prepare

router = APIRouter(tags=["operations"])

# Whatever a figure might hold, a browser loads and runs nothing but the page's own files, sends nothing
# elsewhere, and shows the page in no frame of another.
HEADERS: Final = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
    "img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "Cache-Control": "no-store",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}
_FILE_HEADERS: Final = {"Cache-Control": "no-cache", "X-Content-Type-Options": "nosniff"}

BoardDep = Annotated[Board, part(Board)]


@router.get("/", include_in_schema=False)
async def get_page(board: BoardDep) -> HTMLResponse:
    """The live page."""
    await prepare()
    return HTMLResponse(page(await board.document()), headers=HEADERS)


@router.get(PAGE_FIGURES)
async def get_page_figures(board: BoardDep) -> LiveFigures:
    """What the live page shows, a second old at most: `/stats`, rates, feeds, consumers, cleanups."""
    return await board.figures()


async def get_page_file(request: Request) -> Response:
    """The style or the script of the live page."""
    path = request.url.path
    return Response(page_file(path.rpartition("/")[2]), headers=_FILE_HEADERS, media_type=PAGE_FILES[path])


for _path in PAGE_FILES:
    router.add_api_route(_path, get_page_file, include_in_schema=False)
