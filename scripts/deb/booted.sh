# shellcheck shell=bash disable=SC2154 # debian, folder and the like are the script's that sources this
#
# The Debian of deb.sh with its own systemd as the first process, in namespaces of
# its own: what systemd makes of the unit, and of one that is broken. Sourced by
# deb.sh, which says the rest.

UNIT=mimecast-eventd.service
SETTINGS=etc/mimecast-eventd/mimecast-eventd.toml
CREDENTIALS=etc/mimecast-eventd/credentials
PATIENCE=60 # seconds to wait for any one fact

first='' cgroup=''

# Runs something under that systemd.
in_booted() {
    nsenter --target "$first" --mount --pid --ipc --uts --cgroup --net \
        env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin LC_ALL=C DEBIAN_FRONTEND=noninteractive "$@" </dev/null
}

# Whether namespaces and a control group of one's own are permitted here.
may_boot() {
    local cgroups
    unshare --mount --pid --fork --ipc --uts --cgroup --net true 2>/dev/null || return 1
    cgroups=$(findmnt --noheadings --output TARGET --types cgroup2 | head -n 1)
    [[ -n $cgroups ]] || return 1
    cgroup=$cgroups$(sed -n 's/^0:://p' /proc/self/cgroup)/deb-$$
    mkdir "$cgroup" 2>/dev/null || return 1
}

boot() {
    local parent deadline=$((SECONDS + PATIENCE))
    write_first
    (
        echo "$BASHPID" >"$cgroup/cgroup.procs"
        exec unshare --mount --pid --fork --kill-child --ipc --uts --cgroup --net bash "$folder/first.sh" "$debian"
    ) >"$folder/console" 2>&1 </dev/null &
    parent=$!
    # Degraded, because it may not load modules for the kernel.
    until first=$(pgrep --parent "$parent") &&
        [[ $(in_booted systemctl is-system-running 2>/dev/null || true) =~ ^(running|degraded)$ ]]; do
        if ! kill -0 "$parent" 2>/dev/null || ((SECONDS >= deadline)); then
            cat "$folder/console" >&2
            fail 1 "that Debian does not boot"
        fi
        sleep 0.2
    done
}

# What a container gives to the systemd in it.
write_first() {
    cat >"$folder/first.sh" <<'TEXT'
set -e
cd "$1"
mount --make-rprivate /
mount --bind . .
cd "$1"
mount -t proc proc proc
mount -t sysfs -o ro sysfs sys
mount -t cgroup2 cgroup2 sys/fs/cgroup
mount -t tmpfs -o mode=755 tmpfs run
mount -t tmpfs -o mode=755 tmpfs dev
for device in null zero full random urandom tty; do
    touch "dev/$device"
    mount --bind "/dev/$device" "dev/$device"
done
mkdir dev/pts dev/shm
mount -t devpts -o newinstance,ptmxmode=666 devpts dev/pts
ln -s pts/ptmx dev/ptmx
ln -s /proc/self/fd dev/fd
pivot_root . mnt
umount -l /mnt
# systemd hands credentials to its services by mounts.
mount --make-rshared /
exec env -i container=other PATH=/usr/sbin:/usr/bin:/sbin:/bin SYSTEMD_CGROUP_ENABLE_LEGACY_FORCE=1 /lib/systemd/systemd
TEXT
}

shut_down() {
    local deadline=$((SECONDS + PATIENCE))
    [[ -z $first ]] || kill -KILL "$first" 2>/dev/null || true
    # It can go when the last process in it has.
    while [[ -d $cgroup ]] && ((SECONDS < deadline)); do
        find "$cgroup" -depth -type d -exec rmdir {} + 2>/dev/null || sleep 0.2
    done
}

property() { in_booted systemctl show "$UNIT" --property "$1" --value; }

# wait_for PROPERTY PATTERN, in seconds that a person has.
wait_for() {
    local deadline=$((SECONDS + PATIENCE))
    # shellcheck disable=SC2053 # it is a pattern
    until [[ $(property "$1") == $2 ]]; do
        ((SECONDS < deadline)) || fail_with_journal "$1 of the unit is '$(property "$1")', not '$2'"
        sleep 0.2
    done
}

