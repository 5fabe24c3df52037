"""The feeds file: what it declares, and what is refused with which line."""

from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.errors import ConfigError, Unauthorized
from app.feeds.feed import Feed
from app.feeds.feed_rules import FeedRules, MappedShape
from app.feeds.feeds_file import MOST_SECRETS, Feeds, FeedsFileError, load_feeds
from tests.support.signed import QUICKNODE_SECRET, WEBHOOK_SECRET, quicknode_headers, webhook_headers

NOW = 1764403200

WHOLE = """
[feeds.quicknode-a]
hmac = "quicknode"                     # or "standard-webhooks"
secrets_file = "quicknode-a"
hmac_over = "inflated"
skip = ["votes", "failed"]
transactions_per_second = 5000

[feeds."svix:b"]
hmac = "standard-webhooks"
secrets_file = "svix-b"
max_age_seconds = 60

[feeds.evm]
shape = "mapped"
items = "/logs"
signature = "/transactionHash"
slot = "/blockNumber"

[feeds.plain]
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with a file of secrets for each feed of `WHOLE`."""
    (tmp_path / "quicknode-a").write_text(f"# since May\n{QUICKNODE_SECRET}\n\n  next-secret  \n")
    (tmp_path / "svix-b").write_text(f"{WEBHOOK_SECRET}\n")
    return tmp_path


def _load(folder: Path, text: str | bytes) -> Feeds:
    file = folder / "feeds.toml"
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    return load_feeds(file)


def _refusal(folder: Path, text: str | bytes) -> str:
    with pytest.raises(FeedsFileError) as refused:
        _load(folder, text)
    file, _, told = str(refused.value).partition(": ")
    assert file == str(folder / "feeds.toml")
    return told


def test_a_feed_has_what_the_file_declares(folder: Path) -> None:
    feeds = _load(folder, WHOLE)
    assert set(feeds.declared) == {"quicknode-a", "svix:b", "evm", "plain"}
    quicknode = feeds.get("quicknode-a")
    assert quicknode.over_inflated
    assert quicknode.rules == FeedRules(None, frozenset({"votes", "failed"}))
    assert quicknode.transactions_per_second == 5000
    mapped = feeds.get("evm").rules.mapped
    assert mapped == MappedShape("/logs", "/transactionHash", "/blockNumber")
    assert feeds.get("plain") == Feed("plain")


def test_a_feed_that_is_not_declared_has_the_defaults(folder: Path) -> None:
    assert _load(folder, WHOLE).get("helius-a") == Feed("helius-a", None, False, FeedRules(), None)
    assert _load(folder, "").get("helius-a") == Feed("helius-a")


def test_each_line_of_a_file_of_secrets_is_one_that_is_valid(folder: Path) -> None:
    feed = _load(folder, WHOLE).get("quicknode-a")
    assert feed.signature is not None
    assert feed.signature.secrets == 2, "the comment is none"
    for secret in (QUICKNODE_SECRET, "next-secret"):
        feed.signature.verify(quicknode_headers(b"[]", NOW, secret), [b"[]"], NOW)
    assert feed.signature.max_age_seconds == 300


def test_the_age_that_is_allowed_can_be_set(folder: Path) -> None:
    feed = _load(folder, WHOLE).get("svix:b")
    assert feed.signature is not None
    feed.signature.verify(webhook_headers(b"[]", NOW), [b"[]"], NOW + 60)
    with pytest.raises(Unauthorized, match="61 s old, and may be 60 s"):
        feed.signature.verify(webhook_headers(b"[]", NOW), [b"[]"], NOW + 61)


def test_secrets_lie_where_they_are_named_or_beside_the_feeds_file(folder: Path, tmp_path: Path) -> None:
    text = '[feeds.a]\nhmac = "quicknode"\nsecrets_file = "{}"\n'
    assert _load(folder, text.format(tmp_path / "quicknode-a")).get("a").signature
    assert _load(folder, text.format("quicknode-a")).get("a").signature


def test_a_byte_order_mark_and_other_line_ends_are_taken(folder: Path) -> None:
    text = b"\xef\xbb\xbf" + WHOLE.replace("\n", "\r\n").encode()
    assert _load(folder, text).get("quicknode-a").transactions_per_second == 5000


