"""Who may do what: tokens, their rotation, and that they never show anywhere."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from app.errors import ConfigError
from app.runtime import Runtime
from app.settings.model import Settings, load_settings
from tests.conftest import MakeSettings
from tests.support.api_calls import QUIET, Api, open_api
from tests.support.gate import gate_process
from tests.support.servers import StoreServer
from tests.support.tokens import (
    ADMIN,
    CLEANUPS,
    INGEST,
    LOOKUP,
    NEXT_INGEST,
    POST,
    READERS,
    SECRETS,
    assert_refused,
    call,
    status_of,
)

OPEN = (
    ("GET", "/"),
    ("GET", "/page/figures"),
    ("GET", "/stats"),
    ("GET", "/sources"),
    ("GET", "/reports/daily"),
    ("GET", "/reports/recent"),
    ("GET", "/drill"),
    ("GET", "/metrics"),
    ("GET", "/livez"),
    ("GET", "/readyz"),
    ("GET", "/docs"),
)


@pytest.fixture
async def closed(valkey: StoreServer, settings_for: MakeSettings) -> AsyncIterator[Api]:
    """A gate with two ingest tokens and an admin token, and one transaction in it."""
    tokens = {"ingest_tokens": f"{INGEST}, {NEXT_INGEST}", "admin_tokens": ADMIN}
    async with open_api(settings_for(valkey, **tokens, **QUIET)) as opened:
        assert (await call(opened, POST, f"Bearer {INGEST}")).status_code == 200
        yield opened


@pytest.mark.parametrize("way", [POST, LOOKUP, *READERS, *CLEANUPS])
@pytest.mark.parametrize(
    "authorization",
    [
        None,
        "",
        "Bearer",
        "Bearer ",
        "Bearer wrong",
        f"Bearer {INGEST}x",
        f"Bearer {INGEST[:-1]}",
        f"Bearer {INGEST}, {ADMIN}",
        f"Bearer {INGEST.upper()}",
        f"Basic {ADMIN}",
        ADMIN,
        INGEST,
    ],
)
async def test_without_a_valid_token_it_is_401_and_says_what_to_send(
    closed: Api, way: tuple[str, str], authorization: str | None
) -> None:
    assert_refused(await call(closed, way, authorization))


@pytest.mark.parametrize("way", [POST, LOOKUP, *CLEANUPS])
@pytest.mark.parametrize("token", [b"\xff\xfe", "schlüssel".encode(), b"\xc3", "schlüssel".encode("latin-1")])
async def test_a_token_that_is_not_ascii_is_refused_like_any_wrong_one(
    closed: Api, way: tuple[str, str], token: bytes
) -> None:
    assert_refused(await call(closed, way, b"Bearer " + token))


async def test_both_ingest_tokens_post_and_look_up_at_the_same_time(closed: Api) -> None:
    for token in (INGEST, NEXT_INGEST):
        assert await status_of(closed, POST, token) == 200
        assert await status_of(closed, LOOKUP, token) == 200


async def test_the_name_of_the_scheme_is_not_case_sensitive(closed: Api) -> None:
    for scheme in ("bearer", "BEARER", "Bearer"):
        assert (await call(closed, LOOKUP, f"{scheme} {INGEST}")).status_code == 200


async def test_an_admin_token_looks_up_and_cleans_but_does_not_post(closed: Api) -> None:
    for way in (LOOKUP, *CLEANUPS):
        assert await status_of(closed, way, ADMIN) == 200
    assert_refused(await call(closed, POST, f"Bearer {ADMIN}"))


@pytest.mark.parametrize("token", [INGEST, NEXT_INGEST, ADMIN])
async def test_a_token_of_either_kind_reads(closed: Api, token: str) -> None:
    for way in READERS:
        # A body that cannot be taken, and a stream that ends at once: who comes so far was let in.
        status = (await call(closed, way, f"Bearer {token}")).status_code
        assert status in (200, 404, 415, 422), way


@pytest.mark.parametrize("way", CLEANUPS)
async def test_an_ingest_token_does_not_clean(closed: Api, way: tuple[str, str]) -> None:
    assert_refused(await call(closed, way, f"Bearer {INGEST}"))


@pytest.mark.parametrize("way", OPEN)
async def test_figures_probes_and_docs_need_no_token(closed: Api, way: tuple[str, str]) -> None:
    assert (await call(closed, way)).status_code == 200
    assert (await call(closed, way, "Bearer wrong")).status_code == 200


async def test_the_token_is_checked_before_anything_else_of_the_request(closed: Api) -> None:
    assert_refused(await call(closed, ("POST", "/cleanup"), None, "?map=nonsense"))
    assert_refused(await closed.http.post("/transactions", content=b"{", headers={"Content-Type": "no"}))


async def test_only_the_kind_of_access_that_has_tokens_is_closed(
    valkey: StoreServer, settings_for: MakeSettings
) -> None:
    async with open_api(settings_for(valkey, admin_tokens=ADMIN, **QUIET)) as api:
        assert (await call(api, POST)).status_code == 200
        assert (await call(api, LOOKUP)).status_code == 200
        assert_refused(await call(api, CLEANUPS[0]))
    async with open_api(settings_for(valkey, ingest_tokens=INGEST, **QUIET)) as api:
        assert_refused(await call(api, POST))
        assert_refused(await call(api, LOOKUP))
        assert (await call(api, CLEANUPS[0])).status_code == 200


def test_no_token_and_no_password_stands_in_the_repr_of_settings_or_access() -> None:
    settings = Settings(
        store_url="redis://user:store-pw-55@127.0.0.1:1",
        ingest_tokens=(INGEST, NEXT_INGEST),
        admin_tokens=(ADMIN,),
    )
    runtime = Runtime(settings)
    for text in (
        repr(settings),
        str(settings),
        repr(runtime.plane.access),
        repr(vars(runtime)),
        repr(runtime),
    ):
        for secret in (*SECRETS, "store-pw-55"):
            assert secret not in text


def test_no_token_stands_in_the_sentence_about_settings_that_are_wrong() -> None:
    with pytest.raises(ConfigError) as caught:
        load_settings(ingest_tokens=f"{INGEST},{ADMIN}", ingest_tokens_file="somewhere", port="nonsense")
    assert not any(secret in str(caught.value) for secret in SECRETS)
    with pytest.raises(ConfigError) as caught:
        load_settings(ingest_tokens=INGEST, ingest_tokens_file="somewhere")
    assert not any(secret in str(caught.value) for secret in SECRETS)


def test_no_token_reaches_the_log_the_metrics_or_an_answer(valkey: StoreServer, tmp_path: Path) -> None:
    file = tmp_path / "admin"
    file.write_text(ADMIN)
    wrong = "wrong-token-41"
    with gate_process(
        store_url=valkey.url, ingest_tokens=INGEST, admin_tokens_file=file, log_level="debug"
    ) as gate:
        texts = []
        with gate.client() as client:
            for token in (INGEST, ADMIN, wrong, f"{wrong}\xff"):
                headers = {b"Authorization": f"Bearer {token}".encode("latin-1")}
                for method, path in (POST, LOOKUP, *CLEANUPS, *OPEN):
                    answer = client.request(method, path, headers=headers, json={"signature": "kept"})
                    assert answer.status_code in (200, 401)
                    texts.append(answer.text)
        assert gate.terminate() == 0
        texts.append(gate.log.read_text())
    assert "listening" in texts[-1]
    for text in texts:
        assert not any(secret in text for secret in (INGEST, ADMIN, wrong))
