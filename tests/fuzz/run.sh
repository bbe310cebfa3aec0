#!/bin/bash
# Runs fuzz targets one after the other: run.sh BUILD SECONDS NAME...
# What a target learns is kept in BUILD/corpus; tests/fuzz/seeds/NAME is where it starts from. An
# input that crashes a target is left in BUILD/crashes: put it beside the seeds with its fix.
set -euo pipefail

build=$1 seconds=$2
shift 2
failed=()
export ASAN_OPTIONS=${ASAN_OPTIONS:-detect_leaks=1} UBSAN_OPTIONS=${UBSAN_OPTIONS:-print_stacktrace=1}
export LSAN_OPTIONS=${LSAN_OPTIONS:-suppressions=tests/lsan.supp:print_suppressions=0}
for name in "$@"; do
    corpus=$build/corpus/$name seeds=tests/fuzz/seeds/$name dict=tests/fuzz/$name.dict
    mkdir -p "$corpus" "$build/crashes"
    options=(-max_total_time="$seconds" -timeout=10 -rss_limit_mb=2048 -print_final_stats=1
        -artifact_prefix="$build/crashes/$name-")
    [ ! -e "$dict" ] || options+=(-dict="$dict")
    dirs=("$corpus")
    [ ! -d "$seeds" ] || dirs+=("$seeds")
    echo "== fuzz_$name, $seconds s"
    if ! "$build/tests/fuzz/fuzz_$name" "${options[@]}" "${dirs[@]}" >"$build/fuzz_$name.log" 2>&1; then
        tail -n 60 "$build/fuzz_$name.log"
        failed+=("$name")
    fi
    grep -E 'stat::number_of_executed_units|stat::new_units_added' "$build/fuzz_$name.log" || true
done
[ ${#failed[@]} -eq 0 ] || { echo "fuzz: findings in ${failed[*]}" >&2; exit 1; }
echo "fuzz: $# targets, no findings"
