#!/bin/sh
# The first starts of a Raspberry Pi that `emotion-edge kit flash` has prepared, as root. $1:
#
#   user    its user and radio, where the image takes a firstrun.sh: before the vendor's assistant asks
#   enable  lets the unit below run at each start until the kit is in: so a power cut costs a start, not the kit
#   run     from that unit: installs the kit from this folder, then removes what was here for it
#
# All of it may be run again. No network is needed.
set -u
boot=${EMOTION_EDGE_BOOT:-/boot/firmware}
here=$boot/emotion-edge
kits=/var/lib/emotion-edge-kits
unit=/etc/systemd/system/emotion-edge-setup.service
wanted=/etc/systemd/system/multi-user.target.wants/emotion-edge-setup.service
export LC_ALL=C.UTF-8
PATH=/usr/sbin:/usr/bin:/sbin:/bin

say() { echo "emotion-edge: $*"; }

# As Raspberry Pi Imager does it: userconf gives the image's own user, pi, another name and a password.
set_user() {
    if [ -e "$here/secrets/user" ]; then
        name=$(cut -d : -f 1 "$here/secrets/user")
        hash=$(cut -d : -f 2- "$here/secrets/user")
        [ ! -x /usr/lib/userconf-pi/userconf ] || /usr/lib/userconf-pi/userconf "$name" "$hash"
    fi
    if [ -e "$here/country" ]; then
        command -v raspi-config >/dev/null && raspi-config nonint do_wifi_country "$(cat "$here/country")"
        command -v rfkill >/dev/null && rfkill unblock wifi
        for file in /var/lib/systemd/rfkill/*:wlan; do [ ! -e "$file" ] || echo 0 >"$file"; done
    fi
    return 0
}

enable() {
    [ ! -e "$wanted" ] || return 0
    mkdir -p "${wanted%/*}" || return 1
    cat >"$unit.new" <<UNIT || return 1
[Unit]
Description=Install emotion-edge from the boot partition
RequiresMountsFor=$boot /var
After=emotion-edge-firstboot.service cloud-init.service cloud-init-network.service
ConditionPathExists=$here/setup.sh
[Service]
Type=oneshot
ExecStart=/bin/sh $here/setup.sh run
StandardOutput=journal+console
StandardError=journal+console
SyslogIdentifier=emotion-edge
TimeoutStartSec=15min
PrivateNetwork=yes
[Install]
WantedBy=multi-user.target
UNIT
    mv "$unit.new" "$unit" && ln -sf "$unit" "$wanted" && sync || return 1
    systemctl daemon-reload
}

# The user is there already, but where a power cut came while cloud-init made it; board.sh then makes it.
install_kit() {
    umask 077
    mkdir -p "$kits" && rm -rf "$kits/incoming" "$kits/secrets" && cp -r "$here/kit" "$kits/incoming" || return 1
    if [ -d "$here/secrets" ]; then cp -r "$here/secrets" "$kits/secrets" || return 1; fi
    sync
    umask 022
    sh "$kits/incoming/board.sh" verify && sh "$kits/incoming/board.sh" install || return 1
    if [ -e "$here/secrets/user" ]; then usermod --append --groups sudo "$(cut -d : -f 1 "$here/secrets/user")"; fi
}

# What anybody could read who has the card, and what the installed kit keeps by itself.
clear_boot() {
    for name in user-data network-config; do
        [ -e "$boot/$name" ] && grep -q '^# emotion-edge' "$boot/$name" || continue
        case $name in
            user-data) printf '#cloud-config\n# The settings of the first start were removed from here.\n' ;;
            network-config) printf 'network:\n  version: 2\n' ;;
        esac >"$boot/$name.new" && mv "$boot/$name.new" "$boot/$name"
    done
    rm -rf "$here" "$kits/incoming"
    rm -f "$wanted" "$unit"
    sync
    systemctl daemon-reload
}

run() {
    # First: whoever gave a key can look why the rest fails.
    if [ -e "$here/ssh" ]; then
        systemctl --quiet enable ssh.service
        systemctl --no-block start ssh.service
    fi
    say "installing from the boot partition"
    install_kit >"$here/install.log" 2>&1
    code=$?
    cat "$here/install.log"
    if [ "$code" = 0 ]; then
        clear_boot
        say "the boot partition holds nothing of the kit any more"
    else
        say "not installed; the log is emotion-edge/install.log on the boot partition; the next start tries again"
    fi
    exit "$code"
}

case ${1:-} in
    user) set_user ;;
    enable) enable ;;
    run) run ;;
    *) say "unknown action ${1:-}"; exit 2 ;;
esac
