"""The part of the OpenAPI document on feeds, whose route is plain ASGI."""

from typing import Any

from app.api.openapi.common import COUNT, SOURCE, STORE_DOWN, json_response, problems
from app.api.openapi.transactions import SUMMARY
from app.feeds.shape_names import Shape

_SUMMARY: dict[str, Any] = SUMMARY | {
    "required": [*SUMMARY["required"], "skipped"],
    "properties": SUMMARY["properties"]
    | {"skipped": COUNT | {"description": "Left out as the feed's `skip` says; they have no index."}},
}
_BODY = {"schema": {"description": "What the provider sends: JSON, or NDJSON."}}
POST: dict[str, Any] = {
    "tags": ["transactions"],
    "operationId": "post_feed",
    "summary": "Post Feed",
    "description": "Take what a provider sends, as it sends it, and let each transaction in it through once. "
    f"The shape of the body is recognised: {', '.join(Shape)}. Its media type means nothing.",
    "parameters": [
        {
            "name": "feed",
            "in": "path",
            "required": True,
            "schema": SOURCE,
            "description": "The source of the transactions; it need not be declared.",
        }
    ],
    "requestBody": {"required": True, "content": {"application/json": _BODY, "*/*": _BODY}},
    "responses": {
        200: json_response("What became of the transactions that were found", _SUMMARY),
        **problems(
            s400="Not JSON, not gzip, or cut off",
            s401="No valid token, or the body is not signed with a secret of the feed",
            s404="No feed can have this name",
            s408="The body did not come in time",
            s413="The body is past its limit, sent or inflated",
            s415="The body's coding is not supported",
            s422="All that was found is invalid, or the request names a source beside the feed",
            s429="The feed has used up its share of the rate; nothing of the body was taken",
        ),
        **STORE_DOWN,
    },
}
