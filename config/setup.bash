# shellcheck shell=bash
# Prepares a system for sluice: the directories, the passwords, the settings of Mosquitto and the
# first sluice.conf. scripts/install and the Debian package source this file. They set:
#
#   $root     the system: empty for this one, or a directory
#   $shipped  where the program's files were installed: share/sluice below their prefix
#
# Nothing here overwrites the queue, sluice.conf, or a setting of Mosquitto that a person changed.
#
#   /etc/sluice/                 0750 root:sluice    sluice.conf and passwords
#   /etc/sluice/written/         the settings of Mosquitto as they were written last
#   /var/lib/sluice/             2750 sluice:sluice  the queue
#   /etc/mosquitto/conf.d/sluice.conf
#   /etc/mosquitto/sluice.acl    0640 mosquitto:mosquitto
#   /etc/mosquitto/sluice.passwd 0600 mosquitto:mosquitto
#
# Mosquitto reads both as its user. 2.0.11 takes any mode. From 2.0.18 on, and in 2.1, it warns
# that future versions refuse a file that others may read, or whose user or group is not its own.

# shellcheck disable=SC2034,SC2154  # see above, and what the caller reads
etc=$root/etc/sluice
written=$etc/written
state=$root/var/lib/sluice
mosquitto=$root/etc/mosquitto
drop_in=$mosquitto/conf.d/sluice.conf

say() {
    printf '%s\n' "$*"
}

is_root() {
    [ "$(id -u)" = 0 ]
}

# --- files ------------------------------------------------------------------------------

number_of() { # passwd|group NAME: its number in the system below $root, or nothing
    awk -F: -v name="$2" '$1 == name { print $3 }' "$root/etc/$1" 2>/dev/null || true
}

# own USER GROUP MODE PATH. Does not change the owner when the system below $root does not
# have the user, or when this user may not.
own() {
    local user group
    user=$(number_of passwd "$1")
    group=$(number_of group "$2")
    if is_root && [ -n "$user" ] && [ -n "$group" ]; then
        chown "$user:$group" "$4"
    fi
    chmod "$3" "$4"
}

make_directories() {
    mkdir -p "$etc" "$state"
    own root sluice 0750 "$etc"
    own sluice sluice 2750 "$state"
}

new_password() {
    LC_ALL=C tr -dc 'a-zA-Z0-9' </dev/urandom | head -c 20
}

# --- Mosquitto -------------------------------------------------------------------------

