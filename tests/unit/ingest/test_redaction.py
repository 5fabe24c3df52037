"""What looks like a secret is not shown, wherever it stands; what does not is shown as it is."""

import pytest

from app.ingest.redaction import without_secrets
from app.ingest.rejections import shown


@pytest.mark.parametrize(
    "text",
    [
        '{"apiKey":"hush-hush","a":1}',
        '{"api_key" : "hush-hush"}',
        '{"webhookSecret":"hush-\\"hush"}',
        '{"Authorization":"Bearer hush-hush',
        '{"password":hush-hush}',
        '{"auth":{"accessToken":"hush-hush"}}',
        '{"key":"hush"}',
        '{"x-key":"hush"}',
        '{"apiKeys":["hush","hush"]}',
        '{"body":"{\\"token\\":\\"hush\\",\\"key\\":\\"hush\\"}"}',
        '{"url":"https://rpc.example/?api-key=hush&a=1"}',
        '{"url":"https://rpc.example/?a=1\\u0026api_key=hush"}',
        '{"url":"https://rpc.example/?KEY=hush',
        "https://rpc.example/?a=1&apikey=hush&token=hush&secret=hush&password=hush#x",
        '{"url":"https://user:hush@rpc.example/"}',
        '{"url":"https:\\/\\/user:hu@sh:hush@rpc.example\\/"}',
        '{"url":"https://hush@rpc.example/"}',
        '{"url":"https://user:hush',
        "https://name.quiknode.pro/hush0123456789abcdef0123456789abcdef/",
        "https://rpc.example/v2/hush0123456789abcdef0123456789abcdef",
        "the answer is an error, -32401: 'invalid api key: hush', and holds no transaction",
        "authorization: bearer hush.hush-hush",
        "Authorization: Basic aHVzaA==hush",
        '{"secret": {"value": "hush"}}',
        '{"a":1,"credentials":{"user":"u","pass word":"hush"}}',
        '{"tokens": [["hush","x"]]}',
        '{"apiKeys": [ {"id": 1,"value":"hush"} ]}',
        '{"auth" : {"a":[{}],"b":"hush"},"c":1}',
        '{"token":"a" "hush"}',
        '{"token":5 "hush"}',
        '{"headers":[{"name":"Authorization","value":"hush"}]}',
        '{"headers":[{"value":"hush","tags":[],"name":"X-Api-Key"}]}',
        '{"headers":[["a","b"],["x-auth-token","hush"]]}',
        '{"headers":[{"value":"hush","meta":{"a":1},"name":"Authorization"}]}',
        '{"value":"hush{x","name":"Authorization"}',
        '{"name":"token","value":"hush"}',
        '{"name":"refresh_token","value":"hush"}',
        '{"key":"api_key","value":"hush"}',
        '{"name":"clientSecret","value":["a b","hush"]}',
        '{"my\'token\'s":"hush"}',
        '{"body":"[{\\"name\\":\\"Cookie\\",\\"value\\":\\"hush hush\\"}]"}',
        '{"body":"{\\"token\\":\\"hush hush\\"}"}',
        "{'token':'hush'}",
        "{'secrets':['x','hush']}",
        "token: hush",
        "a: 1\nx-api-key: |\n  hush\n",
        'token = "hush"',
    ],
)
def test_a_secret_is_hidden(text: str) -> None:
    for found in (without_secrets(text), shown(text.encode())):
        assert "hush" not in found
        assert "…" in found


@pytest.mark.parametrize(
    "text",
    [
        '{"signature":"5h6x","accountKeys":["a","b"],"pubkey":"c","slot":5}',
        '{"uri":"https://arweave.net:443/metadata.json?page=2","monkey":"=1"}',
        "send `Authorization: Bearer <token>` with a token of TIDEGATE_INGEST_TOKENS_FILE",
        "it needs a bearer token",
        "an object with event, token is no known shape; known are item, helius-enhanced",
        "?api-key: leave it out, the feed in the address is the source: /feeds/q",
        "the header x-qn-signature is missing; this feed has to sign its bodies",
        '{"tokenTransfers":[{"mint":"a","tokenStandard":"b"}],"authorities":[{"address":"c"}],"d":1}',
        '{"preTokenBalances":[{"uiTokenAmount":{"uiAmount":1}}],"program":"spl-token","type":"TOKEN_MINT"}',
    ],
)
def test_anything_else_is_shown(text: str) -> None:
    assert without_secrets(text) == text


@pytest.mark.parametrize("value", ['"hush"', "'hush'", "5", "-1.5e7", "null", '"hu\\"sh" '])
def test_what_follows_a_secret_whose_end_is_certain_is_shown(value: str) -> None:
    assert without_secrets(f'[{{"token": {value},"a":1}}]').replace(" ", "") == '[{"token":"…","a":1}]'


def test_the_end_of_a_secret_is_not_needed() -> None:
    text = '{"a":"https://user:hush@host/?api-key=hush","token":"hush"}'
    for end in range(len(text)):
        left = without_secrets(text[:end])
        assert "hush" not in left, left
