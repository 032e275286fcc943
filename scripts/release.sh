# shellcheck shell=bash
# For scripts/test --release: the tests in a fresh system of another release of Debian.

# The mirror that apt of this machine uses, for all releases.
debian_mirror() {
    apt-get indextargets --format '$(REPO_URI) $(COMPONENT) $(ORIGIN) $(LABEL)' 'Created-By: Packages' |
        awk '$2 == "main" && $3 == "Debian" && $4 == "Debian" { print $1; exit }'
}

# The other one of the two that sluice supports.
other_release() {
    local VERSION_CODENAME=''
    # shellcheck source=/dev/null
    . /etc/os-release
    if [ "$VERSION_CODENAME" = trixie ]; then echo bookworm; else echo trixie; fi
}

# Runs COMMAND in the source tree of the system below TREE, whose root is then a mount of its own: the
# tests mount things. Each process ends with COMMAND.
enter_system() { # TREE COMMAND...
    local tree=$1
    shift
    # shellcheck disable=SC2016  # for the inner shell
    unshare --mount --pid --fork --kill-child /bin/sh -euc '
        mount --bind "$0" "$0"
        mount -t proc proc "$0/proc"
        mount --rbind /sys "$0/sys"
        mount --rbind /dev "$0/dev"
        mount -t tmpfs tmpfs "$0/dev/shm"
        cd "$0"
        mkdir -p .old
        pivot_root . .old
        umount -l /.old
        cd /srv/sluice
        exec "$@"' "$tree" "$@"
}

# Runs scripts/test with these arguments in a fresh system, which is removed afterwards.
test_in_release() { # RELEASE ARGUMENT...
    local release=$1 mirror tree status=0
    shift
    is_root || die "only root can make a system of another release"
    need_packages apt_install debootstrap util-linux
    mirror=$(debian_mirror)
    [ -n "$mirror" ] || die "apt has no mirror of Debian's main archive"
    tree=$(mktemp -d "${TMPDIR:-/var/tmp}/sluice-$release.XXXXXX")
    chmod 755 "$tree" # other users work in it, too
    # shellcheck disable=SC2064  # its value now
    trap "rm -rf --one-file-system '$tree'" EXIT
    quietly "making a system with Debian $release" debootstrap --variant=minbase "$release" "$tree" "$mirror"
    cp /etc/resolv.conf "$tree/etc/"
    mkdir -p "$tree/srv/sluice"
    tar -c --exclude=./build --exclude=./.git . | tar -x -C "$tree/srv/sluice"
    enter_system "$tree" ./scripts/test "$@" || status=$?
    return "$status"
}