SIGNED = '[feeds.a]\nhmac = "quicknode"\n'


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("[feeds.a]\n\nskips = []\n", "line 3: feed a: unknown key 'skips'; did you mean skip?"),
        (
            "[feeds.quicknode.a]\nskip = []\n",
            "line 1: feed quicknode: unknown table 'quicknode.a'; a dot in a name needs quotes: [feeds.",
        ),
        ("[feeds.a]\ncolour = 1\n", "line 2: feed a: unknown key 'colour'; there is hmac, secrets_file, "),
        ("[feed.a]\n", "line 1: unknown table or key 'feed'; did you mean feeds?"),
        ("\nversion = 2\n", "line 2: unknown table or key 'version'; there is feeds"),
        ("[feeds.a]\n[feeds.b]\n\n[feeds.a]\n", "line 4: feed a is declared a second time"),
        ('[feeds.a]\n[feeds."a"]\n', "line 2: feed a is declared a second time"),
        ("[feeds.a]\nskip = []\nskip = []\n", "line 3: this is not TOML: cannot overwrite a value"),
        ("[feeds.a\n", "line 1: this is not TOML: expected ']' at the end of a table declaration"),
        ("[feeds.a]\nskip = [\n\n", "line 2: this is not TOML: "),
        ("[feeds.a]\nhmac = 'quicknode\n", 'line 2: this is not TOML: expected "\'"'),
        ('\n[feeds."a b"]\n', "line 2: 'a b' cannot be the name of a feed, which is 1 to 64 of A-Z a-z 0-9"),
        ('[feeds."é"]\n', "line 1: '\\xe9' cannot be the name of a feed"),
        ('[feeds.""]\n', "line 1: '' cannot be the name of a feed"),
        (f"[feeds.{'a' * 65}]\n", f"line 1: '{'a' * 64}' cannot be the name of a feed"),
        ("[feeds]\n\na = 1\n", "line 3: feed a must be a table, as [feeds.a] begins one"),
        ("[[feeds.a]]\n", "line 1: feed a must be a table, as [feeds.a] begins one"),
        ("feeds = 1\n", "line 1: feeds must be a table of feeds, as [feeds.helius-a] begins one"),
        ('[feeds.a]\nskip = ["vote"]\n', "line 2: feed a: skip: should be 'votes' or 'failed'"),
        ('[feeds.a]\nskip = "votes"\n', 'line 2: feed a: skip: should be a list, as in ["votes"]'),
        (
            '[feeds.a]\ntransactions_per_second = "5"\n',
            "line 2: feed a: transactions_per_second: should be a valid integer",
        ),
        (
            "[feeds.a]\ntransactions_per_second = 0\n",
            "line 2: feed a: transactions_per_second: should be greater than or equal to 1",
        ),
        (
            "[feeds.a]\ntransactions_per_second = true\n",
            "line 2: feed a: transactions_per_second: should be a valid integer",
        ),
        (
            '[feeds.a]\nhmac = "stripe"\n',
            "line 2: feed a: hmac: should be 'quicknode' or",
        ),
        (
            SIGNED + 'secrets_file = "quicknode-a"\nhmac_over = "gzip"\n',
            "line 4: feed a: hmac_over: should be 'sent' or 'inflated'",
        ),
        (
            SIGNED + 'secrets_file = "quicknode-a"\nmax_age_seconds = nan\n',
            "line 4: feed a: max_age_seconds: should be",
        ),
        (SIGNED, "line 2: feed a: hmac needs secrets_file beside it; without a secret everybody could sign"),
        (
            '[feeds.a]\nskip = []\nsecrets_file = "quicknode-a"\n',
            'line 3: feed a: secrets_file needs hmac beside it, as in hmac = "quicknode"',
        ),
        ("[feeds.a]\nmax_age_seconds = 5\n", "line 2: feed a: max_age_seconds needs hmac beside it"),
        ('[feeds.a]\nhmac_over = "sent"\n', "line 2: feed a: hmac_over needs hmac beside it"),
        ('[feeds.a]\nshape = "mapped"\n', "line 2: feed a: shape needs signature beside it"),
        ('[feeds.a]\nshape = "helius"\n', "line 2: feed a: shape: should be 'mapped'"),
        ('[feeds.a]\nitems = "/x"\n', 'line 2: feed a: items needs shape = "mapped" beside it'),
        ('[feeds.a]\nsignature = "/x"\n', 'line 2: feed a: signature needs shape = "mapped" beside it'),
        (
            '[feeds.a]\nshape = "mapped"\nsignature = "hash"\n',
            "line 3: feed a: signature: 'hash': a JSON Pointer begins with a slash",
        ),
        (
            '[feeds.a]\nshape = "mapped"\nsignature = "/hash"\nslot = "/a~2"\n',
            "line 4: feed a: slot: '/a~2': in a JSON Pointer ~0 stands for ~",
        ),
        (
            '[feeds.a]\nskip = ["votes"]\nshape = "mapped"\nsignature = "/hash"\n',
            'line 2: feed a: skip does not go with shape = "mapped"',
        ),
        (b"[feeds.a]\n# \xff\n", "line 2: it is not UTF-8"),
        ("x = " + "[" * 20_000 + "]" * 20_000, "its arrays or tables are nested too deep"),
        (b"#" * (1024 * 1024 + 1), "it is longer than 1048576 bytes"),
    ],
)
def test_what_is_wrong_is_told_with_its_line(folder: Path, text: str | bytes, told: str) -> None:
    assert _refusal(folder, text).startswith(told)