fail_with_journal() {
    in_booted journalctl --no-pager --output cat --unit "$UNIT" --lines 20 >&2 || true
    fail 1 "$1"
}

# The journal has this line.
logged() {
    local deadline=$((SECONDS + PATIENCE))
    until in_booted journalctl --no-pager --output cat --unit "$UNIT" | grep -qF "$1"; do
        ((SECONDS < deadline)) || fail_with_journal "the journal does not say '$1'"
        sleep 0.2
    done
}

# All that systemd does with the unit, from the first installation to the last.
see_booted() {
    install_booted
    break_and_mend
    lose_it
    upgrade_and_remove_booted
    say "systemd did with it what it should"
}

install_booted() {
    cp "${packed[1]}" "$debian/first.deb"
    in_booted dpkg --install /first.deb >/dev/null
    [[ $(in_booted systemctl is-enabled "$UNIT" || true) == disabled ]] || fail 1 "the unit is enabled without settings"
    [[ $(property ActiveState) == inactive ]] || fail 1 "the unit is started without settings"
}

# A mistake in the settings is in the journal, and is not tried again and again.
break_and_mend() {
    ! in_booted systemctl start "$UNIT" 2>/dev/null || fail_with_journal "it starts without settings"
    logged 'mimecast.auth (not set): is required'
    wait_for ActiveState failed
    [[ $(property NRestarts) == 0 ]] || fail_with_journal "bad settings are tried again"
    cp "$folder/own" "$debian/$SETTINGS"
    ! in_booted systemctl start "$UNIT" 2>/dev/null || fail_with_journal "it starts without credentials"
    logged 'mimecast.client_secret (not set): is required'
    for secret in client_id client_secret; do
        printf 'secret\n' >"$debian/$CREDENTIALS/mimecast.$secret"
    done
    # Sooner than for a user, so that the end of the signs of life is not waited for that long.
    mkdir -p "$debian/etc/systemd/system/$UNIT.d"
    printf '[Service]\nWatchdogSec=6s\nRestartSec=1s\n' >"$debian/etc/systemd/system/$UNIT.d/hurry.conf"
    in_booted systemctl daemon-reload
    in_booted systemctl enable --now "$UNIT" 2>/dev/null || fail_with_journal "it does not start with all that it needs"
    wait_for ActiveState active
    # There is no broker; that is no reason not to have started.
    wait_for StatusText '*disconnected: cannot connect to the broker*'
    in_booted mimecast-eventd healthcheck --config "/$SETTINGS" >/dev/null || fail_with_journal "/livez does not answer"
    in_booted mimecast-eventd pause --config "/$SETTINGS" >/dev/null 2>&1 || fail_with_journal "it cannot be paused by hand"
    printf '\n[log]\nlevel = "debug"\n' >>"$debian/$SETTINGS"
    in_booted systemctl reload "$UNIT" || fail_with_journal "it cannot be reloaded"
    logged '"message":"the settings were reloaded","changed":"log.level"'
}

# However it ends, or when it gives no signs of life, it is started again.
lose_it() {
    in_booted systemctl kill --signal KILL "$UNIT"
    wait_for NRestarts 1
    wait_for ActiveState active
    in_booted systemctl kill --signal STOP "$UNIT"
    wait_for NRestarts 2
    wait_for ActiveState active
    logged "Watchdog timeout"
}

upgrade_and_remove_booted() {
    local before
    before=$(property MainPID)
    cp "${later[1]}" "$debian/later.deb"
    in_booted dpkg --install /later.deb >/dev/null || fail_with_journal "it cannot be upgraded"
    wait_for ActiveState active
    [[ $(property MainPID) != "$before" ]] || fail 1 "after an upgrade the old program goes on"
    in_booted systemctl stop "$UNIT" || fail_with_journal "it cannot be stopped"
    [[ $(property Result) == success ]] || fail_with_journal "it does not stop as it should"
    in_booted systemctl start "$UNIT" || fail_with_journal "it does not start again"
    in_booted dpkg --purge mimecast-eventd >/dev/null 2>&1
    [[ $(property ActiveState) == inactive ]] || fail 1 "it runs after it was removed"
    [[ ! -e $debian/etc/mimecast-eventd ]] || fail 1 "secrets are left after a purge"
}
