#!/bin/sh
# check_headers.sh - every header of ours compiles alone and has a guard that spells its
# path.
cd "$(dirname "$0")/.." || exit 2
status=0
for header in $(git ls-files '*.h' '*.hh'); do
    [ -f "$header" ] || continue
    guard=$(echo "$header" | tr 'a-z/.' 'A-Z__')
    if ! grep -q "^#ifndef $guard\$" "$header"; then
        echo "$header: the include guard is not $guard"
        status=1
    fi
    language='c -std=c11'
    case $header in
    *.hh) isa='' language='c++ -std=c++17' ;;
    *_avx2.h) isa='-mavx2 -mfma' ;;
    *_avx512.h) isa='-mavx512f -mavx512bw -mavx512dq -mavx512vl -mfma' ;;
    *) isa= ;;
    esac
    # shellcheck disable=SC2086 # several words on purpose
    if ! ${CC:-cc} $isa -I. -D_GNU_SOURCE -Wall -Wextra -fsyntax-only -x $language "$header"; then
        echo "$header: does not compile alone"
        status=1
    fi
done
exit $status
