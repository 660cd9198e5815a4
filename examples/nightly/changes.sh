#!/bin/sh
# Files whose checksum is not that of the last survey; `changes` is "first survey" when there was none.
set -eu
. "$(dirname "$0")/sources.sh"
cd "$TREE"
tab=$(printf '\t')

with_sources cksum | sed 's/^\([0-9]*\) \([0-9]*\) \.\//\1-\2'"$tab"'/' | sort -k2 >"$OUT/checksums.new"

: >"$OUT/changes.tsv"
if [ -f "$OUT/checksums.tsv" ] && [ "$(cat "$OUT/checksums.tree")" = "$TREE" ]; then
    # The old list is read first; what is left of it at the end is gone.
    awk -F '\t' 'NR == FNR { old[$2] = $1; next }
                 !($2 in old) { print "new\t" $2; next }
                 old[$2] != $1 { print "changed\t" $2 }
                 { delete old[$2] }
                 END { for (file in old) print "gone\t" file }' \
        "$OUT/checksums.tsv" "$OUT/checksums.new" | sort >"$OUT/changes.tsv"
    echo "changes=$(awk 'END { print NR }' "$OUT/changes.tsv")" >>"$DAGSCHED_OUTPUT"
else
    echo "changes=first survey" >>"$DAGSCHED_OUTPUT"
fi
printf '%s\n' "$TREE" >"$OUT/checksums.tree"
mv "$OUT/checksums.new" "$OUT/checksums.tsv"
