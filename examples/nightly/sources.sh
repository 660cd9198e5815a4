# For the other scripts: which files count, and a way to hand all of them to a command.
# Byte order and byte classes, whatever the locale: the same list on every machine.
LC_ALL=C
export LC_ALL

# Tests, caches and what is installed beside the library are no part of it.
list_sources() {
    find . \( -name test -o -name tests -o -name '__pycache__' -o -name 'site-packages' \
        -o -name 'dist-packages' -o -name '.*' ! -name . \) -prune -o -type f -name '*.py' -print | sort
}

# with_sources COMMAND…: run it on the settled files, as often as their number needs.
with_sources() {
    sed 's/[^A-Za-z0-9_./-]/\\&/g' "$OUT/files.txt" | xargs "$@"
}
