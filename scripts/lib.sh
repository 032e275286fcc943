# shellcheck shell=bash
# What the scripts beside this file share: packages, and the release build.
# Sourced by them, from anywhere; afterwards $top is the top of the source tree and
# the current directory.

top=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
from=$PWD
cd "$top" || exit 1
PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin

# Debian's names. ca-certificates: what sluice trusts unless ca_file says otherwise.
# Recommended packages are never installed, so libc6-dev has to be named.
# shellcheck disable=SC2034  # the sourcing scripts use them
{
    packages_build=(gcc libc6-dev cmake ninja-build pkg-config libmosquitto-dev libcurl4-openssl-dev
        libssl-dev zlib1g-dev libsqlite3-dev libcjson-dev libuv1-dev libinih-dev libmicrohttpd-dev libsystemd-dev)
    packages_pi=(ca-certificates mosquitto sqlite3 systemd)
    packages_demo=(g++ mosquitto mosquitto-clients python3 openssl sqlite3)
    packages_test=(clang libclang-rt-dev clang-format shellcheck libcmocka-dev nginx debootstrap systemd procps
        util-linux mandoc curl python3-pytest python3-pytest-xdist python3-paho-mqtt python3-h2 python3-cryptography
        gcc-avr avr-libc arduino-core-avr libsimavr-dev gcc-xtensa-lx106 picolibc-xtensa-lx106-elf)
}

say() {
    printf '%s\n' "$*"
}

die() {
    printf '%s: %s\n' "${0##*/}" "$*" >&2
    exit 1
}

usage_error() {
    printf '%s: %s\nTry %s --help\n' "${0##*/}" "$*" "$0" >&2
    exit 2
}

# absolute PATH: as the person who typed it meant it.
absolute() {
    (cd "$from" && realpath -m -- "$1")
}

is_root() {
    [ "$(id -u)" = 0 ]
}

systemd_runs() {
    [ -d /run/systemd/system ]
}

is_installed() {
    dpkg-query -W -f '${db:Status-Status}\n' "$1" 2>/dev/null | grep -qx installed
}

# quietly WHAT COMMAND...: runs it, and shows what it printed only when it fails.
quietly() {
    local what=$1 output
    shift
    say "$what"
    output=$(mktemp)
    if ! "$@" >"$output" 2>&1 </dev/null; then
        cat "$output" >&2
        rm -f "$output"
        die "this failed: $*"
    fi
    rm -f "$output"
}

# Debian starts a service as soon as its package is installed. For a demo and for
# tests none may be started; policy-rc.d is Debian's way to say so. One that was
# there before is put aside and comes back.
policy=/usr/sbin/policy-rc.d
policy_mark="# put here by sluice's scripts for the time of one installation"

hold_services() {
    if [ -e "$policy" ] && ! grep -qxF "$policy_mark" "$policy"; then
        mv "$policy" "$policy.before-sluice"
    fi
    printf '#!/bin/sh\n%s\nexit 101\n' "$policy_mark" >"$policy"
    chmod 755 "$policy"
}

release_services() {
    rm -f "$policy"
    if [ -e "$policy.before-sluice" ]; then
        mv "$policy.before-sluice" "$policy"
    fi
}

apt_install() {
    export DEBIAN_FRONTEND=noninteractive
    apt-get -q -o DPkg::Lock::Timeout=300 update &&
        apt-get -q -y -o DPkg::Lock::Timeout=300 install --no-install-recommends "$@"
}

# In a subshell's trap, so that an interrupted installation releases them as well.
apt_install_without_services() (
    trap release_services EXIT
    trap 'exit 130' INT
    trap 'exit 143' TERM HUP
    hold_services
    apt_install "$@"
)

# need_packages COMMAND PACKAGE...: has COMMAND install those that are missing.
need_packages() {
    local install=$1 package missing=()
    shift
    for package in "$@"; do
        is_installed "$package" || missing+=("$package")
    done
    if [ ${#missing[@]} = 0 ]; then
        return
    fi
    is_root || die "packages are missing, and only root can install them: apt-get install ${missing[*]}"
    quietly "installing ${missing[*]}" "$install" "${missing[@]}"
}

# For demo and tests. A broker or web server that comes with them is not started now
# and not at the next boot either; one that was there before stays as it is.
need_packages_without_services() {
    local service new=()
    for service in mosquitto nginx; do
        is_installed "$service" || new+=("$service")
    done
    need_packages apt_install_without_services "$@"
    for service in "${new[@]}"; do
        if is_installed "$service" && command -v systemctl >/dev/null; then
            systemctl --quiet disable "$service" >/dev/null 2>&1 || true
        fi
    done
}

# Builds build/release/sluice. The lock: ninja does not keep two of its own kind
# out of one directory.
build_release() {
    mkdir -p build
    quietly "building sluice (a few minutes on the oldest Pi)" run_release_build
}

run_release_build() (
    flock 9
    cmake --preset release && cmake --build --preset release
) 9>build/.lock
