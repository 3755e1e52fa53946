#!/bin/sh
# emulate_avx512.sh - tests of the AVX-512 kernels as compiled, on a CPU that has AVX2 at most.
#
#     tools/emulate_avx512.sh [TEST...]        tests/kernels/check_*.c by default
#
# Boots Debian's kernel in Bochs, whose CPU has AVX-512, with the programs of build/release in
# a file system in memory. It must be Bochs 3.0 (Debian 13), which has VNNI and BF16, but not in
# what the CPUID says of a CPU that Linux starts on: isa_detect() is told that all is there.
#
#     BOCHS=...   another program than bochs; the folder of its BIOS is BXSHARE
#     KERNEL=...  a vmlinuz, instead of downloading (not installing) linux-image-cloud-amd64
#     FILES=...   what the tests read: files and folders below the root of the repository
set -e
cd "$(dirname "$0")/.."
BOCHS=${BOCHS:-bochs} CC=${CC:-cc} OUT=$PWD/build/emulated
ROOT=$OUT/root DISK=$OUT/disk SERIAL=$OUT/serial.txt

need() {
    command -v "$1" > /dev/null || [ -e "$1" ] ||
        { echo "$1 is missing: apt-get install $2" >&2; exit 77; }
}
need "$BOCHS" "bochs bochs-term"
need xorriso xorriso
need cpio cpio
need script bsdutils
need /bin/busybox busybox-static
need /usr/lib/ISOLINUX/isolinux.bin isolinux
need /usr/lib/syslinux/modules/bios/ldlinux.c32 syslinux-common
"$BOCHS" -help cpu 2>&1 | grep -qx sapphire_rapids ||
    { echo "$BOCHS is older than 3.0 (Debian 13), in which Linux finds AVX-512" >&2; exit 77; }
[ $# -gt 0 ] || set -- tests/kernels/check_*.c

rm -rf "$ROOT" "$DISK" "$SERIAL"
mkdir -p "$ROOT/bin" "$ROOT/proc" "$ROOT/dev" "$ROOT/tmp" "$ROOT/work" "$DISK"
if [ -z "$KERNEL" ]; then
    image=$(apt-cache depends linux-image-cloud-amd64 | sed -n 's/^ *Depends: linux-image-//p')
    KERNEL=$OUT/boot/vmlinuz-$image
    [ -f "$KERNEL" ] || (cd "$OUT" && apt-get download "linux-image-$image" &&
        dpkg-deb --fsys-tarfile "linux-image-${image}"_*.deb | tar -x ./boot)
fi

# From an emulated CD everything is slow: libraries are linked as needed. Check writes to a file
# whenever an assertion holds, which takes four times as long as the rest; failures do not need it.
echo 'void __wrap__mark_point(void) {}' | $CC -w -c -x c -o "$OUT/mark.o" -
sed 's/unsigned features = 0;/return ISA_ALL;/; /^#if defined/,/^    return features;$/d' \
    core/kernels/isa.c | $CC -I. -c -x c -o "$OUT/isa.o" -
# shellcheck disable=SC2046 # several words on purpose
libs="$(pkg-config --libs check $(sed -n 's/^DEPS *:= //p' Makefile)) -lstdc++ -lm"
names=
for test in "$@"; do
    name=${test%.c}
    names="$names $name"
    make --no-print-directory "build/release/$name"
    mkdir -p "$ROOT/work/${name%/*}"
    # shellcheck disable=SC2086 # several words on purpose
    $CC -pthread -s -Wl,--as-needed,--wrap=_mark_point -o "$ROOT/work/$name" \
        "build/release/$name.o" "$OUT/mark.o" "$OUT/isa.o" build/release/tests/libsupport.a \
        build/release/libclipd.a $libs
    for file in $(ldd "$ROOT/work/$name" | grep -o '/[^ ]*'); do
        mkdir -p "$ROOT${file%/*}"
        cp -L "$file" "$ROOT$file"
    done
done
# shellcheck disable=SC2086 # several words on purpose
[ -z "$FILES" ] || cp -r --parents $FILES "$ROOT/work"
cp /bin/busybox "$ROOT/bin/busybox"
ln -s busybox "$ROOT/bin/sh"
cat > "$ROOT/init" << EOF
#!/bin/sh
/bin/busybox mount -t proc proc /proc && mount -t devtmpfs dev /dev && mount -t tmpfs tmp /tmp
echo "features: \$(grep -o 'avx512[a-z0-9_]*' /proc/cpuinfo | tr '\n' ' ')"
cd /work
export OPENBLAS_NUM_THREADS=1 CK_DEFAULT_TIMEOUT=0
for test in $names; do
    echo "\$(cut -d ' ' -f 1 /proc/uptime) s: \$test"
    "./\$test"
    echo "\$(cut -d ' ' -f 1 /proc/uptime) s: \$test ends with \$?"
done
echo "the tests are over"; sleep 1; reboot -f
EOF
chmod +x "$ROOT/init"
(cd "$ROOT" && find . | cpio --quiet -o -H newc) > "$DISK/initrd"
cp "$KERNEL" "$DISK/vmlinuz"
cp /usr/lib/ISOLINUX/isolinux.bin /usr/lib/syslinux/modules/bios/ldlinux.c32 "$DISK"
# Without what Bochs lacks, what waits by the clock and what takes long; a reboot ends it.
echo "DEFAULT vmlinuz initrd=initrd console=ttyS0,115200 quiet panic=-1 reboot=t mitigations=off \
nokaslr norandmaps acpi=off nolapic noapic no_timer_check nohz=off highres=off clocksource=jiffies \
notsc idle=halt lsm=yama audit=0 cryptomgr.notests random.trust_cpu=on \
initcall_blacklist=load_system_certificate_list,init_ima,init_evm" > "$DISK/isolinux.cfg"
xorriso -as mkisofs -quiet -o "$OUT/disk.iso" -b isolinux.bin -c boot.cat -no-emul-boot \
    -boot-load-size 4 -boot-info-table "$DISK"
cat > "$OUT/bochsrc" << EOF
cpu: model=corei7_skylake_x, add_features="avx512vnni avx512bf16", ips=20000000, reset_on_triple_fault=0
megs: 768
romimage: file=\$BXSHARE/BIOS-bochs-latest
vgaromimage: file=\$BXSHARE/VGABIOS-lgpl-latest
ata0-master: type=cdrom, path=$OUT/disk.iso, status=inserted
boot: cdrom
com1: enabled=1, mode=file, dev=$SERIAL
log: $OUT/bochs.log
panic: action=fatal
error: action=ignore
display_library: term
EOF

echo "Linux boots; what it says comes into $SERIAL"
# Its screen needs a terminal that somebody reads.
TERM=xterm script -qec "$BOCHS -q -f $OUT/bochsrc" /dev/null < /dev/null > "$OUT/screen.txt" 2>&1 ||
    true
cat "$SERIAL"
grep -q '^the tests are over' "$SERIAL" && ! grep -q 'ends with [^0]' "$SERIAL"
