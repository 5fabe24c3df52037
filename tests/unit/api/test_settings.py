"""Settings: the documented names and defaults, and a sentence for everything that cannot be."""

from pathlib import Path

import pytest

from app.errors import ConfigError
from app.models import MapName
from app.runtime import Runtime
from app.settings.descriptions import description_of
from app.settings.model import Settings, env_name, load_settings
from app.store.map_rules import map_rules

MIB = 1024 * 1024
DEFAULTS: dict[str, object] = {
    "HOST": "127.0.0.1",
    "PORT": 8000,
    "STORE_URL": None,
    "STORE_DEADLINE_SECONDS": 1.0,
    "EMBEDDED_STORE_LIMIT_BYTES": 512 * MIB,
    "DEDUP_WINDOW_SECONDS": 5,
    "TRANSACTION_RETENTION_SECONDS": 120,
    "OBSERVATION_RETENTION_SECONDS": 120,
    "EMERGENCY_TRANSACTION_RETENTION_SECONDS": 60,
    "EMERGENCY_OBSERVATION_RETENTION_SECONDS": 60,
    "CLEANUP_INTERVAL_SECONDS": 30,
    "SIGNATURE_CLEANUP_INTERVAL_SECONDS": 5,
    "SIGNATURES_LIMIT": 1_000_000,
    "TRANSACTIONS_LIMIT": 1_000_000,
    "OBSERVATIONS_LIMIT": 3_000_000,
    "TRANSACTIONS_LIMIT_BYTES": 256 * MIB,
    "SIGNATURES_WARN_ENTRIES": None,
    "TRANSACTIONS_WARN_ENTRIES": None,
    "OBSERVATIONS_WARN_ENTRIES": None,
    "MAX_BODY_BYTES": 8 * MIB,
    "MAX_INFLATED_BYTES": 32 * MIB,
    "MAX_BATCH_ITEMS": 10_000,
    "MAX_PAYLOAD_BYTES": 256 * 1024,
    "MAX_SOURCES": 64,
    "INGEST_TOKENS": (),
    "INGEST_TOKENS_FILE": None,
    "ADMIN_TOKENS": (),
    "ADMIN_TOKENS_FILE": None,
    "MEMORY_LIMIT_BYTES": None,
    "MEMORY_MACHINE_RATIO": 0.5,
    "MEMORY_SAMPLE_SECONDS": 5,
}
# Another valid value of each.
OTHERS: dict[str, tuple[str, object]] = {
    "HOST": ("::1", "::1"),
    "PORT": ("0", 0),
    "STORE_URL": ("redis://127.0.0.1:7000", "redis://127.0.0.1:7000"),
    "STORE_DEADLINE_SECONDS": ("0.25", 0.25),
    "EMBEDDED_STORE_LIMIT_BYTES": ("33554432", 32 * MIB),
    "DEDUP_WINDOW_SECONDS": ("7.5", 7.5),
    "TRANSACTION_RETENTION_SECONDS": ("90", 90),
    "OBSERVATION_RETENTION_SECONDS": ("90", 90),
    "EMERGENCY_TRANSACTION_RETENTION_SECONDS": ("30", 30),
    "EMERGENCY_OBSERVATION_RETENTION_SECONDS": ("30", 30),
    "CLEANUP_INTERVAL_SECONDS": ("10", 10),
    "SIGNATURE_CLEANUP_INTERVAL_SECONDS": ("1", 1),
    "SIGNATURES_LIMIT": ("1000", 1000),
    "TRANSACTIONS_LIMIT": ("1000", 1000),
    "OBSERVATIONS_LIMIT": ("1000", 1000),
    "TRANSACTIONS_LIMIT_BYTES": ("8388608", 8 * MIB),
    "SIGNATURES_WARN_ENTRIES": ("1000", 1000),
    "TRANSACTIONS_WARN_ENTRIES": ("100", 100),
    "OBSERVATIONS_WARN_ENTRIES": ("10", 10),
    "MAX_BODY_BYTES": ("1048576", MIB),
    "MAX_INFLATED_BYTES": ("1048576", MIB),
    "MAX_BATCH_ITEMS": ("100", 100),
    "MAX_PAYLOAD_BYTES": ("1024", 1024),
    "MAX_SOURCES": ("3", 3),
    "INGEST_TOKENS": (" one ,two,", ("one", "two")),
    "INGEST_TOKENS_FILE": ("/run/secrets/ingest", Path("/run/secrets/ingest")),
    "ADMIN_TOKENS": ("one", ("one",)),
    "ADMIN_TOKENS_FILE": ("/run/secrets/admin", Path("/run/secrets/admin")),
    "MEMORY_LIMIT_BYTES": ("1073741824", 1024 * MIB),
    "MEMORY_MACHINE_RATIO": ("0.25", 0.25),
    "MEMORY_SAMPLE_SECONDS": ("0.5", 0.5),
}
TEXTS = ("HOST", "STORE_URL", "INGEST_TOKENS", "INGEST_TOKENS_FILE", "ADMIN_TOKENS", "ADMIN_TOKENS_FILE")
NUMBERS = [name for name in DEFAULTS if name not in TEXTS]
FIELDS = {env_name(field) for field in Settings.model_fields}


