#!/bin/sh
# The board's side of `emotion-edge kit install`, as root: ACTION is verify, install, rollback or wait.
# What it refuses is one line that begins with "refused: ". All of it may be run again.
set -u
kits=/var/lib/emotion-edge-kits
incoming=$kits/incoming secrets=$kits/secrets
# Without sources nothing can be downloaded.
local="--no-install-recommends -o Dir::Etc::sourcelist=/dev/null -o Dir::Etc::sourceparts=/dev/null
    -o Dir::Cache::pkgcache= -o Dir::Cache::srcpkgcache="
signers=/etc/emotion-edge/allowed_signers
drop_in=/etc/systemd/system/emotion-edge.service.d/credentials.conf
again="free space on the board and run it again"
export LC_ALL=C.UTF-8 DEBIAN_FRONTEND=noninteractive
PATH=/usr/sbin:/usr/bin:/sbin:/bin

refuse() { echo "refused: $*" >&2; exit 3; }

deb() { set -- "$incoming"/*.deb; [ -e "$1" ] || refuse "nothing was copied; run it again"; echo "$1"; }

field() { dpkg-deb --field "$(deb)" "$1" 2>/dev/null; }

verify() {
    cd "$incoming" || refuse "nothing was copied; run it again"
    grep -qF "  $(basename "$(deb)")" SHA256SUMS || refuse "SHA256SUMS does not name the package; make the kit again"
    sha256sum --check --ignore-missing --status SHA256SUMS ||
        refuse "the package is not the one of SHA256SUMS; copy the kit again"
    known=$signers
    [ -e "$known" ] || known=allowed_signers
    if [ -e SHA256SUMS.sig ] && [ -e "$known" ]; then
        who=$(ssh-keygen -Y find-principals -s SHA256SUMS.sig -f "$known" 2>/dev/null | head -n 1)
        [ -n "$who" ] && ssh-keygen -Y verify -f "$known" -I "$who" -n emotion-edge -s SHA256SUMS.sig \
            <SHA256SUMS >/dev/null 2>&1 ||
            refuse "the kit is not signed by a key in $known; sign it with that key, or replace that file"
    elif [ -e "$signers" ]; then
        refuse "the kit has no signature, and this board takes only those of $signers; make it with --key"
    else
        echo "note: the kit has no signature; only its hash was compared"
    fi
    [ "$(field Package)" = emotion-edge ] || refuse "$(basename "$(deb)") is not the package emotion-edge"
    here=$(dpkg --print-architecture)
    [ "$(field Architecture)" = "$here" ] || refuse "the kit is for $(field Architecture), this board is $here"
    target=$(field Emotion-Edge-Target)
    case $target in
        jetson*)
            [ -e /etc/nv_tegra_release ] || dpkg-query -W nvidia-l4t-core >/dev/null 2>&1 ||
                refuse "the kit is for $target, but this board is no Jetson; make one for another --target" ;;
    esac
    dpkg --audit | grep -q . && return  # an interrupted installation is finished first
    said=$(apt-get install --simulate $local --allow-downgrades --reinstall "$(deb)" 2>&1) ||
        refuse "this system does not have what the kit${target:+ for $target} needs:" \
            "$(echo "$said" | grep -E '(Depends|PreDepends|Conflicts):' | sed 's/^ *//' | tr '\n' ';' | head -c 400)"
}

# Files of mode 0600, then those who use them. The folder is readable by root alone, and is gone at the end.
put_secrets() {
    [ -d "$secrets" ] || return 0
    cd "$secrets" || return 1
    if [ -d etc ]; then
        install -d -m 755 /etc/emotion-edge && install -d -m 700 /etc/emotion-edge/credentials || return 1
        find etc -type f | while read -r file; do
            [ -d "/${file%/*}" ] || install -d -m 700 "/${file%/*}" || exit 1
            install -o root -g root -m 600 "$file" "/$file.new" && mv "/$file.new" "/$file" || exit 1
        done || return 1
        command -v nmcli >/dev/null && nmcli connection reload >/dev/null 2>&1
    fi
    name=${SUDO_USER:-root}
    if [ -e user ]; then
        name=$(cut -d : -f 1 user)
        id "$name" >/dev/null 2>&1 || useradd --create-home --shell /bin/bash "$name" || return 1
        chpasswd --encrypted <user || return 1
    fi
    if [ -e authorized_keys ]; then
        home=$(getent passwd "$name" | cut -d : -f 6)
        install -d -o "$name" -g "$(id -gn "$name")" -m 700 "$home/.ssh" || return 1
        touch "$home/.ssh/authorized_keys"
        while read -r key; do
            grep -qxF "$key" "$home/.ssh/authorized_keys" || echo "$key" >>"$home/.ssh/authorized_keys"
        done <authorized_keys
        chown "$name:" "$home/.ssh/authorized_keys" && chmod 600 "$home/.ssh/authorized_keys" || return 1
    fi
    cd / && rm -rf "$secrets"
}

