"""`GET /settings` and `PATCH /settings`."""

from collections.abc import Iterable
from typing import Annotated

from fastapi import APIRouter, Header, Request, Response

from app.api.deps import part
from app.api.json_body import read_small_json
from app.api.middleware import to_its_end
from app.api.openapi.common import problems
from app.ingest.data_plane import DataPlane
from app.runtime_settings.changes import SettingsSync
from app.runtime_settings.patch_body import read_changes
from app.runtime_settings.settings_view import SettingsDocument, settings_document
from app.settings.model import Settings

router = APIRouter(tags=["settings"])

MEDIA_TYPES = ("application/json", "application/merge-patch+json")

SyncDep = Annotated[SettingsSync, part(SettingsSync)]
IfMatch = Annotated[
    str | None, Header(description="Change only what has this entity tag, as GET /settings gave it.")
]


@router.get("/settings", responses=problems(s401="No valid token"))
async def get_settings(sync: SyncDep, response: Response) -> SettingsDocument:
    """Every setting of this gate with its value, where it comes from, and whether it can be changed."""
    return await _document(sync, response)


@router.patch(
    "/settings",
    responses=problems(
        s400="Not JSON, or nested too deeply",
        s401="No valid token",
        s408="The body did not come in time",
        s409="The store holds settings of a newer Tidegate",
        s412="The settings are no longer those of If-Match",
        s413="More than 16 KiB",
        s415="Neither application/json nor application/merge-patch+json",
        s422="An unknown setting, one fixed at the start, or values that do not fit; nothing is changed",
        s503="The store is down: nothing is changed, unless it fails in that very moment",
    ),
)
async def patch_settings(
    request: Request,
    response: Response,
    sync: SyncDep,
    plane: Annotated[DataPlane, part(DataPlane)],
    if_match: IfMatch = None,
) -> SettingsDocument:
    """Change settings of all gates that share the store, all or none; null goes back to the start's.

    The answer has those that the body names.
    """
    headers = dict(request.scope["headers"])
    body = await read_small_json(plane, headers, request.receive, "/settings", MEDIA_TYPES)
    changes = read_changes(body)
    await to_its_end(sync.change(changes, if_match))
    return await _document(sync, response, changes)


async def _document(
    sync: SettingsSync, response: Response, names: Iterable[str] = Settings.model_fields
) -> SettingsDocument:
    document = sync.document
    response.headers["ETag"] = document.etag
    return await settings_document(sync.live, document, names)