# The broker has two users: sluice, and one that all devices share.
make_passwords() {
    local passwd=$mosquitto/sluice.passwd name file
    if [ -e "$passwd" ]; then
        return
    fi
    (
        umask 077
        for name in sluice:broker_password device:device_password; do
            file=$etc/${name#*:}
            [ -s "$file" ] || new_password >"$file"
            printf '%s:%s\n' "${name%:*}" "$(cat "$file")"
        done >"$passwd.new"
        mosquitto_passwd -U "$passwd.new"
    )
    mv "$passwd.new" "$passwd"
    own root sluice 0640 "$etc/broker_password"
}

# Prints the listeners and users that Mosquitto has without sluice. Mosquitto does not start
# when some of these settings are given twice, and this script must not replace them.
settings_of_others() {
    local file
    for file in "$mosquitto/mosquitto.conf" "$mosquitto"/conf.d/*.conf; do
        if [ -e "$file" ] && [ "$file" != "$drop_in" ]; then
            grep -HnE '^[[:space:]]*(listener|port|bind_address|allow_anonymous|password_file|acl_file|per_listener_settings|auth_plugin|plugin|max_packet_size)[[:space:]]' \
                "$file" || true
        fi
    done
}

# The files that Mosquitto reads, in its order.
settings_files() {
    local file directory
    file=$mosquitto/mosquitto.conf
    [ ! -e "$file" ] || printf '%s\n' "$file"
    sed -nE 's/^[[:space:]]*include_dir[[:space:]]+(.*[^[:space:]])[[:space:]]*$/\1/p' "$file" 2>/dev/null |
        while read -r directory; do
            for file in "$root$directory"/*.conf; do
                [ ! -e "$file" ] || printf '%s\n' "$file"
            done
        done
}

# Also where include_dir has another spelling of the path: a slash at its end, or a link.
mosquitto_reads() { # FILE
    local file
    while read -r file; do
        [ ! "$file" -ef "$1" ] || return 0
    done < <(settings_files)
    return 1
}

# setting NAME DEFAULT: its last value.
setting() {
    local files value
    mapfile -t files < <(settings_files)
    value=$(sed -nE "s/^[[:space:]]*$1[[:space:]]+(.*[^[:space:]])[[:space:]]*\$/\1/p" "${files[@]}" /dev/null | tail -n 1)
    printf '%s' "${value:-$2}"
}

# What Mosquitto takes as true. It reads no word after that.
is_true() {
    [ "${1%% *}" = true ] || [ "${1%% *}" = 1 ]
}

# Prints what in Mosquitto's settings breaks the promise that it keeps what it accepted.
unsafe_settings() {
    local value
    value=$(setting persistence false)
    is_true "$value" || [ "$(setting plugin_opt_flush_period '')" = 0 ] ||
        say "  persistence $value: a restart of Mosquitto loses the messages that wait for sluice; set it to true"
    value=$(setting queue_qos0_messages false)
    is_true "$value" || say "  queue_qos0_messages $value: messages of QoS 0 are lost while sluice is stopped; set it to true"
    value=$(setting upgrade_outgoing_qos false)
    is_true "$value" || say "  upgrade_outgoing_qos $value: sluice gets messages of QoS 0 without an acknowledgement; set it to true"
    value=$(setting max_queued_messages 1000)
    [ "$value" = 0 ] || [ "$value" -ge 10000 ] 2>/dev/null ||
        say "  max_queued_messages $value: Mosquitto drops what comes beyond this while sluice is stopped; set it to 100000"
    value=$(setting max_queued_bytes 0)
    [ "$value" = 0 ] || say "  max_queued_bytes $value: Mosquitto drops what comes beyond this while sluice is stopped; remove it"
    value=$(setting message_size_limit 0)
    [ "$value" = 0 ] || say "  message_size_limit $value: Mosquitto acknowledges larger messages and drops them; use max_packet_size"
    value=$(setting persistent_client_expiration '')
    [ -z "$value" ] || say "  persistent_client_expiration $value: a sluice that is stopped for longer loses its messages; remove it"
}

report_unsafe_settings() {
    local unsafe
    unsafe=$(unsafe_settings)
    [ -z "$unsafe" ] || say "These settings of Mosquitto lose messages:" $'\n'"$unsafe"
}

# install_setting SOURCE TARGET: copies the file, unless a person changed or removed what was
# written last. $written has a copy of that. Returns 0 when it wrote the file.
install_setting() {
    local last
    last=$written/$(basename "$2")
    if [ -e "$2" ] && cmp -s "$1" "$2"; then
        : # as it should be
    elif { [ ! -e "$2" ] && [ ! -e "$last" ]; } || cmp -s "$last" "$2"; then
        install -D -m 644 "$1" "$2"
        install -D -m 644 "$1" "$last"
        return 0
    else
        say "kept: $2 (changed here; compare it with $shipped/mosquitto-$(basename "$2"))"
        return 1
    fi
    install -D -m 644 "$1" "$last"
    return 1
}

# The plugin of Mosquitto 2.1 that saves each message at once, or nothing.
persistence_plugin() {
    local file
    for file in "$root"/usr/lib/*/mosquitto/mosquitto_persist_sqlite.so; do
        [ ! -e "$file" ] || printf '%s' "${file#"$root"}"
    done
}

# Prints the settings for the Mosquitto that is installed. The plugin cannot read what an earlier
# Mosquitto has saved, and these messages would be lost: then it is not used.
broker_settings() {
    local plugin
    plugin=$(persistence_plugin)
    if [ -n "$plugin" ] && { [ ! -e "$root/var/lib/mosquitto/mosquitto.db" ] || grep -qs '^plugin_opt_flush_period' "$drop_in"; }; then
        sed -e "s#^persistence true#persistence false\nplugin $plugin\nplugin_opt_sync full\nplugin_opt_flush_period 0#" \
            -e '/^autosave_interval /d' "$shipped/mosquitto-sluice.conf"
    else
        cat "$shipped/mosquitto-sluice.conf"
    fi
}

broker_changed=''
broker_is_ours=''
broker_is_new='' # the caller installed it, or our demo did and disabled it

install_broker_settings() {
    local others
    if [ ! -d "$mosquitto" ] || ! command -v mosquitto_passwd >/dev/null; then
        say "Mosquitto is not installed here; $shipped has its settings for sluice"
        return
    fi
    others=$(settings_of_others)
    if [ ! -e "$drop_in" ] && [ -n "$others" ]; then
        say "Mosquitto has its own listeners or users:" "$others"
        say "Its settings are not changed. Copy the settings that prevent the loss of messages" \
            "from $shipped/mosquitto-sluice.conf, and set the username in sluice.conf."
        report_unsafe_settings
        return
    fi
    make_passwords
    mkdir -p "$written"
    if install_setting "$shipped/mosquitto-sluice.acl" "$mosquitto/sluice.acl"; then
        broker_changed=yes
    fi
    broker_settings >"$written/new"
    if install_setting "$written/new" "$drop_in"; then
        broker_changed=yes
    fi
    rm "$written/new"
    if mosquitto_reads "$drop_in"; then
        broker_is_ours=yes
    elif [ -e "$drop_in" ]; then
        say "Mosquitto does not read $drop_in: add this line to $mosquitto/mosquitto.conf, and restart" \
            "Mosquitto: include_dir ${drop_in%/*}"
    fi
    report_unsafe_settings
    # Also those of an earlier installation.
    [ ! -e "$mosquitto/sluice.acl" ] || own mosquitto mosquitto 0640 "$mosquitto/sluice.acl"
    [ ! -e "$mosquitto/sluice.passwd" ] || own mosquitto mosquitto 0600 "$mosquitto/sluice.passwd"
}

# The example. Where this file made the user of the broker, its name and password are set, also
# when Mosquitto is installed later.
first_configuration=''
configuration_mark=$written/first-configuration # it was written once

install_configuration() {
    if [ ! -e "$etc/sluice.conf" ] && [ -e "$configuration_mark" ]; then
        say "kept: no $etc/sluice.conf (deleted here; $shipped/sluice.conf is the example)"
        return
    fi
    if [ ! -e "$etc/sluice.conf" ] ||
        { [ -n "$broker_is_ours" ] && cmp -s "$shipped/sluice.conf" "$etc/sluice.conf"; }; then
        first_configuration=yes
        local edit=''
        [ -z "$broker_is_ours" ] || edit='/^\[broker\]/,/^\[queue\]/ s/^;((username|password) = )/\1/'
        sed -E "$edit" "$shipped/sluice.conf" >"$etc/sluice.conf"
    fi
    own root sluice 0640 "$etc/sluice.conf"
    mkdir -p "$written"
    : >"$configuration_mark"
}

# --- services ---------------------------------------------------------------------------

manages_services() { # false for a system below $root: nothing is started there
    [ -z "$root" ] && [ -d /run/systemd/system ]
}

broker_is_disabled() {
    [ "$(systemctl ${root:+--root="$root"} is-enabled mosquitto.service 2>/dev/null)" = disabled ]
}

restart_broker() {
    if [ -n "$broker_is_new" ] || systemctl -q is-active mosquitto; then
        systemctl restart mosquitto || say "Mosquitto does not start: see journalctl -u mosquitto"
    else
        say "Mosquitto is stopped, and stays so. To start it: sudo systemctl start mosquitto"
    fi
}

# --- what is left to do ------------------------------------------------------------------

# mqtt_login USER PASSWORD: the result of a login at port 1883 of this machine: 0 accepted, another
# number refused (MQTT 3.1.1, section 3.2.2.3); nothing when no broker answers there.
mqtt_login() {
    local rest="\\x00\\x04MQTT\\x04\\xc2\\x00\\x0a\\x00\\x00" reply
    rest+="\\x00\\x$(printf %02x ${#1})$1\\x00\\x$(printf %02x ${#2})$2"
    {
        # shellcheck disable=SC2059  # the packet is made of escapes
        printf "\\x10\\x$(printf %02x $((16 + ${#1} + ${#2})))$rest" >&3
        reply=$(timeout 10 head -c 4 <&3 | od -An -tu1)
    } 2>/dev/null 3<>/dev/tcp/127.0.0.1/1883 || return 0
    # shellcheck disable=SC2086  # four numbers
    set -- $reply
    [ "${1-}" != 32 ] || printf '%s' "${4-}"
}

# Says what devices need to connect, as far as it is so.
report_broker() {
    [ -n "$broker_is_ours" ] || return 0
    local result=''
    [ -n "$root" ] || result=$(mqtt_login device "$(cat "$etc/device_password")" || true)
    if [ "$result" = 0 ] && { ! manages_services || systemctl -q is-active mosquitto; }; then
        say "Devices connect to port 1883 as the user 'device'. Their password is in"
    elif [ -n "$result" ]; then
        say "A broker answers at port 1883 that is not this Mosquitto, or has other users (a container?)."
        say "Set host, port, username and password in sluice.conf for it, or stop it and start Mosquitto:" \
            "sudo systemctl restart mosquitto"
        return
    else
        [ -n "$root" ] || say "No broker answers at port 1883 now: see systemctl status mosquitto." \
            "$(broker_is_disabled && echo "Mosquitto is disabled: sudo systemctl enable --now mosquitto")"
        say "When Mosquitto runs, devices connect to port 1883 as the user 'device'. Their password is in"
    fi
    say "$etc/device_password, and $mosquitto/sluice.acl lists the topics that they may use."
}

next_steps() {
    cat <<END

What is left to do:
  1. sudoedit $etc/sluice.conf         set the url of the backend, the line of its key (query = ...
                                         or bearer = ...), and the topics
  2. sudo install -m 640 -g sluice /dev/stdin $etc/user_key
                                         type the key of the backend, Enter, Ctrl-D
  3. sudo sluice check                   until it reports no error
  4. sudo systemctl start sluice
  5. sudo sluice send TOPIC '{"soil": 512}'
                                         a first reading; TOPIC: one that a route takes
     sudo sluice status                  the first reading is at the backend when none waits
To read the queue without sudo: sudo usermod -aG sluice YOUR-NAME, and log in again.
END
    report_broker
}

# --- removing ---------------------------------------------------------------------------

remove_unchanged() { # FILE: returns 0 when the file is gone
    if [ -e "$1" ] && ! cmp -s "$1" "$written/$(basename "$1")"; then
        say "kept: $1 (changed here)"
        return 1
    fi
    rm -f "$1" "$written/$(basename "$1")"
}

# Removes the settings of Mosquitto that nobody changed.
remove_broker_settings() {
    local had_drop_in=''
    [ ! -e "$drop_in" ] || had_drop_in=yes
    if remove_unchanged "$drop_in"; then
        remove_unchanged "$mosquitto/sluice.acl" || true
    fi
    if [ -n "$had_drop_in" ] && [ ! -e "$drop_in" ] && manages_services; then
        systemctl try-restart mosquitto.service || true
    fi
}
