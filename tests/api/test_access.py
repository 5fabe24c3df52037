"""Who may do what: tokens, their rotation, and that they never show anywhere."""

import asyncio
import os
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
from structlog.testing import capture_logs

from app.errors import ConfigError
from app.runtime import Runtime
from app.settings import Settings, load_settings
from tests.api.calls import QUIET, Api, open_api
from tests.conftest import MakeSettings
from tests.support.gate import gate_process
from tests.support.servers import StoreServer

INGEST, NEXT_INGEST, ADMIN = "ingest-0Xu3Zq", "ingest-next-7Fp", "admin-Lr91ve"
SECRETS = (INGEST, NEXT_INGEST, ADMIN)

POST = ("POST", "/transactions")
LOOKUP = ("GET", "/transactions/kept")
CLEANUPS = (("POST", "/cleanup"), ("POST", "/cleanup/emergency"), ("GET", "/cleanup"), ("GET", "/alerts"))
OPEN = (
    ("GET", "/stats"),
    ("GET", "/sources"),
    ("GET", "/reports/daily"),
    ("GET", "/reports/recent"),
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
        assert (await _call(opened, POST, f"Bearer {INGEST}")).status_code == 200
        yield opened


async def _call(
    api: Api, call: tuple[str, str], authorization: str | bytes | None = None, query: str = ""
) -> httpx.Response:
    method, path = call
    headers = {} if authorization is None else {"Authorization": authorization}
    body = {"signature": "kept"} if call == POST else None
    return await api.http.request(method, path + query, headers=headers, json=body)  # type: ignore[arg-type]


async def _status(api: Api, call: tuple[str, str], token: str) -> int:
    return (await _call(api, call, f"Bearer {token}")).status_code


def _assert_refused(response: httpx.Response) -> None:
    assert response.status_code == 401
    assert response.headers["www-authenticate"].startswith("Bearer")
    assert response.headers["content-type"] == "application/problem+json"
    problem = response.json()
    assert problem["status"] == 401
    assert "Authorization: Bearer" in problem["detail"]


@pytest.mark.parametrize("call", [POST, LOOKUP, *CLEANUPS])
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
    closed: Api, call: tuple[str, str], authorization: str | None
) -> None:
    _assert_refused(await _call(closed, call, authorization))


@pytest.mark.parametrize("call", [POST, LOOKUP, *CLEANUPS])
@pytest.mark.parametrize("token", [b"\xff\xfe", "schlüssel".encode(), b"\xc3", "schlüssel".encode("latin-1")])
async def test_a_token_that_is_not_ascii_is_refused_like_any_wrong_one(
    closed: Api, call: tuple[str, str], token: bytes
) -> None:
    _assert_refused(await _call(closed, call, b"Bearer " + token))


async def test_both_ingest_tokens_post_and_look_up_at_the_same_time(closed: Api) -> None:
    for token in (INGEST, NEXT_INGEST):
        assert await _status(closed, POST, token) == 200
        assert await _status(closed, LOOKUP, token) == 200


async def test_the_name_of_the_scheme_is_not_case_sensitive(closed: Api) -> None:
    for scheme in ("bearer", "BEARER", "Bearer"):
        assert (await _call(closed, LOOKUP, f"{scheme} {INGEST}")).status_code == 200


async def test_an_admin_token_looks_up_and_cleans_but_does_not_post(closed: Api) -> None:
    for call in (LOOKUP, *CLEANUPS):
        assert await _status(closed, call, ADMIN) == 200
    _assert_refused(await _call(closed, POST, f"Bearer {ADMIN}"))


@pytest.mark.parametrize("call", CLEANUPS)
async def test_an_ingest_token_does_not_clean(closed: Api, call: tuple[str, str]) -> None:
    _assert_refused(await _call(closed, call, f"Bearer {INGEST}"))


@pytest.mark.parametrize("call", OPEN)
async def test_figures_probes_and_docs_need_no_token(closed: Api, call: tuple[str, str]) -> None:
    assert (await _call(closed, call)).status_code == 200
    assert (await _call(closed, call, "Bearer wrong")).status_code == 200