# Only the names that exist: systemd starts no service whose credential is missing.
put_drop_in() {
    lines=$(for file in /etc/emotion-edge/credentials/*; do
        case $file in *.new) continue ;; esac
        [ -f "$file" ] && echo "LoadCredential=${file##*/}:$file"
    done)
    [ -n "$lines" ] || return 0
    install -d -m 755 "${drop_in%/*}" || return 1
    printf '[Service]\n%s\n' "$lines" >"$drop_in.new" && chmod 644 "$drop_in.new" || return 1
    cmp -s "$drop_in.new" "$drop_in" || changed=yes
    mv "$drop_in.new" "$drop_in"
}

# The script and the unit that bring a first installation over a power cut, before dpkg begins.
put_rescue() {
    [ -e /usr/lib/emotion-edge/firstboot ] && dpkg-query -W emotion-edge >/dev/null 2>&1 && return
    units=/etc/systemd/system
    install -m 755 "$incoming/firstboot" "$kits/firstboot" &&
        install -m 644 "$incoming/emotion-edge-firstboot.service" "$units/" &&
        install -d -m 755 "$units/multi-user.target.wants" &&
        ln -sf ../emotion-edge-firstboot.service "$units/multi-user.target.wants/emotion-edge-firstboot.service" ||
        refuse "the unit that survives a power cut could not be written; $again"
}

# By a rename, and it stays: an interrupted run's may still be at work, with that file open.
put_installer() { cp "$incoming/firstboot" "$kits/install.part" && mv "$kits/install.part" "$kits/install.sh"; }

# Whether a package is the one that is installed, whole.
same() {
    [ ! -e "$kits/next.deb" ] && cmp -s "$1" "$kits/current.deb" &&
        [ "$(dpkg-query -W -f '${db:Status-Abbrev}${Version}' emotion-edge 2>/dev/null | tr -d ' ')" = \
            "ii$(dpkg-deb --field "$1" Version)" ]
}

# The output goes to a file: if the connection is lost, the installation goes on.
bring() {
    sync
    if ! sh "$kits/install.sh" install >"$kits/install.log" 2>&1; then
        rm -f "$kits/rollback.deb" "$kits/failed.deb"  # the laptop has them
        grep -q 'No space left on device' "$kits/install.log" && refuse "no space is left for the kit; $again"
        # dpkg says the reason on a line of its own, which begins with a blank.
        why=$(awk '/^(E: |dpkg: error|dpkg-deb: error|emotion-edge: not whole)/ { said = $0; getline
            print said ($0 ~ /^ / ? $0 : ""); exit }' "$kits/install.log" | head -c 300)
        refuse "${why:-it could not be installed}; the whole log is $kits/install.log on the board"
    fi
    grep '^emotion-edge: ' "$kits/install.log"
}

install_kit() {
    changed=
    rm -f "$kits/rollback.deb"
    put_secrets || refuse "the secrets could not be put in place; $again"
    put_drop_in || refuse "$drop_in could not be written; $again"
    if same "$(deb)"; then
        echo "emotion-edge: this kit is installed already"
        if [ -n "$changed" ]; then
            systemctl daemon-reload
            systemctl reset-failed emotion-edge.service 2>/dev/null
            systemctl --no-block restart emotion-edge.service
        fi
    else
        put_rescue
        [ -e "$signers" ] || [ ! -e "$incoming/allowed_signers" ] ||
            { install -d -m 755 /etc/emotion-edge && install -m 644 "$incoming/allowed_signers" "$signers"; }
        put_installer && mv "$(deb)" "$kits/next.deb" ||
            refuse "the kit could not be kept in $kits; $again"
        bring
    fi
}

# The version to go back to has a name until all is done: else the same command, run again, would go forth.
rollback() {
    [ -e "$kits/rollback.deb" ] || ln "$kits/previous.deb" "$kits/rollback.deb" 2>/dev/null ||
        refuse "no version before is kept in $kits; install an older kit with --downgrade"
    if same "$kits/rollback.deb"; then
        echo "emotion-edge: the version before is installed already"
        return
    fi
    put_rescue
    put_installer && cp "$kits/rollback.deb" "$kits/next.part" && sync && mv "$kits/next.part" "$kits/next.deb" ||
        refuse "no space for the version before; $again"
    bring
}

# Until systemd has heard that the service is ready, which it says once its parts are open.
wait_ready() {
    if [ ! -d /run/systemd/system ]; then
        rm -f "$kits/rollback.deb"
        echo "systemd does not run here: it starts at boot"
        exit 0
    fi
    left=$1
    while [ "$(systemctl is-active emotion-edge.service)" != active ]; do
        if [ "$(systemctl is-active emotion-edge.service)" = failed ] || [ "$left" -le 0 ]; then
            journalctl --no-pager -o cat -n 8 -u emotion-edge.service >&2
            rm -f "$kits/rollback.deb"
            refuse "the service is not ready; see: journalctl -u emotion-edge. To go back: kit install --rollback"
        fi
        sleep 1
        left=$((left - 1))
    done
    line=$(timeout 10 emotion-edge status 2>/dev/null) ||
        line="$(systemctl show --value --property=StatusText emotion-edge.service)"
    echo "ready: $line"
    timeout 60 emotion-edge doctor 2>/dev/null || :
    rm -rf "$incoming" "$secrets" "$kits/rollback.deb" "$kits/install.sh"
}

case $1 in
    verify) verify ;;
    install) install_kit ;;
    rollback) rollback ;;
    wait) wait_ready "$2" ;;
    *) refuse "unknown action $1" ;;
esac
