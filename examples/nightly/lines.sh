#!/bin/sh
# Lines by top-level package or module, most first.
set -eu
. "$(dirname "$0")/sources.sh"
cd "$TREE"

with_sources wc -l |
    awk '{ count = $1; sub(/^ *[0-9]+ /, "") }
         $0 != "total" { split($0, part, "/"); sub(/\.py$/, "", part[2]); lines[part[2]] += count; files[part[2]]++ }
         END { for (name in lines) printf "%d\t%s\t%d\n", lines[name], name, files[name] }' |
    sort -k1,1nr -k2,2 >"$OUT/lines.tsv"

awk -F '\t' '{ lines += $1; files += $3 } END { printf "lines=%d\nfiles=%d\n", lines, files }' \
    "$OUT/lines.tsv" >>"$DAGSCHED_OUTPUT"