def _set(patch: pytest.MonkeyPatch, **values: object) -> None:
    for name, text in values.items():
        patch.setenv(f"TIDEGATE_{name}", str(text))


def _refusal(patch: pytest.MonkeyPatch, **values: object) -> str:
    _set(patch, **values)
    with pytest.raises(ConfigError) as caught:
        load_settings()
    return str(caught.value)


def test_the_two_tables_name_the_same_settings_and_all_of_them_exist() -> None:
    assert set(DEFAULTS) == set(OTHERS)
    assert {f"TIDEGATE_{name}" for name in DEFAULTS} <= FIELDS


@pytest.mark.parametrize(("name", "default"), DEFAULTS.items())
def test_a_setting_has_the_documented_default(name: str, default: object) -> None:
    assert getattr(load_settings(), name.lower()) == default


@pytest.mark.parametrize(("name", "text", "parsed"), [(name, *other) for name, other in OTHERS.items()])
def test_a_setting_is_read_from_its_variable(
    monkeypatch: pytest.MonkeyPatch, name: str, text: str, parsed: object
) -> None:
    _set(monkeypatch, **{name: text})
    assert getattr(load_settings(), name.lower()) == parsed


def test_replicas_are_wanted_only_of_a_store_that_may_have_some(monkeypatch: pytest.MonkeyPatch) -> None:
    sentence = _refusal(monkeypatch, STORE_MIN_REPLICAS=1)
    assert sentence == "TIDEGATE_STORE_MIN_REPLICAS needs a store that has replicas: set TIDEGATE_STORE_URL"
    _set(monkeypatch, STORE_URL="redis://127.0.0.1:7000")
    assert load_settings().store_min_replicas == 1


def test_an_argument_wins_over_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    _set(monkeypatch, PORT=7001)
    assert load_settings(port=7002).port == 7002


@pytest.mark.parametrize("name", Settings.model_fields)
def test_every_setting_is_described_by_a_sentence(name: str) -> None:
    assert description_of(name).endswith((".", "`.", "503.", "431.", "408."))


@pytest.mark.parametrize("name", NUMBERS)
@pytest.mark.parametrize("junk", ["junk", "-1", "1,5", "nan", "1e999", "inf"])
def test_junk_is_refused_with_a_sentence_that_names_the_variable(
    monkeypatch: pytest.MonkeyPatch, name: str, junk: str
) -> None:
    sentence = _refusal(monkeypatch, **{name: junk})
    assert sentence.startswith(f"TIDEGATE_{name}: ")
    assert len(sentence) > len(f"TIDEGATE_{name}: ") + 10


@pytest.mark.parametrize(
    ("name", "junk"), [("LOG_FORMAT", "xml"), ("LOG_LEVEL", "loud"), ("STORE_PREFIX", "{x}")]
)
def test_junk_in_a_setting_with_few_values_names_the_variable(
    monkeypatch: pytest.MonkeyPatch, name: str, junk: str
) -> None:
    assert _refusal(monkeypatch, **{name: junk}).startswith(f"TIDEGATE_{name}: ")


def test_every_wrong_setting_is_named_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    sentence = _refusal(monkeypatch, PORT="many", MAX_SOURCES="0", DEDUP_WINDOW_SECONDS="soon")
    for name in ("PORT", "MAX_SOURCES", "DEDUP_WINDOW_SECONDS"):
        assert f"TIDEGATE_{name}: " in sentence


@pytest.mark.parametrize(
    "url", ["localhost:6379", "http://127.0.0.1", "redis://", "unix://", "redis", "://x"]
)
def test_a_store_url_that_cannot_be_is_refused_by_its_name(url: str) -> None:
    with pytest.raises(ConfigError, match="TIDEGATE_STORE_URL"):
        Runtime(load_settings(store_url=url))