async def test_the_token_is_checked_before_anything_else_of_the_request(closed: Api) -> None:
    _assert_refused(await _call(closed, ("POST", "/cleanup"), None, "?map=nonsense"))
    _assert_refused(await closed.http.post("/transactions", content=b"{", headers={"Content-Type": "no"}))


async def test_only_the_kind_of_access_that_has_tokens_is_closed(
    valkey: StoreServer, settings_for: MakeSettings
) -> None:
    async with open_api(settings_for(valkey, admin_tokens=ADMIN, **QUIET)) as api:
        assert (await _call(api, POST)).status_code == 200
        assert (await _call(api, LOOKUP)).status_code == 200
        _assert_refused(await _call(api, CLEANUPS[0]))
    async with open_api(settings_for(valkey, ingest_tokens=INGEST, **QUIET)) as api:
        _assert_refused(await _call(api, POST))
        _assert_refused(await _call(api, LOOKUP))
        assert (await _call(api, CLEANUPS[0])).status_code == 200


def _write(file: Path, text: str, age: int) -> None:
    """Write a secret that was changed `age` seconds before all others."""
    file.write_text(text)
    os.utime(file, (1_800_000_000 - age, 1_800_000_000 - age))


async def test_a_token_file_that_changes_is_valid_without_a_restart(
    valkey: StoreServer, settings_for: MakeSettings, tmp_path: Path
) -> None:
    ingest, admin = tmp_path / "ingest", tmp_path / "admin"
    _write(ingest, f"{INGEST}\n", 9)
    _write(admin, f"\n  {ADMIN}  \r\n\n", 9)
    async with open_api(settings_for(valkey, ingest_tokens_file=ingest, admin_tokens_file=admin)) as api:
        assert [await _status(api, POST, t) for t in SECRETS] == [200, 401, 401]
        assert await _status(api, CLEANUPS[0], ADMIN) == 200
        _write(ingest, f"{INGEST}\n{NEXT_INGEST}\n", 8)
        assert await _status(api, POST, NEXT_INGEST) == 401, "not before it is read"
        await api.runtime.plane.access.reload()
        assert [await _status(api, POST, t) for t in SECRETS] == [200, 200, 401]
        _write(ingest, NEXT_INGEST, 7)
        await api.runtime.plane.access.reload()
        assert [await _status(api, POST, t) for t in SECRETS] == [401, 200, 401]


