"""What TIDEGATE_STORE_URL may say of sentinels, and the sentence for each mistake."""

import pytest

from app.errors import ConfigError
from app.store.address import StoreAddress
from app.store.store_url import SentinelService, normal_url, parse_address, parse_store, safe_url


def _service(url: str) -> SentinelService:
    found = parse_store(url)
    assert isinstance(found, SentinelService)
    return found


def test_every_part_of_a_url_of_sentinels_is_understood() -> None:
    service = _service(
        "redis+sentinel://us%40er:p%2Fw@a.example:26380,b.example,[::1]:7000/my%20master/3"
        "?sentinel_user=watch&sentinel_password=s%26w&protocol=3"
    )
    assert service.name == "my master"
    assert [(one.host, one.port) for one in service.sentinels] == [
        ("a.example", 26380),
        ("b.example", 26379),
        ("::1", 7000),
    ]
    assert {(one.user, one.password, one.database) for one in service.sentinels} == {("watch", "s&w", 0)}
    servers = service.servers
    assert (servers.user, servers.password, servers.database) == ("us@er", "p/w", 3)
    assert {servers.protocol, *(one.protocol for one in service.sentinels)} == {3}


def test_sentinels_are_asked_without_a_login_unless_the_url_has_one_for_them() -> None:
    service = _service("valkey+sentinel://:secret@a,b/gate")
    assert {(one.user, one.password) for one in service.sentinels} == {("", "")}
    assert service.servers.password == "secret"


@pytest.mark.parametrize("scheme", ["rediss+sentinel", "valkeys+sentinel"])
def test_tls_is_for_the_servers_and_for_the_sentinels(scheme: str) -> None:
    service = _service(f"{scheme}://a,b/gate?ssl_ca_certs=/ca.pem")
    assert {service.servers.tls, *(one.tls for one in service.sentinels)} == {(("ssl_ca_certs", "/ca.pem"),)}
    assert normal_url(f"{scheme}://a/gate") == "rediss+sentinel://a/gate"


def test_what_is_forgiven_and_named_in_other_urls_is_in_those_of_sentinels_as_well() -> None:
    assert normal_url(" REDIS+Sentinel://a/gate\n") == "redis+sentinel://a/gate"
    assert (
        _service("redis+sentinel://a:1 , b/gate").sentinels
        == _service("redis+sentinel://a:1,b/gate").sentinels
    )
    service = _service("redis+sentinel://a,b:1/gate?sentinel_password=s@w&client_name=north")
    assert {service.servers.client_name, *(one.client_name for one in service.sentinels)} == {"north"}
    assert {one.password for one in service.sentinels} == {"s@w"}


@pytest.mark.parametrize(
    ("path", "database"), [("/gate", 0), ("/gate/", 0), ("/gate/3", 3), ("/gate/3/", 3), ("/gate?db=3", 3)]
)
def test_a_slash_at_the_end_of_a_url_of_sentinels_changes_nothing(path: str, database: int) -> None:
    service = _service(f"redis+sentinel://a,b{path}")
    assert (service.name, service.servers.database) == ("gate", database)


def test_a_sentinel_that_is_named_twice_is_asked_once() -> None:
    assert len(_service("redis+sentinel://a,b,a:26379/gate").sentinels) == 2


def test_of_a_url_of_sentinels_no_login_is_shown() -> None:
    url = "redis+sentinel://user:pass@a:1,[::1]/gate/2?sentinel_password=pass"
    assert safe_url(url) == "redis+sentinel://a:1,[::1]:26379/gate"


@pytest.mark.parametrize(
    ("url", "named"),
    [
        ("redis://a:6379,b:6379", "with sentinels write redis+sentinel://host:port,host:port/service"),
        ("valkey://user:pw@a,b/0", "of a Cluster name one node"),
        ("redis+sentinel://a:26379", "names no service"),
        ("redis+sentinel://a:26379/", "names no service"),
        ("redis+sentinel://a:26379,b:26379//0", "names no service"),
        ("redis+sentinel://a//gate/0", "names no service"),
        ("redis+sentinel://a//", "names no service"),
        ("redis+sentinel://a/%20/0", "names no service"),
        ("redis+sentinel://a/?db=0", "names no service"),
        ("redis+sentinel:///gate", "names no host"),
        ("redis+sentinel://a,,b/gate", "names no host"),
        ("redis+sentinel://a,/gate", "names no host"),
        ("redis+sentinel://a,:26379/gate", "names no host"),
        ("redis+sentinel://:26379/gate", "names no host"),
        ("redis+sentinel://a b/gate", "white space"),
        ("redis+sentinel://u:p@a,u:p@b/gate", "the login stands once"),
        ("redis+sentinel://a/gate?db=1&db=2", "the option 'db' more than once"),
        ("redis://a/3?db=4", "names two databases"),
        ("redis+sentinel://a/gate/3?db=4", "names two databases"),
        ("redis://a b:6379", "white space"),
        ("redis+sentinel://a:many/gate", "the port must be a number"),
        ("redis+sentinel://a/gate/one", "number of a database"),
        ("redis+sentinel://a/gate/0/1", "number of a database"),
        ("redis+sentinel://a/gate//0", "number of a database"),
        ("redis+sentinel://a/gate/-1", "number of a database"),
        ("redis+sentinel://a/gate?db=-1", "number of a database"),
        ("redis://a/one", "number of a database"),
        ("redis://a/0/1", "number of a database"),
        ("redis://a/-1", "number of a database"),
        ("redis://a/+1", "number of a database"),
        ("redis://a/%31", "number of a database"),
        ("redis+sentinel://[::1/gate", "brackets"),
        ("redis+sentinel://a%00b/gate", "NUL"),
        ("redis+sentinel://a/gate?ssl_ca_certs=/x", "needs TLS"),
        ("redis+sentinel://a/gate?quorum=2", "no option 'quorum'"),
        ("redis://a?sentinel_password=x", "needs redis+sentinel://"),
        ("redis+sentinel://:pa/ss@a,b/gate", "special characters in user and password"),
        ("redis+sentinel://:pa?ss@a,b/gate", "special characters in user and password"),
        ("redis+sentinel://a/gate?sentinel_password=s#w", "special characters in user and password"),
        ("redis+sentinel://a/gate?client_name=a%20b", "client_name must be printable"),
        ("sentinel://a/gate", "must start with one of"),
        ("sentinel://a,b/gate", "must start with one of"),
    ],
)
def test_a_mistake_is_named_with_what_to_write_instead(url: str, named: str) -> None:
    with pytest.raises(ConfigError, match="TIDEGATE_STORE_URL") as caught:
        normal_url(url)
    assert named in str(caught.value)


def test_where_one_server_is_to_be_named_sentinels_are_refused() -> None:
    assert isinstance(parse_address("redis://a"), StoreAddress)
    with pytest.raises(ConfigError, match="names sentinels"):
        parse_address("redis+sentinel://a/gate")
