#!/bin/sh
# Comments with TODO, FIXME or XXX by file, most first.
set -eu
. "$(dirname "$0")/sources.sh"
cd "$TREE"

with_sources awk '/#.*(TODO|FIXME|XXX)/ { found[FILENAME]++ }
                  END { for (file in found) printf "%d\t%s\n", found[file], substr(file, 3) }' |
    sort -k1,1nr -k2,2 >"$OUT/notes.tsv"

awk '{ notes += $1 } END { printf "notes=%d\n", notes }' "$OUT/notes.tsv" >>"$DAGSCHED_OUTPUT"
