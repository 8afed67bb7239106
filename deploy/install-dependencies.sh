#!/bin/sh
# Installs what the build and the tests need from the system's package manager, and nothing that is there already.
# Debian 12 and 13, Ubuntu 24.04. Uses sudo when not root.
#
#   install-dependencies.sh build    to compile and run
#   install-dependencies.sh test     that, and what the tests need
#   install-dependencies.sh bench    to compile and run, and what the benchmarks compare with
set -eu

# On a fresh machine there may be no package lists yet.
if ! apt-cache show libuv1-dev >/dev/null 2>&1; then
    if [ "$(id -u)" -eq 0 ]; then apt-get update -qq; else sudo apt-get update -qq; fi
fi

want="gcc make pkg-config python3 python3-dev python3-venv libuv1-dev libzmq3-dev libinih-dev zlib1g-dev libhdf5-dev"
# Debian 13 and Ubuntu 24.04 renamed the package of msgpack-c.
if apt-cache show libmsgpack-c-dev >/dev/null 2>&1; then want="$want libmsgpack-c-dev"; else want="$want libmsgpack-dev"; fi
if [ "${1:-build}" = test ]; then
    want="$want libcriterion-dev clang spin git"
    # libFuzzer and the sanitizers' runtime are a package of their own, named after clang's version.
    version=$(apt-cache depends clang 2>/dev/null | sed -n 's/.*Depends: clang-\([0-9][0-9]*\).*/\1/p' | head -n 1)
    [ -z "$version" ] || want="$want libclang-rt-$version-dev"
fi

[ "${1:-build}" != bench ] || want="$want redis-tools"

missing=""
for package in $want; do
    dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || missing="$missing $package"
done
[ -n "$missing" ] || exit 0

echo "installing:$missing"
run=""
if [ "$(id -u)" -ne 0 ]; then
    command -v sudo >/dev/null || { echo "not root and no sudo: install these packages first:$missing" >&2; exit 1; }
    run=sudo
fi
export DEBIAN_FRONTEND=noninteractive
# Lists may be missing or old on a fresh machine.
$run apt-get update -qq
# shellcheck disable=SC2086
$run apt-get install -y -qq --no-install-recommends $missing >/dev/null
