# shellcheck shell=sh disable=SC2154  # $root: the system, set by the caller
# Removes the queue, the configuration, and the settings of Mosquitto that sluice wrote. Both
# scripts/install and the removal of the package have this text; the latter runs when the files
# of the package are gone.

# Removes FILE of Mosquitto if MARK says that sluice wrote it. Returns 0 if it did.
purge_setting() { # FILE MARK
    [ -e "$root/etc/mosquitto/$1" ] || return 1
    if [ ! -e "$root/etc/sluice/$2" ]; then
        echo "kept: /etc/mosquitto/$1 (sluice did not write it)"
        return 1
    fi
    rm "$root/etc/mosquitto/$1"
}

# Returns 0 if Mosquitto lost a setting.
purge_all() {
    purge_changed=1
    purge_setting sluice.acl written/sluice.acl || true
    purge_setting sluice.passwd device_password || true
    if purge_setting conf.d/sluice.conf written/sluice.conf; then
        purge_changed=0
    fi
    for purge_directory in "$root/etc/sluice" "$root/var/lib/sluice"; do
        [ -d "$purge_directory" ] || continue
        find "$purge_directory" -mindepth 1 -delete
        # A disk may be mounted there.
        rmdir "$purge_directory" 2>/dev/null || echo "kept: $purge_directory, which is empty now"
    done
    return "$purge_changed"
}