def test_all_that_is_wrong_is_told_in_the_order_of_the_lines(folder: Path) -> None:
    text = '[feeds.a]\nskp = []\nhmac = "x"\n\n[feeds.b]\ntransactions_per_second = -1\n\n[other]\n'
    assert [part.partition(":")[0] for part in _refusal(folder, text).split("; line")] == [
        "line 2",
        " 3",
        " 6",
        " 8",
    ]


def test_of_very_many_problems_the_first_are_told_and_how_many_more_there_are(folder: Path) -> None:
    text = "".join(f"[feeds.f{number}]\nwrong = 1\n" for number in range(1000))
    told = _refusal(folder, text)
    assert told.startswith("line 2: feed f0: unknown key 'wrong'")
    assert told.count("unknown key") == 10
    assert told.endswith("; and 990 more")


def test_more_feeds_than_may_be_are_refused(folder: Path) -> None:
    text = "".join(f"[feeds.f{number}]\n" for number in range(1025))
    assert _refusal(folder, text) == "it declares 1025 feeds, and may declare 1024"


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"", "holds no secret"),
        (b"# only a comment\n \n", "holds no secret"),
        (b"\xff\n", "cannot be read: it is not UTF-8"),
        (b"secret\n" * (MOST_SECRETS + 1), f"holds {MOST_SECRETS + 1} secrets, and may hold {MOST_SECRETS}"),
        (b"s" * (1024 * 1024 + 1), "cannot be read: it is longer than 1048576 bytes"),
        (None, "cannot be read: No such file or directory"),
    ],
)
def test_secrets_that_cannot_be_used_are_told_with_the_line_that_names_them(
    folder: Path, content: bytes | None, told: str
) -> None:
    if content is not None:
        (folder / "secrets").write_bytes(content)
    text = '[feeds.a]\nhmac = "quicknode"\n\nsecrets_file = "secrets"\n'
    assert _refusal(folder, text) == f"line 4: feed a: {folder / 'secrets'} {told}"


@pytest.mark.parametrize(
    ("name", "told"),
    [
        (r"sec\u0000rets", r"sec\0rets cannot be read: no name of a file holds a NUL"),
        ("s" * 300, f"{'s' * 300} cannot be read: File name too long"),
        (".", "cannot be read: Is a directory"),
    ],
)
def test_a_name_that_no_file_of_secrets_has_is_told_with_its_line(folder: Path, name: str, told: str) -> None:
    refusal = _refusal(folder, f'[feeds.a]\nhmac = "quicknode"\nsecrets_file = "{name}"\n')
    assert (refusal.startswith("line 3: feed a: "), refusal.endswith(told)) == (True, True)


def test_a_secret_in_the_wrong_form_is_told_by_its_number_and_not_shown(folder: Path) -> None:
    (folder / "svix-b").write_text(f"{WEBHOOK_SECRET}\n# next\nwhsec_hush!\n")
    told = _refusal(folder, WHOLE)
    assert told == (
        f"line 11: feed svix:b: secret 2 in {folder / 'svix-b'} is not `whsec_` followed by Base64"
    )


def test_a_file_that_cannot_be_read_is_told(folder: Path) -> None:
    with pytest.raises(ConfigError, match=r"missing\.toml: it cannot be read: No such file or directory"):
        load_feeds(folder / "missing.toml")
    with pytest.raises(ConfigError, match="it cannot be read: Is a directory"):
        load_feeds(folder)


def test_feeds_are_current_until_a_file_changes(folder: Path) -> None:
    feeds = _load(folder, WHOLE)
    assert feeds.is_current()
    (folder / "svix-b").write_text(f"{WEBHOOK_SECRET}\n\n")
    assert not feeds.is_current()
    feeds = load_feeds(folder / "feeds.toml")
    assert feeds.is_current()
    (folder / "feeds.toml").unlink()
    assert not feeds.is_current()


@pytest.mark.slow
@given(data=st.one_of(st.binary(max_size=80), st.text(max_size=80).map(str.encode)))
def test_whatever_stands_in_the_file_is_read_or_refused(
    tmp_path_factory: pytest.TempPathFactory, data: bytes
) -> None:
    file = tmp_path_factory.getbasetemp() / "any.toml"
    for content in (data, b"[feeds.a]\n" + data, b"[feeds.a]\nshape = '" + data):
        file.write_bytes(content)
        with suppress(FeedsFileError):
            load_feeds(file)
