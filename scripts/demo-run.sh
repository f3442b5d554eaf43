#!/bin/sh
# Takes the template "growth review" through validate, execute, trace, replay and diff on
# the demo, and says where it wrote what it was answered. Fails where a run is not what
# the one before was.
#
#   scripts/demo-run.sh [PROGRAM [DIRECTORY]]
set -eu
umask 077

program=${1:-target/debug/camarad-sidecar}
out=${2:-state/demo-run}
mkdir -p "$out"
log=$out/demo.log

SIDECAR_STATE_DIR="$out/state" SIDECAR_LISTEN=127.0.0.1:0 SIDECAR_ADMIN_LISTEN=127.0.0.1:0 \
    "$program" run --demo >"$log" 2>&1 </dev/null &
demo=$!
# The log holds a token of the demo: it goes with it.
trap 'kill "$demo" 2>/dev/null || true; wait "$demo" 2>/dev/null || true; rm -f "$log"' EXIT
trap 'exit 130' INT TERM

tries=0
until grep -q '^Ctrl-C stops' "$log"; do
    tries=$((tries + 1))
    if [ "$tries" -gt 300 ] || ! kill -0 "$demo" 2>/dev/null; then
        echo "the demo did not start:" >&2
        cat "$log" >&2
        exit 1
    fi
    sleep 0.1
done
url=$(sed -n 's/^ *sidecar *\(http:[^ ]*\).*/\1/p' "$log")
token=$(sed -n 's/^A=//p' "$log")

# ask FILE METHOD PATH [BODY]: the answer goes into the file; anything but 200 ends this.
ask() {
    file=$out/$1
    set -- "$2" "$3" "${4:-}"
    # The token comes by a file of settings, not as an argument that everybody can list.
    status=$(printf 'header = "Authorization: Bearer %s"\n' "$token" | curl -sS --max-time 60 -K - \
        -X "$1" -H 'X-Client-ID: 10' ${3:+-H 'Content-Type: application/json' --data-binary "$3"} \
        -o "$file" -w '%{http_code}' "$url$2")
    if [ "$status" != 200 ]; then
        echo "$1 $2: $status" >&2
        cat "$file" >&2
        exit 1
    fi
    echo "$1 $2 -> $file"
}

# The first value of a member that holds a number or a text.
member() { # FILE NAME
    sed -n "s/.*\"$2\":\"\{0,1\}\([^\",}]*\).*/\1/p" "$1" | head -n 1
}

# What must be the same every time: nodes, statuses and figures of the steps.
figures() { # FILE
    grep -oE '"(node_id|status)":"[^"]*"|"figures":\{[^}]*\}' "$1" | sha256sum | cut -c1-16
}

"$program" templates show biz-growth-review >"$out/template.json"
echo "template -> $out/template.json"
history=/api/orchestrator/history

ask validate.json POST /api/orchestrator/validate "@$out/template.json"
grep -q '"ok":true' "$out/validate.json"
ask execute.json POST /api/orchestrator/execute "@$out/template.json"
run=$(member "$out/execute.json" execution_id)
ask trace.json GET "$history/$run/trace"
ask trace.csv GET "$history/$run/trace?format=csv"
ask dry-run.json POST "$history/$run/replay" '{"dry_run": true}'
ask replay.json POST "$history/$run/replay" '{}'
again=$(member "$out/replay.json" execution_id)
ask replay-trace.json GET "$history/$again/trace"

steps=$(grep -o '"step":' "$out/trace.json" | wc -l)
[ "$(figures "$out/trace.json")" = "$(figures "$out/replay-trace.json")" ] || {
    echo "the replay came out otherwise: compare $out/trace.json and $out/replay-trace.json" >&2
    exit 1
}
grep -q '"same":true' "$out/replay.json" || {
    echo "the diff in $out/replay.json tells a difference" >&2
    exit 1
}
echo "run $run and its replay $again: $steps steps, the same figures, $(figures "$out/trace.json")"
