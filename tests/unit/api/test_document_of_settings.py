"""The OpenAPI document says of `PATCH /settings` what may be changed, within which limits."""

from app.api.routes import transactions
from app.api.routes.settings import MEDIA_TYPES
from app.main import create_api
from app.runtime import Runtime
from app.settings.descriptions import description_of
from app.settings.model import CHANGEABLE, Settings


def test_a_change_may_hold_every_changeable_setting_within_its_limits_or_null() -> None:
    runtime = Runtime(Settings(store_url="redis://127.0.0.1:1"))
    document = create_api(runtime, transactions.routes(runtime.plane)).openapi()
    content = document["paths"]["/settings"]["patch"]["requestBody"]["content"]
    assert set(content) == set(MEDIA_TYPES)
    for kind in content.values():
        members = kind["schema"]["properties"]
        assert set(members) == set(CHANGEABLE)
        assert {name: member["description"] for name, member in members.items()} == {
            name: description_of(name) for name in CHANGEABLE
        }
        assert all({"type": "null"} in member["anyOf"] for member in members.values())
        [window, _] = members["dedup_window_seconds"]["anyOf"]
        assert window == {"type": "number", "minimum": 0.1, "maximum": 3600}
        assert kind["schema"]["additionalProperties"] is False
