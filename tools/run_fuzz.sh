#!/bin/bash
# run_fuzz.sh FOLDER SECONDS - lets each libFuzzer program in FOLDER/tests/fuzz run for
# SECONDS on the seeds of the repository, two at a time. New inputs go to
# FOLDER/corpus, crashes to FOLDER/crashes; a crash fails.
set -u
cd "$(dirname "$0")/.." || exit 2
folder=$1
seconds=$2
export folder seconds
mkdir -p "$folder/crashes"

fuzz_one() {
    local program=$1 name
    name=$(basename "$program")
    name=${name#fuzz_}
    local corpus=$folder/corpus/$name
    mkdir -p "$corpus"
    if "$program" -max_total_time="$seconds" -timeout=10 -rss_limit_mb=2048 -print_final_stats=1 \
        -artifact_prefix="$folder/crashes/$name-" "$corpus" "tests/fuzz/corpus/$name" \
        > "$corpus.log" 2>&1; then
        printf '  ok      fuzz_%s: %s runs\n' "$name" \
            "$(sed -n 's/^stat::number_of_executed_units: //p' "$corpus.log")"
    else
        printf '  FAILED  fuzz_%s\n%s\n' "$name" "$(tail -n 60 "$corpus.log" | sed 's/^/    | /')"
        return 1
    fi
}
export -f fuzz_one

# shellcheck disable=SC2016 # the inner shell expands it
find "$folder/tests/fuzz" -name 'fuzz_*' -type f -perm -u+x | sort |
    xargs -r -P "$(nproc)" -I '{}' bash -c 'fuzz_one "$1"' - '{}'
