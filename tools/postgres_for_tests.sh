#!/bin/bash
# postgres_for_tests.sh - a real PostgreSQL 17 with pgvector for tests, on a Debian that has
# neither: a Debian 13 in a folder, made once by mmdebstrap in some 40 s, whose servers
# listen on free ports of 127.0.0.1. It mounts nothing and installs nothing outside of the
# folder: build/postgres-root, or $CLIPD_POSTGRES_ROOT.
#
#   prepare               make the folder, unless it is complete
#   start NAME            make a server and start it; prints its connection string
#   standby NAME PRIMARY  the same with a copy that PRIMARY waits for before it acknowledges
#   promote NAME          a standby becomes the primary
#   freeze NAME, thaw NAME, stop NAME, kill NAME, again NAME
#                         SIGSTOP, SIGCONT, an orderly stop, SIGKILL to all of its processes,
#                         a start of what was stopped
#   remove NAME           stop it and delete its data
#   run COMMAND...        run it with CLIPD_POSTGRES set to a server of its own; without a
#                         folder made by prepare, or if it is set already, as it is
set -euo pipefail
tool=$(readlink -f "$0")
cd "$(dirname "$tool")/.."
root=$(realpath -m "${CLIPD_POSTGRES_ROOT:-build/postgres-root}")
binaries=/usr/lib/postgresql/17/bin
complete=$root/complete
home=/var/lib/postgresql/clipd

fail() {
    echo "postgres_for_tests.sh: $*" >&2
    exit 1
}

# Whatever apt uses on this machine for its own release has Debian 13, too.
mirror() {
    local codename
    codename=$(sed -n 's/^VERSION_CODENAME=//p' /etc/os-release)
    # shellcheck disable=SC2016 # apt's, not the shell's
    apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' "Codename: $codename" | head -n 1
}

prepare() {
    [ -f "$complete" ] && return
    [ "$(id -u)" -eq 0 ] || { echo "skipped: a PostgreSQL for tests needs root"; exit 3; }
    command -v mmdebstrap > /dev/null || { echo "skipped: a PostgreSQL for tests needs mmdebstrap"; exit 3; }
    local from options
    from=$(mirror)
    [ -n "$from" ] || fail "apt knows no mirror of Debian"
    # A half-made folder is of no use: it becomes $root when it is whole.
    rm -rf "$root.new"
    mkdir -p "$root.new"
    options=$(mktemp)
    apt-config dump | grep -E '^Acquire::(http|https|Retries)' > "$options" || true
    mmdebstrap --quiet --variant=minbase --aptopt="$options" --include=postgresql-17,postgresql-17-pgvector \
        --keyring=/usr/share/keyrings/debian-archive-keyring.gpg trixie "$root.new" "$from" ||
        fail "mmdebstrap cannot make a Debian 13 from $from"
    rm -f "$options"
    # By its number in there: this machine's user of that name has another.
    chroot "$root.new" install -d -o postgres -g postgres "$home"
    touch "$root.new/complete"
    rm -rf "$root"
    mv "$root.new" "$root"
}

inside() {
    chroot "$root" /usr/bin/env -i PATH="$binaries:/usr/bin:/bin" LC_ALL=C \
        su postgres -s /bin/sh -c "cd $home && $1"
}

need() {
    [ -f "$complete" ] || fail "there is no $root: run 'tools/postgres_for_tests.sh prepare' as root"
    [[ "$1" =~ ^[a-z0-9_-]+$ ]] || fail "'$1' is no name of a server"
}

free_port() {
    "${PYTHON:-/usr/bin/python3}" -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'
}

launch() { # NAME: starts what is there and waits for it
    inside "pg_ctl -D $home/$1 -l $home/$1.log -w -t 60 start > /dev/null" || {
        tail -n 20 "$root$home/$1.log" >&2
        fail "PostgreSQL does not start"
    }
}

port_of() {
    sed -n "s/^port = //p" "$root$home/$1/clipd.conf"
}

configure() { # NAME PORT
    cat > "$root$home/$1/clipd.conf" << END
port = $2
listen_addresses = '127.0.0.1'
unix_socket_directories = ''
dynamic_shared_memory_type = mmap
shared_buffers = 128MB
max_connections = 60
max_parallel_maintenance_workers = 0
max_parallel_workers_per_gather = 0
wal_level = replica
max_wal_senders = 8
hot_standby = on
END
}

start() {
    need "$1"
    [ ! -e "$root$home/$1" ] || fail "there is a server $1 already"
    inside "initdb -D $1 --auth=trust --encoding=UTF8 --locale=C --no-sync > /dev/null"
    configure "$1" "$(free_port)"
    echo "include_if_exists = 'clipd.conf'" >> "$root$home/$1/postgresql.conf"
    launch "$1"
    echo "postgresql://postgres@127.0.0.1:$(port_of "$1")/postgres"
}

standby() {
    need "$1" && need "$2"
    inside "pg_basebackup -D $1 -R -c fast -d 'host=127.0.0.1 port=$(port_of "$2") user=postgres application_name=$1'"
    configure "$1" "$(free_port)"
    launch "$1"
    echo "synchronous_standby_names = '\"$1\"'" >> "$root$home/$2/clipd.conf"
    inside "pg_ctl -D $2 reload > /dev/null"
    echo "postgresql://postgres@127.0.0.1:$(port_of "$1")/postgres"
}

# The postmaster and what it started, by the number that it left in its own folder.
processes() {
    local pid
    pid=$(head -n 1 "$root$home/$1/postmaster.pid" 2> /dev/null) || return 0
    echo "$pid"
    ps -o pid= --ppid "$pid" || true
}

signal() { # SIGNAL NAME
    need "$2"
    local pids
    pids=$(processes "$2")
    # shellcheck disable=SC2086 # a list on purpose
    [ -z "$pids" ] || kill "-$1" $pids 2> /dev/null || true
}

# Of a server killed, children may live for a moment; its number stays behind.
bury() {
    signal KILL "$1"
    rm -f "$root$home/$1/postmaster.pid"
}

remove() {
    signal CONT "$1"
    inside "pg_ctl -D $1 -m immediate -w stop > /dev/null 2>&1" || true
    rm -rf "${root:?}$home/$1" "$root$home/$1.log"
}

run() {
    if [ -n "${CLIPD_POSTGRES:-}" ] || [ ! -f "$complete" ] || [ "$(id -u)" -ne 0 ]; then
        exec "$@"
    fi
    local name=tests-$$
    # shellcheck disable=SC2064 # the name of now
    trap "remove $name" EXIT
    CLIPD_POSTGRES=$(start "$name")
    export CLIPD_POSTGRES
    "$@"
}

command=${1:-}
[ $# -gt 0 ] && shift
case $command in
prepare) prepare ;;
start) start "$1" ;;
standby) standby "$1" "$2" ;;
promote) need "$1" && inside "pg_ctl -D $1 -w promote > /dev/null" ;;
freeze) signal STOP "$1" ;;
thaw) signal CONT "$1" ;;
stop) need "$1" && inside "pg_ctl -D $1 -m fast -w stop > /dev/null" ;;
kill) need "$1" && bury "$1" ;;
again) need "$1" && launch "$1" ;;
remove) need "$1" && remove "$1" ;;
run) run "$@" ;;
*) sed -n '2,/^set/s/^# \{0,1\}//p' "$tool" && exit 2 ;;
esac
