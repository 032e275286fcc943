# shellcheck shell=bash
# Shared by the scripts in this directory: messages, packages, and the release build.
# A script sources this file. Then $top is the top of the source tree, and the current
# directory; $from is the directory where the user called the script.

top=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
from=$PWD
cd "$top" || exit 1
PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin

# Names of Debian packages. apt_install does not install recommended packages, so libc6-dev
# is in the list. sluice trusts ca-certificates unless ca_file is set.
# shellcheck disable=SC2034  # the scripts use them
{
    packages_build=(gcc libc6-dev cmake ninja-build pkg-config libmosquitto-dev libcurl4-openssl-dev
        libssl-dev zlib1g-dev libsqlite3-dev libcjson-dev libuv1-dev libsystemd-dev)
    packages_pi=(ca-certificates mosquitto mosquitto-clients sqlite3 systemd)
    packages_demo=(g++ mosquitto mosquitto-clients python3 openssl sqlite3)
    packages_test=(clang libclang-rt-dev clang-format shellcheck libcmocka-dev nginx debootstrap systemd procps
        e2fsprogs util-linux mandoc curl python3-pytest python3-pytest-xdist python3-paho-mqtt python3-h2 python3-cryptography
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

# absolute PATH: resolves a path that the user typed.
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

# quietly MESSAGE COMMAND...: prints the message and runs the command, whose output is
# printed only if it fails.
quietly() {
    local output
    say "$1"
    shift
    output=$(mktemp)
    if ! "$@" >"$output" 2>&1 </dev/null; then
        cat "$output" >&2
        rm -f "$output"
        die "this failed: $*"
    fi
    rm -f "$output"
}

# Debian starts a service when it installs the package, which the demo and the tests must
# not do. Debian's way to prevent it is the file policy-rc.d. These functions keep a file
# that exists already, and restore it.
policy=/usr/sbin/policy-rc.d
policy_mark="# made by the scripts of sluice for the duration of one installation"

forbid_services() {
    if [ -e "$policy" ] && ! grep -qxF "$policy_mark" "$policy"; then
        mv "$policy" "$policy.before-sluice"
    fi
    printf '#!/bin/sh\n%s\nexit 101\n' "$policy_mark" >"$policy"
    chmod 755 "$policy"
}

allow_services() {
    rm -f "$policy"
    if [ -e "$policy.before-sluice" ]; then
        mv "$policy.before-sluice" "$policy"
    fi
}

apt_run() { # COMMAND ARGUMENT...: of apt-get
    export DEBIAN_FRONTEND=noninteractive
    apt-get -q -o DPkg::Lock::Timeout=300 update &&
        apt-get -q -y -o DPkg::Lock::Timeout=300 --no-install-recommends "$@"
}

apt_install() {
    apt_run install "$@"
}

# The subshell has its own traps, so that an interrupted installation restores the file too.
apt_install_without_services() (
    trap allow_services EXIT
    trap 'exit 130' INT
    trap 'exit 143' TERM HUP
    forbid_services
    apt_install "$@"
)

# need_packages COMMAND PACKAGE...: runs COMMAND to install the missing packages.
need_packages() {
    local install=$1 package missing=()
    shift
    for package in "$@"; do
        is_installed "$package" || missing+=("$package")
    done
    if [ ${#missing[@]} = 0 ]; then
        return
    fi
    is_root || die "packages are missing; as root, run: apt-get install ${missing[*]}"
    quietly "installing ${missing[*]}" "$install" "${missing[@]}"
}

# Remembers that we disabled a service, for scripts/install.
service_mark=/etc/sluice-demo-disabled

# For the demo and the tests. If this installs a broker or a web server, the service starts
# neither now nor at the next boot. A service that was installed before is not changed.
need_packages_without_services() {
    local service new=()
    for service in mosquitto nginx; do
        is_installed "$service" || new+=("$service")
    done
    need_packages apt_install_without_services "$@"
    for service in "${new[@]}"; do
        if is_installed "$service" && command -v systemctl >/dev/null; then
            if systemctl --quiet disable "$service" >/dev/null 2>&1; then
                : >"$service_mark.$service"
            fi
        fi
    done
}

# Builds build/release/sluice, always as the owner of the source tree: then `sudo scripts/install`
# and scripts/run of a user share one build.
build_release() {
    local owner as=()
    owner=$(stat -c %U .)
    if is_root && [ "$owner" != root ] && [ "$owner" != UNKNOWN ]; then
        as=(runuser -u "$owner" --)
        mkdir -p build
        chown -R "$owner:" build # root may have built here
    fi
    mkdir -p build 2>/dev/null || true
    if [ ! -w build ] || [ -e build/.lock ] && [ ! -w build/.lock ] || [ -e build/release ] && [ ! -w build/release ]; then
        die "$top/build cannot be written: build as $owner, or in a copy of the source of your own"
    fi
    # The lock is needed because two ninjas in one directory disturb each other.
    quietly "building sluice (a few minutes on the oldest Pi)" "${as[@]}" \
        flock build/.lock sh -c 'cmake --preset release && cmake --build --preset release'
}
