"""What TIDEGATE_STORE_URL may say, and the sentence for each thing that it may not."""

import pytest

from app.errors import ConfigError
from app.store.store_url import normal_url, parse_address, safe_url
from tests.support.gate import gate_process


@pytest.mark.parametrize(
    "url",
    [
        *("", "http://x", "127.0.0.1:6379", "redis://", "unix://"),
        *("redis://[::1", "redis://[store]:6379", "redis://a..b", f"redis://{'a' * 64}"),
    ],
)
def test_a_url_that_names_no_store_is_refused_with_the_setting_named(url: str) -> None:
    with pytest.raises(ConfigError, match="TIDEGATE_STORE_URL"):
        normal_url(url)


@pytest.mark.parametrize(
    "url",
    ["redis://a\0b", "redis://a%00b", "unix:///run/a%00b.sock", "rediss://h?ssl_ca_certs=/a%00b"],
)
def test_a_nul_is_refused_at_the_start_and_not_by_each_connection(url: str) -> None:
    with pytest.raises(ConfigError, match="TIDEGATE_STORE_URL: no host and no name of a file holds a NUL"):
        normal_url(url)


@pytest.mark.parametrize(
    ("url", "named"),
    [
        ("redis://h?decode_responses=true", "decode_responses"),
        ("redis://h:1/0?protocol=4", "protocol must be 2 or 3"),
        ("redis://h?max_connections=1", "max_connections"),
        ("redis://h?client_name=a%20b", "client_name must be printable"),
        ("redis://h?client_name=", "client_name must be printable"),
        ("redis://h?socket_timeout=9", "TIDEGATE_STORE_DEADLINE_SECONDS"),
        ("redis://h?db=x", "number of a database"),
        ("redis://h?ssl_ca_certs=/x", "rediss://"),
        ("rediss://h?ssl_cert_reqs=never", "ssl_cert_reqs"),
        ("rediss://h?ssl_check_hostname=maybe", "ssl_check_hostname"),
        ("unix:///run/x?retry_on_timeout=1", "retry_on_timeout"),
    ],
)
def test_an_option_that_is_not_known_is_refused_by_its_name(url: str, named: str) -> None:
    with pytest.raises(ConfigError, match="TIDEGATE_STORE_URL") as caught:
        normal_url(url)
    assert named in str(caught.value)


@pytest.mark.parametrize(
    "url",
    [
        *("redis://:pa#ss@host:6379/0", "redis://:pa/ss@host:6379/0", "redis://:pa?ss@host:6379/0"),
        *("redis://us/er:pass@host", "rediss://:#pass@host", "redis://:pass#@host", "redis://:[pass]@host"),
        *("unix://:pa/ss@/run/valkey.sock", "unix://:pa#ss@/run/valkey.sock"),
        *("redis://user:pa?s=ss@host:6379/0", "redis://:pa?s=ss@host"),
    ],
)
def test_a_password_that_ends_too_early_gets_a_sentence_that_does_not_show_it(url: str) -> None:
    with pytest.raises(
        ConfigError, match="TIDEGATE_STORE_URL: special characters in user and password"
    ) as caught:
        normal_url(url)
    assert "pass" not in str(caught.value).replace("password", "")
    assert "ss@" not in str(caught.value)


def test_a_password_that_is_percent_encoded_is_taken() -> None:
    assert parse_address("redis://:%23%2F%3F%40%5B%5D%25@host").password == "#/?@[]%"
    assert parse_address("redis://:a@b@host").password == "a@b"
    assert parse_address("unix://:%2F@/run/a@b.sock").path == "/run/a@b.sock"
    assert parse_address("unix:///run/a@b.sock").path == "/run/a@b.sock"
    assert parse_address("rediss://[::1]:1?ssl_ca_certs=/a@b.pem").tls == (("ssl_ca_certs", "/a@b.pem"),)


@pytest.mark.parametrize("url", ["redis://a:6379,b:6379", "rediss://:pw@a,b,c/0", "valkey://[::1]:1,[::2]:1"])
def test_several_hosts_are_told_how_sentinels_are_named(url: str) -> None:
    with pytest.raises(ConfigError, match="TIDEGATE_STORE_URL: names several hosts: with sentinels"):
        normal_url(url)


def test_a_socket_without_a_whole_path_is_told_so() -> None:
    with pytest.raises(ConfigError, match="unix:///run"):
        normal_url("unix://run/valkey.sock")


@pytest.mark.parametrize("url", [" redis://h:1/2\n", "REDIS://h:1/2", "\tValkey://h:1/2 "])
def test_white_space_around_a_url_and_the_case_of_its_scheme_are_forgiven(url: str) -> None:
    assert normal_url(url) == "redis://h:1/2"
    assert parse_address(url) == parse_address("redis://h:1/2")
    assert safe_url(url) in ("redis://h:1", "valkey://h:1")


def test_every_part_of_a_url_is_understood() -> None:
    address = parse_address("valkeys://us%40er:p%2Fw@[::1]:7000/3?ssl_ca_certs=/ca.pem&ssl_check_hostname=no")
    assert (address.host, address.port, address.database) == ("::1", 7000, 3)
    assert (address.user, address.password) == ("us@er", "p/w")
    assert address.tls == (("ssl_ca_certs", "/ca.pem"), ("ssl_check_hostname", "no"))
    assert parse_address("unix://u:p@/run/a%20b.sock?db=2").path == "/run/a b.sock"


def test_user_and_password_never_show_in_the_url_that_is_logged() -> None:
    assert safe_url("rediss://user:pass@host:6380/0?x=1") == "rediss://host:6380"
    assert "pass" not in safe_url("unix://user:pass@/run/store.sock")


@pytest.mark.server
@pytest.mark.parametrize(("given", "told"), [({"store_url": ""}, 1), ({}, 0)])
def test_an_empty_url_is_said_to_mean_an_embedded_store(given: dict[str, str], told: int) -> None:
    with gate_process(**given) as gate:
        events = [event["event"] for event in gate.events()]
    assert events.count("TIDEGATE_STORE_URL is empty, which means an embedded store") == told
