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
    until curl -sS --fail-with-body --retry 60 --retry-connrefused -w '\n' -H "Authorization: Bearer ${TIDEGATE_TOKEN:-}" \
        -H 'Content-Type: application/json' --data-binary "@$answer" "$feed"; do
        case $? in
            7 | 16 | 18 | 35 | 52 | 55 | 56 | 92) sleep 1 ;; # no connection, or lost on the way: --retry knows nothing of it
            *) echo "slot $slot was not taken; begin there again" >&2 && exit 1 ;;
        esac
    done
}

say() {
    printf 'slot %s: %s; the node says: %s\n' "$slot" "$1" "$(head -c 500 "$answer")" >&2
}

told=
say_once() { # for each slot
    [ "$told" = "$slot" ] || say "$1"
    told=$slot
}

end() {
    say "$1"
    exit 1
}

slot=${2:-$(ask_node getSlot '{"commitment":"confirmed"}' | sed 's/.*"result": *\([0-9]*\).*/\1/')}
case $slot in
    '' | *[!0-9]*) echo "a slot is a number; this was given, or is what the node says: $slot" >&2 && exit 1 ;;
esac
how='{"commitment":"confirmed","encoding":"json","maxSupportedTransactionVersion":1,"rewards":false}'
while :; do
    if ! ask_node getBlock "$slot,$how" >"$answer"; then
        sleep 1 # the node does not answer
        continue
    elif grep -q '"blockhash"' "$answer"; then
        hand_over # again after 408, 429, 503 and a lost connection: that is safe; ends when the gate says what is wrong
        slot=$((slot + 1))
        continue
    fi
    case $(sed -n 's/.*"code": *\(-*[0-9]*\).*/\1/p' "$answer" | head -n 1) in
        -32007 | -32009) slot=$((slot + 1)) ;; # no block was made in this slot
        -32004 | -32014) sleep 0.4 ;;          # there is no block yet: a slot takes about so long
        -32001)
            first=$(sed -n 's/.*[Ff]irst available block: *\([0-9]*\).*/\1/p' "$answer" | head -n 1)
            [ "${first:-0}" -gt "$slot" ] || end 'the node no longer has it; begin at a later one'
            say "the node no longer has it; going on at $first"
            slot=$first
            ;;
        -32011 | -32600 | -32601 | -32602) end 'the node does not answer such requests' ;;
        -32015) end 'raise maxSupportedTransactionVersion in this script, if the gate reads that version' ;;
        *)
            grep -q '"result": *null' "$answer" || say_once 'there is no block, asking again'
            sleep 1
            ;;
    esac
done
