#!/bin/sh
# An unfair model is blocked, a fair one shipped: 299,285 people of the 1994-1995 U.S. Current Population Survey.
# `make demo` runs this; so does any shell in which `edgefair` is installed.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
rm -rf "$here/demo"
mkdir "$here/demo"
cd "$here/demo"

say() { printf '\n\033[1m$ %s\033[0m\n' "$*"; }
expect() { # expect CODE COMMAND...: run it, and stop the demo if it exits with anything else
    wanted=$1
    shift
    say "$*"
    code=0
    "$@" || code=$?
    [ "$code" -eq "$wanted" ] || { echo "demo: exit code $code, expected $wanted" >&2; exit 1; }
}

expect 0 cp "$here/edgefair.yaml" edgefair.yaml
expect 0 edgefair plan

printf '\n== 1. Plain training: 95 %% accurate, and it overlooks well-paid women ==\n'
expect 0 edgefair train --debias none --name plain
expect 1 edgefair export --int8 --run plain -o dist/plain
[ ! -e dist/plain ] || { echo "demo: a blocked export left something at dist/plain" >&2; exit 1; }
echo "exit 1: BLOCKED."

printf '\n== 2. Debiased training: the same network, the same rows ==\n'
expect 0 edgefair train --debias reweigh --debias eo-penalty --name fair
expect 0 edgefair export --int8 --run fair -o dist/fair
echo "exit 0: PASS. The bundle: $PWD/dist/fair; its report: $PWD/dist/fair/report.json"

printf '\n== 3. The gate, as a CI job runs it on the shipped bundle ==\n'
expect 0 edgefair verify --max-eo-gap 0.05 dist/fair
echo "exit 0: this file may ship."

printf '\n== 4. Both verdicts for people: one HTML file ==\n'
say "edgefair report dist/plain.blocked.json dist/fair --format html > report.html"
edgefair report dist/plain.blocked.json dist/fair --format html > report.html
echo "Open it in a browser: $PWD/report.html"
