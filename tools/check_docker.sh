#!/bin/sh
# check_docker.sh PROGRAM - there may be no container engine where this is tested, so at
# least: docker/Dockerfile installs the package of every library that PROGRAM links
# itself, and no other.
cd "$(dirname "$0")/.." || exit 2
command -v dpkg-query >/dev/null || exit 0
listed=$(sed -n '/^RUN apt-get update/,/^    && rm/p' docker/Dockerfile | grep -oE '[a-z0-9.+-]*[0-9][a-z0-9.+-]*' | sort -u)
linked=$(objdump -p "$1" | sed -n 's/^ *NEEDED *//p' | grep -vE '^(libc|libm|libgcc_s|ld-linux.*|lib(a|t|ub)san)\.so' |
    while read -r library; do
        path=$(ldconfig -p | sed -n "s|.*$library .*=> ||p" | head -n 1)
        path=$(readlink -f "$path")
        # Of /lib and /usr/lib dpkg knows one; the folder below tells architectures apart.
        dpkg-query -S "*/$(basename "$(dirname "$path")")/$(basename "$path")" | sed 's/:.*//'
    done | sort -u)
[ "$listed" = "$linked" ] && exit 0
printf "docker/Dockerfile installs:\n%s\nthe program links:\n%s\n" "$listed" "$linked"
exit 1
