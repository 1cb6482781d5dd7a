#!/bin/sh
# alternative.sh get|set: `name` and `path` are in the environment.
set -eu

case $1 in
get)
    printf '{"name": "%s", "path": "%s"}\n' "$name" "$(readlink -- "/etc/alternatives/$name" || true)"
    ;;
set)
    update-alternatives --set "$name" "$path"
    ;;
esac
