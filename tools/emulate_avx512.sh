#!/bin/sh
# emulate_avx512.sh - the tests of kernels and models on the AVX-512 kernels, on a CPU that has
# AVX2 at most.
#
#     tools/emulate_avx512.sh [TEST...]        tests/kernels/check_* and some models by default
#
# Compiles core/kernels/*_avx512*.c with intrinsics that simde (Debian: libsimde-dev; another
# folder: SIMDE=...) and emulate_avx512.inc translate, and tells isa_detect() that the CPU has
# all of them. It shows what the sources mean, not what the compiler makes of them.
set -e
cd "$(dirname "$0")/.."
SIMDE=${SIMDE:-/usr/include} CC=${CC:-cc} OUT=build/emulated
[ -f "$SIMDE/simde/x86/avx512.h" ] || { echo "simde is missing: apt-get install libsimde-dev" >&2; exit 77; }
[ $# -gt 0 ] || set -- tests/kernels/check_*.c tests/core/model/test_model.c \
    tests/core/model/test_goldens.c tests/core/model/test_workspace.c
mkdir -p $OUT/core/kernels
cp tools/emulate_avx512.inc $OUT/immintrin.h
cp core/kernels/*avx512* $OUT/core/kernels
# Zero registers for a measurement: nothing here has 512 bits.
sed -i '/__asm__/d' $OUT/core/kernels/tile_avx512.h
sed 's/unsigned features = 0;/return ISA_ALL;/; /^#if defined/,/^    return features;$/d' \
    core/kernels/isa.c > $OUT/core/kernels/isa.c
for source in "$OUT"/core/kernels/*.c; do
    $CC -std=gnu11 -D_GNU_SOURCE -O1 -w -Wno-psabi -mavx2 -mfma -I$OUT -isystem "$SIMDE" -I. \
        -c -o "${source%.c}.o" "$source"
done
# shellcheck disable=SC2046 # several words on purpose
libs="$(pkg-config --libs check $(sed -n 's/^DEPS *:= //p' Makefile)) -lstdc++ -lm"
failed=0
for test in "$@"; do
    name=${test%.c}
    make --no-print-directory "build/release/$name"
    # shellcheck disable=SC2086 # several words on purpose
    $CC -pthread -o "$OUT/$(basename "$name")" "build/release/$name.o" $OUT/core/kernels/*.o \
        build/release/tests/support/*.o build/release/libclipd.a $libs
    "$OUT/$(basename "$name")" || failed=1
done
exit $failed
