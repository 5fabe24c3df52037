"""What cannot be changed, or not so: a problem document that says why, and nothing has changed."""

import gzip
from typing import Any

import pytest

from app.errors import ConfigError
from app.settings.model import load_settings
from tests.support.api_calls import Api
from tests.support.settings_calls import refused

MIB = 1024 * 1024


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        (
            {"dedup_window_seconds": 61},
            ("DEDUP_WINDOW_SECONDS", "EMERGENCY_TRANSACTION_RETENTION_SECONDS"),
        ),
        (
            {"transaction_retention_seconds": 59},
            ("TRANSACTION_RETENTION_SECONDS", "EMERGENCY_TRANSACTION_RETENTION_SECONDS"),
        ),
        ({"memory_soft_ratio": 0.95}, ("MEMORY_SOFT_RATIO", "MEMORY_HARD_RATIO")),
        ({"memory_hard_exit_ratio": 0.91}, ("MEMORY_HARD_EXIT_RATIO", "MEMORY_HARD_RATIO")),
        ({"leak_window_seconds": 4}, ("MEMORY_SAMPLE_SECONDS", "LEAK_WINDOW_SECONDS")),
        ({"max_body_bytes": 1024}, ("MAX_PAYLOAD_BYTES", "MAX_BODY_BYTES")),
        ({"max_body_bytes": 65 * MIB}, ("MAX_BODY_BYTES", "MAX_IN_FLIGHT_BYTES")),
        (
            {"signatures_limit": 10, "signatures_warn_entries": 11},
            ("SIGNATURES_WARN_ENTRIES", "SIGNATURES_LIMIT"),
        ),
    ],
)
async def test_what_contradicts_another_setting_is_refused_with_the_sentence_of_the_start(
    api: Api, changes: dict[str, Any], named: tuple[str, str]
) -> None:
    sentence = await refused(api, **changes)
    for name in named:
        assert f"TIDEGATE_{name}=" in sentence
    with pytest.raises(ConfigError) as caught:
        load_settings(**changes)
    assert sentence == str(caught.value)


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        (
            {"dedup_windw_seconds": 7},
            'there is no setting "dedup_windw_seconds"; did you mean dedup_window_seconds?',
        ),
        (
            {"TIDEGATE_SIGNATURES_LIMIT": 7},
            'there is no setting "TIDEGATE_SIGNATURES_LIMIT"; did you mean signatures_limit?',
        ),
        ({"qqqq": 7}, 'there is no setting "qqqq"'),
        ({"x" * 5000: 7}, 'there is no setting "' + "x" * 64 + '"…'),
        ({"port": 1}, "port cannot be changed at run time: set TIDEGATE_PORT and start the gate again"),
        ({"store_url": None}, "store_url cannot be changed at run time: set TIDEGATE_STORE_URL and start"),
        ({"admin_tokens": "mine"}, "admin_tokens cannot be changed at run time: set TIDEGATE_ADMIN_TOKENS"),
        ({"signatures_limit": 1.5}, "signatures_limit: must be a whole number, not 1.5"),
        ({"signatures_limit": 0}, "TIDEGATE_SIGNATURES_LIMIT: input should be greater than or equal to 1"),
        ({"signatures_limit": 10**13}, "TIDEGATE_SIGNATURES_LIMIT: input should be less than or equal to"),
        ({"memory_soft_ratio": 1.01}, "TIDEGATE_MEMORY_SOFT_RATIO: input should be less than or equal to 1"),
    ],
)
async def test_what_cannot_be_is_refused_by_its_name(
    api: Api, changes: dict[str, Any], sentence: str
) -> None:
    assert (await refused(api, leak_growth_bytes=MIB, **changes)).startswith(sentence)


async def test_everything_that_is_wrong_is_named_at_once(api: Api) -> None:
    detail = await refused(api, port=1, dedup_window_seconds="7", observation_limit=3)
    for name in ("port cannot", "dedup_window_seconds: must be a number", "observations_limit?"):
        assert name in detail


@pytest.mark.parametrize("value", [True, False, "7", "", [], [7], {}, {"value": 7}])
@pytest.mark.parametrize("name", ["dedup_window_seconds", "signatures_limit", "memory_limit_bytes"])
async def test_a_value_of_another_type_is_refused(api: Api, name: str, value: object) -> None:
    assert (await refused(api, 422, **{name: value})).startswith(f"{name}: must be a number")


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"", 400),
        (b"{", 400),
        (b'{"leak_growth_bytes":NaN}', 400),
        (b'{"leak_growth_bytes":Infinity}', 400),
        (b'{"leak_growth_bytes":0x10}', 400),
        (b'{"leak_growth_bytes":1e400}', 422),
        (b'{"leak_growth_bytes":-1e400}', 422),
        (b'{"memory_soft_ratio":1e-400}', 422),
        (b'{"leak_growth_bytes":' + b"9" * 39 + b"}", 422),
        (b'{"leak_growth_bytes":' + b"9" * 9000 + b"}", 422),
        (b'{"dedup_window_seconds":' + b"9" * 39 + b"}", 422),
        (b"[]", 422),
        (b'[{"leak_growth_bytes":1}]', 422),
        (b"null", 422),
        (b"7", 422),
        (b'"leak_growth_bytes"', 422),
        (b"[" * 16_000, 422),
        (b'{"leak_growth_bytes":' + b"[" * 16_000, 400),
        (b'{"a":' * 2_500 + b"1" + b"}" * 2_500, 400),
        (b'{"\xff":1}', 400),
        (b'{"' + b'":1,"'.join(b"m%d" % n for n in range(1000)) + b'":1}', 422),
        (b'{"leak_growth_bytes":1' + b" " * 20_000 + b"}", 413),
    ],
)
async def test_a_body_that_cannot_be_is_a_problem_document_and_changes_nothing(
    api: Api, body: bytes, status: int
) -> None:
    response = await api.http.patch("/settings", content=body, headers={"Content-Type": "application/json"})
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/problem+json"
    assert len(response.content) < 4096
    assert (await api.http.get("/settings")).json()["version"] == 0


async def test_only_json_is_taken(api: Api) -> None:
    for kind, status in (
        ("text/plain", 415),
        ("application/merge-patch+json", 200),
        ("application/json", 200),
    ):
        response = await api.http.patch("/settings", content=b"{}", headers={"Content-Type": kind})
        assert response.status_code == status
    assert (await api.http.post("/settings", json={})).status_code == 405


async def test_a_small_body_that_inflates_to_a_large_one_is_refused(api: Api) -> None:
    body = gzip.compress(b'{"leak_growth_bytes":1' + b" " * 10 * MIB + b"}")
    headers = {"Content-Type": "application/json", "Content-Encoding": "gzip"}
    assert (await api.http.patch("/settings", content=body, headers=headers)).status_code == 413


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        (rb'{"qqqq\ud83d": 7}', r"there is no setting"),
        (rb'{"signatures_limit": "\udc00"}', "signatures_limit: must be a number"),
    ],
)
async def test_half_an_emoji_is_json_and_what_is_refused_is_the_setting(
    api: Api, body: bytes, sentence: str
) -> None:
    answer = await api.http.patch("/settings", content=body, headers={"Content-Type": "application/json"})
    assert answer.status_code == 422
    assert sentence in answer.json()["detail"]