async def test_a_token_file_is_read_again_by_itself_within_seconds(
    valkey: StoreServer, settings_for: MakeSettings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.rounds.TOKEN_RELOAD_SECONDS", 0.02)
    file = tmp_path / "ingest"
    _write(file, INGEST, 9)
    async with open_api(settings_for(valkey, ingest_tokens_file=file)) as api:
        _write(file, NEXT_INGEST, 8)
        for _ in range(200):
            if await _status(api, POST, NEXT_INGEST) == 200:
                break
            await asyncio.sleep(0.01)
        assert [await _status(api, POST, t) for t in SECRETS] == [401, 200, 401]


def _break(file: Path, how: str) -> None:
    file.unlink()
    if how == "folder":
        file.mkdir()
    elif how == "utf-16":
        file.write_bytes(f"{NEXT_INGEST}\n".encode("utf-16"))


@pytest.mark.parametrize("how", ["gone", "folder", "utf-16"])
async def test_a_token_file_that_cannot_be_read_leaves_the_tokens_read_before_valid_and_warns_once(
    valkey: StoreServer, settings_for: MakeSettings, tmp_path: Path, how: str
) -> None:
    file = tmp_path / "ingest"
    _write(file, INGEST, 9)
    async with open_api(settings_for(valkey, ingest_tokens_file=file, **QUIET)) as api:
        _break(file, how)
        with capture_logs() as logs:
            for _ in range(3):
                await api.runtime.plane.access.reload()
        assert [(entry["log_level"], entry["event"]) for entry in logs] == [
            ("warning", "tokens not read again")
        ]
        assert [await _status(api, POST, t) for t in SECRETS] == [200, 401, 401]
        assert (await _call(api, POST)).status_code == 401, "never open because a file broke"


@pytest.mark.parametrize("empty", ["", "\n \n", "\ufeff\r\n"])
async def test_a_token_file_that_is_emptied_shuts_says_so_and_opens_with_its_next_token(
    valkey: StoreServer, settings_for: MakeSettings, tmp_path: Path, empty: str
) -> None:
    ingest, admin = tmp_path / "ingest", tmp_path / "admin"
    _write(ingest, INGEST, 9)
    _write(admin, ADMIN, 9)
    async with open_api(
        settings_for(valkey, ingest_tokens_file=ingest, admin_tokens_file=admin, **QUIET)
    ) as api:
        _write(ingest, empty, 8)
        with capture_logs() as logs:
            for _ in range(3):
                await api.runtime.plane.access.reload()
        assert [(entry["log_level"], entry["event"]) for entry in logs] == [("warning", "token file shuts")]
        assert [await _status(api, POST, t) for t in (*SECRETS, "")] == [401] * 4
        assert (await _call(api, POST)).status_code == 401
        [warning] = (await api.http.get("/stats")).json()["warnings"]
        assert "TIDEGATE_INGEST_TOKENS_FILE" in warning
        unready = await api.http.get("/readyz")
        assert unready.status_code == 503
        assert "TIDEGATE_INGEST_TOKENS_FILE" in unready.text
        assert await _status(api, CLEANUPS[0], ADMIN) == 200, "the other kind of access stays as it was"
        _write(ingest, NEXT_INGEST, 7)
        await api.runtime.plane.access.reload()
        assert [await _status(api, POST, t) for t in SECRETS] == [401, 200, 401]
        assert (await api.http.get("/readyz")).status_code == 200


async def test_a_token_file_rewritten_within_one_tick_of_the_clock_is_read_again(
    valkey: StoreServer, settings_for: MakeSettings, tmp_path: Path
) -> None:
    file = tmp_path / "ingest"
    _write(file, INGEST, 9)
    async with open_api(settings_for(valkey, ingest_tokens_file=file, **QUIET)) as api:
        _write(file, "", 8)
        await api.runtime.plane.access.reload()
        _write(file, NEXT_INGEST, 8)
        await api.runtime.plane.access.reload()
        assert [await _status(api, POST, t) for t in SECRETS] == [401, 200, 401]


@pytest.mark.parametrize("name", ["ingest_tokens_file", "admin_tokens_file"])
@pytest.mark.parametrize("content", [b"", b"\n\r\n  \n", b"\xff\xfe\n", None])
def test_a_token_file_without_tokens_is_refused_at_start_by_the_name_of_its_setting(
    tmp_path: Path, name: str, content: bytes | None
) -> None:
    file = tmp_path / "tokens"
    if content is not None:
        file.write_bytes(content)
    settings = Settings(store_url="redis://127.0.0.1:1", **{name: file})  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match=f"TIDEGATE_{name.upper()}"):
        Runtime(settings)


@pytest.mark.parametrize("token", ["voilà", "schlüssel", "\N{NO-BREAK SPACE}x\N{NO-BREAK SPACE}", "名前"])
@pytest.mark.parametrize("mark", ["", "\ufeff"])
async def test_a_token_beyond_ascii_is_taken_from_file_and_list_in_each_encoding_clients_use(
    valkey: StoreServer, settings_for: MakeSettings, tmp_path: Path, token: str, mark: str
) -> None:
    file = tmp_path / "ingest"
    file.write_text(f"{mark}{token}\n", encoding="utf-8")
    forms = {token.encode(), token.encode("latin-1", "ignore") or token.encode()}
    settings = settings_for(valkey, ingest_tokens_file=file, admin_tokens=f" {token},", **QUIET)
    async with open_api(settings) as api:
        for form in forms:
            assert (await _call(api, POST, b"Bearer " + form)).status_code == 200
            assert (await _call(api, CLEANUPS[0], b"Bearer  " + form + b" ")).status_code == 200
            for wrong in (form[:-1], form + b"\xa0", form + b"x"):
                assert (await _call(api, POST, b"Bearer " + wrong)).status_code == 401


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
