#!/bin/sh
# Print the path of a Python 3.11, from 3.11.5 on as the lock needs, that can make environments.
# Usage: sh book/build/find_python.sh [PYTHON]. Without a name it is the first on PATH that runs, as a shim may be there
# without a Python behind it; .venv's own does not count.
set -u
version=3.11

fits() {
    say='import ensurepip, sys, venv; v = sys.version_info; print("%d.%d" % v[:2] if v >= (3, 11, 5) else v)'
    [ "$("$1" -c "$say" 2> /dev/null)" = $version ]
}

if [ -n "${1:-}" ]; then
    if fits "$1"; then command -v "$1"; exit; fi
    echo "PYTHON=$1 is not a Python $version (3.11.5 or later) that runs and has venv; name one, or none to take the first on PATH" >&2
    exit 1
fi
for name in python$version python3 python; do
    IFS=:
    for folder in $PATH; do
        [ "$folder" = "$PWD/.venv/bin" ] && continue
        if [ -x "$folder/$name" ] && fits "$folder/$name"; then
            echo "$folder/$name"
            exit
        fi
    done
done
echo "No Python $version (3.11.5 or later) with venv on PATH; requirements.txt is for it. Install it, or name it: make PYTHON=/path/to/python$version" >&2
exit 1
