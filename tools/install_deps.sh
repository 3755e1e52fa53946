#!/bin/sh
# install_deps.sh [test] [train] - installs the Debian packages that are missing, when it
# may; else prints the one command that would. "test" adds what tests and lint need,
# "train" what the tests of training/ need.
set -eu
packages='gcc make pkg-config libmicrohttpd-dev libjansson-dev libjpeg62-turbo-dev libpng-dev
    libwebp-dev libopenblas-dev libcyaml-dev libyaml-dev libutf8proc-dev nettle-dev zlib1g-dev libxxhash-dev
    libsqlite3-dev g++ libhnswlib-dev libpq-dev libcurl4-gnutls-dev'
for more in "$@"; do
    case $more in
    test) packages="$packages check curl python3 python3-yaml clang-format clang-tidy
        clang libclang-rt-14-dev shellcheck mmdebstrap debian-archive-keyring procps" ;;
    train) packages="$packages python3-torch python3-numpy python3-pil" ;;
    esac
done

missing=
for package in $packages; do
    state=$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null || true)
    [ "$state" = installed ] || missing="$missing $package"
done
[ -z "$missing" ] && exit 0

if ! command -v apt-get >/dev/null; then
    echo "clipd needs these Debian packages, or what they are called here:$missing" >&2
    exit 1
fi
if [ "$(id -u)" -eq 0 ]; then
    run=
elif sudo -n true 2>/dev/null; then
    run=sudo
else
    echo "missing packages; please run:" >&2
    echo "  sudo apt-get install$missing" >&2
    exit 1
fi
echo "installing:$missing"
$run apt-get update -qq
# shellcheck disable=SC2086 # a list on purpose
DEBIAN_FRONTEND=noninteractive $run apt-get install -y -qq --no-install-recommends $missing >/dev/null
