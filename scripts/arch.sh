# shellcheck shell=bash
# For another architecture: what a cross build needs (scripts/package, scripts/test --arch).

# The names of GNU and of qemu: gnu_type ARCHITECTURE, qemu_name ARCHITECTURE
gnu_type() {
    dpkg-architecture -a "$1" -q DEB_HOST_GNU_TYPE 2>/dev/null
}

qemu_name() {
    dpkg-architecture -a "$1" -q DEB_HOST_GNU_CPU 2>/dev/null
}

# Lets apt install packages of that architecture beside those of this machine.
add_architecture() { # ARCHITECTURE
    if ! dpkg --print-foreign-architectures | grep -qx "$1"; then
        is_root || die "as root, run: dpkg --add-architecture $1"
        dpkg --add-architecture "$1"
    fi
}

# Builds for the architecture, and runs the unit tests that take no time with qemu.
test_arch() { # ARCHITECTURE
    local arch=$1 type libraries=() package
    need_packages_without_services "${packages_build[@]}" dpkg-dev
    add_architecture "$arch"
    for package in "${packages_build[@]}" libcmocka-dev; do
        [[ $package != lib*-dev && $package != zlib1g-dev ]] || libraries+=("$package:$arch")
    done
    need_packages_without_services "crossbuild-essential-$arch" qemu-user-static "${libraries[@]}"
    type=$(gnu_type "$arch")
    export PKG_CONFIG_LIBDIR=/usr/lib/$type/pkgconfig:/usr/share/pkgconfig
    quietly "building for $arch" sh -c "cmake --preset dev -B 'build/$arch' -DCMAKE_SYSTEM_NAME=Linux \
        -DCMAKE_SYSTEM_PROCESSOR='$(qemu_name "$arch")' -DCMAKE_C_COMPILER='$type-gcc' \
        -DCMAKE_CROSSCOMPILING_EMULATOR='/usr/bin/qemu-$(qemu_name "$arch")-static' && cmake --build 'build/$arch'"
    ctest -j2 --test-dir "build/$arch" --no-tests=error -LE slow --output-on-failure
}
