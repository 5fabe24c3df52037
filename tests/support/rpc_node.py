"""A node of Solana's JSON-RPC that knows a few blocks by heart, for scripts that poll one."""

import json
import threading
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

SKIPPED = {"code": -32007, "message": "Slot was skipped, or missing due to ledger jump to recent snapshot"}
NOT_YET = {"code": -32004, "message": "Block not available for slot"}
NO_ERRORS: Mapping[int, Mapping[str, object]] = {}


class Node:
    """Answers `getSlot` with its first slot, and `getBlock` with a block or with why there is none.

    A block comes at the second request for it: at the first it is not there yet. A slot with an error is
    answered with it, at every request.
    """

    def __init__(
        self, blocks: Mapping[int, bytes | None], errors: Mapping[int, Mapping[str, object]] = NO_ERRORS
    ) -> None:
        self._blocks, self._errors = blocks, errors
        self.asked = Counter[int]()
        self.how: Mapping[str, object] = {}
        """What `getBlock` was asked for last, beside the slot."""
        self.url = ""

    def answer(self, request: Mapping[str, Any]) -> bytes:
        """The body that answers one request."""
        if request["method"] == "getSlot":
            first = min([*self._blocks, *self._errors])
            return json.dumps({"jsonrpc": "2.0", "result": first, "id": request["id"]}).encode()
        slot, self.how = request["params"]
        self.asked[slot] += 1
        if slot in self._errors:
            return json.dumps({"jsonrpc": "2.0", "error": self._errors[slot], "id": 1}).encode()
        if slot in self._blocks and self._blocks[slot] is None:
            return json.dumps({"jsonrpc": "2.0", "error": SKIPPED, "id": 1}).encode()
        block = self._blocks.get(slot)
        if block is None or self.asked[slot] == 1:
            return json.dumps({"jsonrpc": "2.0", "error": NOT_YET, "id": 1}).encode()
        return b'{"jsonrpc":"2.0","result":' + block + b',"id":1}'


@contextmanager
def rpc_node(
    blocks: Mapping[int, bytes | None], errors: Mapping[int, Mapping[str, object]] = NO_ERRORS
) -> Iterator[Node]:
    """Serve these blocks and errors by their slots on a free port; None is a slot that was skipped."""
    node = Node(blocks, errors)

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            answer = node.answer(json.loads(body))
            self.send_response(200)
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002  the library's name
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    node.url = f"http://127.0.0.1:{server.server_address[1]}"
    try:
        yield node
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
