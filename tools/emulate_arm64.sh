#!/bin/sh
# emulate_arm64.sh - the tests of kernels on a 64-bit ARM that qemu plays, on a machine that is none.
#
#     tools/emulate_arm64.sh [TEST...]        tests/kernels/check_* by default
#
# Compiles tests and library into build/arm64 with Debian's cross compiler, against the libraries
# that mmdebstrap unpacks into build/arm64-root, once, as root. Any other test written in C runs as well;
# all of them run slowly.
set -e
cd "$(dirname "$0")/.."
root=$PWD/build/arm64-root libraries=/usr/lib/aarch64-linux-gnu
qemu=$(command -v qemu-aarch64 || command -v qemu-aarch64-static || true)
if ! { [ -n "$qemu" ] && command -v aarch64-linux-gnu-g++ && command -v mmdebstrap; } >/dev/null; then
    echo "missing: apt-get install g++-aarch64-linux-gnu qemu-user mmdebstrap" >&2
    exit 77
fi
[ $# -gt 0 ] || set -- tests/kernels/check_*.c

# The libraries of install_deps.sh, unpacked and not set up: nothing of them runs here.
unpack() {
    packages=$(grep -oE '[a-z0-9.+-]+-dev' tools/install_deps.sh | grep -v clang | tr '\n' ,)
    codename=$(sed -n 's/^VERSION_CODENAME=//p' /etc/os-release)
    # shellcheck disable=SC2016 # apt's, not the shell's
    mirror=$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' "Codename: $codename" | head -n 1)
    options=$(mktemp)
    apt-config dump | grep -E '^Acquire::(http|https|Retries)' > "$options" || true
    rm -rf "$root.new"
    mkdir -p "$root.new"
    mmdebstrap --quiet --variant=extract --architectures=arm64 --aptopt="$options" --include="${packages}check" \
        --keyring=/usr/share/keyrings/debian-archive-keyring.gpg "$codename" "$root.new" "$mirror"
    rm -f "$options"
    # shellcheck disable=SC2016 # the inner shell expands it
    find "$root.new" -type l -lname '/*' -exec sh -c \
        'for link; do ln -snf "$0$(readlink "$link")" "$link"; done' "$root" {} +
    mv "$root.new" "$root"
}

[ -d "$root" ] || unpack
# What the compiler finds by itself below its root is left out, so that it counts as the system's.
export PKG_CONFIG_SYSROOT_DIR="$root" PKG_CONFIG_SYSTEM_INCLUDE_PATH="$root/usr/include"
export PKG_CONFIG_SYSTEM_LIBRARY_PATH="$root$libraries"
export PKG_CONFIG_LIBDIR="$root$libraries/pkgconfig:$root$libraries/openblas-pthread/pkgconfig:$root/usr/share/pkgconfig"
failed=0
for test in "$@"; do
    program=build/arm64/${test%.c}
    make --no-print-directory -j"$(nproc)" O=build/arm64 CC="aarch64-linux-gnu-gcc --sysroot=$root" \
        CXX="aarch64-linux-gnu-g++ --sysroot=$root" \
        LDFLAGS="-Wl,-rpath-link,$root$libraries/openblas-pthread" "$program"
    "$qemu" -L "$root" -E CK_TIMEOUT_MULTIPLIER=10 -E LD_LIBRARY_PATH=$libraries/openblas-pthread "$program" || failed=1
done
exit $failed
