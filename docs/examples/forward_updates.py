"""Post updates of Yellowstone gRPC to a feed: JSON as grpcurl prints it, from standard input.

Whatever has come in while a body was under way goes with the next one, as an array.

    grpcurl … | TIDEGATE_TOKEN=… python3 forward_updates.py http://127.0.0.1:8000/feeds/grpc-a
"""

import http.client
import os
import sys
import time
import urllib.error
import urllib.request

TRY_AGAIN = (408, 429, 503)
HEADERS = {"Content-Type": "application/json", "Authorization": f"Bearer {os.getenv('TIDEGATE_TOKEN', '')}"}


def post(body: bytes) -> None:
    """Send a body until the gate has answered it; sending again is safe."""
    request = urllib.request.Request(sys.argv[1], body, HEADERS)
    while True:
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                return print(answer.read().decode(), flush=True)
        except urllib.error.HTTPError as refused:
            if refused.code not in TRY_AGAIN:
                return print(refused.read().decode(), file=sys.stderr, flush=True)
        except (OSError, http.client.HTTPException) as error:
            print(error, file=sys.stderr, flush=True)
        time.sleep(1)


rest = b""
while chunk := sys.stdin.buffer.raw.read(1 << 20):
    *updates, rest = (rest + chunk).split(b"\n}\n")
    if updates:
        post(b"[" + b",".join(update + b"\n}" for update in updates) + b"]")
