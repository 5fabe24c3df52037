"""What takes long to make the first time is made beside the event loop, which serves others meanwhile."""

import threading
from collections.abc import Callable
from typing import Any

import jinja2
import pytest
from fastapi.dependencies.utils import get_dependant
from fastapi.openapi.utils import get_openapi

from app.process.made_once import MadeOnce
from app.settings.descriptions import descriptions
from app.web.page import _environment, _load
from tests.support.api_calls import Api

pytestmark = pytest.mark.asyncio


def noting_threads(make: Callable[..., Any], threads: list[threading.Thread]) -> Callable[..., Any]:
    def noted(*given: Any, **named: Any) -> Any:
        threads.append(threading.current_thread())
        return make(*given, **named)

    return noted


async def test_the_openapi_document_the_page_and_the_sentences_on_settings_are_made_in_threads(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    threads: list[threading.Thread] = []
    read = MadeOnce(noting_threads(descriptions.__wrapped__, threads))
    monkeypatch.setattr("app.runtime_settings.settings_view._descriptions", read)
    monkeypatch.setattr("fastapi.applications.get_openapi", noting_threads(get_openapi, threads))
    monkeypatch.setattr(jinja2.Environment, "compile", noting_threads(jinja2.Environment.compile, threads))
    monkeypatch.setattr("app.web.page._templates", MadeOnce(_load))
    _environment.cache_clear()
    for _ in range(2):
        for path in ("/openapi.json", "/", "/settings"):
            assert (await api.http.get(path)).status_code == 200
    assert len(threads) >= 4
    assert threading.main_thread() not in threads


async def test_no_route_is_made_at_the_first_request(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[threading.Thread] = []
    monkeypatch.setattr("fastapi.routing.get_dependant", noting_threads(get_dependant, made))
    for path in ("/stats", "/settings", "/readyz", "/"):
        assert (await api.http.get(path)).status_code == 200
    assert not made
