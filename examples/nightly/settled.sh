#!/bin/sh
# End with 0 once two looks at the tree, one attempt apart, have seen the same; with 75 (try again) until then.
set -eu
. "$(dirname "$0")/sources.sh"
cd "$TREE"

list_sources >"$OUT/files.txt"
[ -s "$OUT/files.txt" ] || { echo "no Python files below $TREE" >&2; exit 1; }

seen="$DAGSCHED_RUN $(with_sources ls -ln | cksum)"
before=$(cat "$OUT/look.txt" 2>/dev/null || true)
printf '%s\n' "$seen" >"$OUT/look.txt"

if [ "$seen" != "$before" ]; then
    echo "look $DAGSCHED_ATTEMPT: not what an earlier look of this run saw; looking again" >&2
    exit 75
fi
echo "look $DAGSCHED_ATTEMPT: the same as before"
