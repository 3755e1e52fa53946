#!/bin/bash
# run_tests.sh FOLDER PROGRAM... - runs the test programs built in FOLDER, replays the
# fuzz corpora, and runs the Python tests against FOLDER/clipd: in parallel, one line
# for each, and at the end the output of those that failed. Exits 1 when one fails.
#
# A test passes when it exits 0; it counts as skipped when it also prints a line
# that begins with "skipped:". TEST_TIMEOUT is in seconds.
set -u
cd "$(dirname "$0")/.." || exit 2
folder=$1
shift
export CLIPD="$PWD/$folder/clipd" PYTHON="${PYTHON:-/usr/bin/python3}" PYTHONDONTWRITEBYTECODE=1
export ASAN_OPTIONS="${ASAN_OPTIONS:-detect_leaks=1}" UBSAN_OPTIONS="${UBSAN_OPTIONS:-print_stacktrace=1}"
export TSAN_OPTIONS="${TSAN_OPTIONS:-halt_on_error=1}"
export TEST_TIMEOUT="${TEST_TIMEOUT:-240}"
results=$folder/results
rm -rf "$results"
mkdir -p "$results"
export results folder

run_one() {
    local test=$1 name log start milliseconds state
    name=${test#"$folder"/tests/}
    name=${name#tests/}
    log=$results/${name//\//-}.log
    start=$(date +%s%N)
    case $name in
    *.py) timeout -k 5 "$TEST_TIMEOUT" "$PYTHON" -W ignore::ResourceWarning "$test" ;;
    fuzz/*) timeout -k 5 "$TEST_TIMEOUT" "$test" "tests/fuzz/corpus/${name#fuzz/fuzz_}" ;;
    *) timeout -k 5 "$TEST_TIMEOUT" "$test" ;;
    esac > "$log" 2>&1 < /dev/null
    local code=$?
    milliseconds=$((($(date +%s%N) - start) / 1000000))
    state=ok
    grep -q '^skipped:' "$log" && state=skipped
    [ "$code" -eq 0 ] || state=FAILED
    [ "$code" -eq 124 ] && echo "stopped after $TEST_TIMEOUT s" >> "$log"
    [ "$code" -eq 0 ] || echo "(exit $code)" >> "$log"
    echo "$state" > "$log.state"
    # One printf, so that lines of different tests do not mix.
    printf '  %-8s%4d.%01d s  %s\n' "$state" $((milliseconds / 1000)) $((milliseconds % 1000 / 100)) "$name"
}
export -f run_one

# Those of training/ run nothing that was built here, so once is enough.
choose() {
    if [ "$folder" = build/release ]; then cat; else grep -v '^tests/training/'; fi
}

# Those that take longest start first: a few programs, under sanitizers, and the Python tests. More
# than there are CPUs, because some of them mostly wait; under sanitizers fewer do.
more=1
[ "$folder" = build/release ] && more=2
long='tests/(core/model/test_quality|core/test_(registry|residents)|core/text/test_tokenizer|kernels/check_gemm)$'
# shellcheck disable=SC2016 # the inner shell expands it
{
    printf '%s\n' "$@" | grep -E "$long"
    find tests -name 'test_*.py' | sort | choose
    printf '%s\n' "$@" | grep -Ev "$long"
} | xargs -r -d '\n' -P "${TEST_JOBS:-$(($(nproc) + more))}" -I '{}' bash -c 'run_one "$1"' - '{}'

count() {
    cat "$results"/*.state | grep -c "^$1\$"
}
failed=$(count FAILED)
for log in "$results"/*.log; do
    [ "$(cat "$log.state")" = FAILED ] || continue
    echo "  FAILED $(basename "$log" .log)"
    tail -n 60 "$log" | sed 's/^/    | /'
done
echo "$(count ok) passed, $(count skipped) with parts skipped, $failed failed"
for log in "$results"/*.log; do
    [ "$(cat "$log.state")" = skipped ] || continue
    echo "  $(basename "$log" .log): $(grep -m 1 '^skipped:' "$log")"
done
[ "$failed" -eq 0 ]