@pytest.mark.parametrize(
    "url", ["redis://127.0.0.1:junk", "redis://127.0.0.1:99999", "redis://127.0.0.1/junk"]
)
def test_a_store_url_with_a_part_that_cannot_be_is_refused_by_its_name(url: str) -> None:
    with pytest.raises(ConfigError, match="TIDEGATE_STORE_URL"):
        Runtime(load_settings(store_url=url))


@pytest.mark.parametrize(
    ("low", "high"),
    [
        ({"EMERGENCY_TRANSACTION_RETENTION_SECONDS": 91}, {"TRANSACTION_RETENTION_SECONDS": 90}),
        ({"EMERGENCY_OBSERVATION_RETENTION_SECONDS": 91}, {"OBSERVATION_RETENTION_SECONDS": 90}),
        ({"DEDUP_WINDOW_SECONDS": 31}, {"EMERGENCY_TRANSACTION_RETENTION_SECONDS": 30}),
        ({"MAX_PAYLOAD_BYTES": 2048}, {"MAX_BODY_BYTES": 2047}),
        ({"MAX_BODY_BYTES": 3 * MIB}, {"MAX_IN_FLIGHT_BYTES": 2 * MIB}),
        ({"MAX_INFLATED_BYTES": 33 * MIB}, {"MAX_IN_FLIGHT_BYTES": 32 * MIB}),
        ({"MAX_BATCH_ITEMS": 101}, {"MAX_QUEUED_ITEMS": 100}),
        ({"MAX_BODY_BYTES": 7 * MIB, "MAX_INFLATED_BYTES": MIB}, {"MAX_QUEUED_BYTES": 2 * MIB}),
        ({"MAX_INFLATED_BYTES": 7 * MIB, "MAX_BODY_BYTES": MIB}, {"MAX_QUEUED_BYTES": 2 * MIB}),
        ({"SIGNATURES_WARN_ENTRIES": 11}, {"SIGNATURES_LIMIT": 10}),
        ({"TRANSACTIONS_WARN_ENTRIES": 11}, {"TRANSACTIONS_LIMIT": 10}),
        ({"OBSERVATIONS_WARN_ENTRIES": 11}, {"OBSERVATIONS_LIMIT": 10}),
        ({"INGEST_TOKENS": "one"}, {"INGEST_TOKENS_FILE": "somewhere"}),
        ({"ADMIN_TOKENS": "one"}, {"ADMIN_TOKENS_FILE": "somewhere"}),
    ],
)
def test_settings_that_contradict_each_other_are_refused_with_a_sentence_naming_both(
    monkeypatch: pytest.MonkeyPatch, low: dict[str, object], high: dict[str, object]
) -> None:
    sentence = _refusal(monkeypatch, **low, **high)
    for name in (next(iter(low)), next(iter(high))):
        assert f"TIDEGATE_{name}" in sentence


def test_settings_that_just_agree_are_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    _set(
        monkeypatch,
        DEDUP_WINDOW_SECONDS=30,
        EMERGENCY_TRANSACTION_RETENTION_SECONDS=30,
        TRANSACTION_RETENTION_SECONDS=30,
        MAX_PAYLOAD_BYTES=4096,
        MAX_BODY_BYTES=4096,
        SIGNATURES_LIMIT=10,
        SIGNATURES_WARN_ENTRIES=10,
    )
    assert load_settings().dedup_window_seconds == 30


def test_a_contradiction_with_a_default_names_the_default_too(monkeypatch: pytest.MonkeyPatch) -> None:
    sentence = _refusal(monkeypatch, DEDUP_WINDOW_SECONDS=61)
    assert "TIDEGATE_DEDUP_WINDOW_SECONDS=61" in sentence
    assert "TIDEGATE_EMERGENCY_TRANSACTION_RETENTION_SECONDS=60" in sentence


def test_the_warning_size_is_80_percent_of_the_limit_unless_set(monkeypatch: pytest.MonkeyPatch) -> None:
    _set(monkeypatch, SIGNATURES_LIMIT=1000, TRANSACTIONS_WARN_ENTRIES=100)
    warn = {name: rule.warn_entries for name, rule in map_rules(load_settings()).items()}
    assert warn == {
        MapName.SIGNATURES: 800,
        MapName.TRANSACTIONS: 100,
        MapName.OBSERVATIONS: 2_400_000,
    }


def test_a_token_file_is_one_token_a_line(tmp_path: Path) -> None:
    file = tmp_path / "tokens"
    file.write_text("one\n\n  two  \r\nthree")
    access = Runtime(load_settings(store_url="redis://127.0.0.1:1", ingest_tokens_file=file)).plane.access
    for token in ("one", "two", "three"):
        access.check_ingest(f"Bearer {token}")
