#!/bin/sh
# Hand every block of a Solana RPC node to a feed, from a slot on or from now on; Ctrl-C ends it.
#
#   SOLANA_RPC_URL=https://… TIDEGATE_TOKEN=… docs/examples/poll_blocks.sh http://127.0.0.1:8000/feeds/rpc-a [SLOT]
set -eu
feed=$1 answer=$(mktemp)
trap 'rm -f "$answer"' EXIT
trap 'exit 130' INT TERM

ask_node() {
    curl -sS --fail --max-time 30 --compressed -H 'Content-Type: application/json' "$SOLANA_RPC_URL" \
        -d "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"$1\",\"params\":[$2]}"
}

hand_over() {
    curl -sS --fail-with-body --retry 60 --retry-connrefused -w '\n' -H "Authorization: Bearer ${TIDEGATE_TOKEN:-}" \
        -H 'Content-Type: application/json' --data-binary "@$answer" "$feed"
}

slot=${2:-$(ask_node getSlot '{"commitment":"confirmed"}' | sed 's/.*"result": *\([0-9]*\).*/\1/')}
how='{"commitment":"confirmed","encoding":"json","maxSupportedTransactionVersion":0,"rewards":false}'
while :; do
    if ! ask_node getBlock "$slot,$how" >"$answer"; then
        sleep 1 # the node does not answer
    elif grep -q '"blockhash"' "$answer"; then
        hand_over # again after 429, 503 and a lost connection: that is safe; ends when the gate says that something is wrong
        slot=$((slot + 1))
    elif grep -Eq '"code": *-3200(7|9)' "$answer"; then
        slot=$((slot + 1)) # no block was made in this slot
    else
        sleep 0.4 # there is no block yet: a slot takes about so long
    fi
done
