#!/bin/sh
# Brings emotion-edge to a whole version, from whatever state a power cut left.
#
#   finish   at boot: only what was begun
#   install  from `emotion-edge kit install`: the kit that waits under the name next.deb
#
# In $kits: next.deb waits to be installed, current.deb is installed, previous.deb is the one before.
# A name is given by a rename, after the file's content is on disk. No network, no Python: both may be missing.
set -u
root=${DPKG_ROOT:-}  # as dpkg knows it; empty on a board
kits=${EMOTION_EDGE_KITS:-$root/var/lib/emotion-edge-kits}
tree=$root/usr/lib/emotion-edge
export DEBIAN_FRONTEND=noninteractive LC_ALL=C.UTF-8
PATH=/usr/sbin:/usr/bin:/sbin:/bin
keep="--force-confdef --force-confold"
# Without sources nothing can be downloaded. (--no-download fails on a local file, in apt 3.0.)
local="--no-install-recommends -o Dir::Etc::sourcelist=/dev/null -o Dir::Etc::sourceparts=/dev/null
    -o Dir::Cache::pkgcache= -o Dir::Cache::srcpkgcache="

say() { echo "emotion-edge: $*"; }

# As "ii": wanted (i, h held, r to be removed, p purged), and what is: i installed, U unpacked, F half-configured,
# H half-installed, W and t with triggers left, c only its configuration, n nothing. A third letter, R, asks for
# another installation. dpkg(1), "Package states".
state() { dpkg-query -W -f '${db:Status-Abbrev}' emotion-edge 2>/dev/null || echo "un"; }

whole() { case $(state) in "ii"|"ii "|"hi"|"hi ") true ;; *) false ;; esac; }

# Where /var is made anew at each start (systemd.volatile=state), dpkg knows of no package at all.
no_records() { [ ! -s "$root/var/lib/dpkg/status" ]; }

# dpkg writes all files under other names first, and takes the last of these away when all are in place.
whole_tree() {
    [ -e "$tree/pyvenv.cfg" ] && ! find "$tree" -name '*.dpkg-new' -o -name '*.dpkg-tmp' | grep -q .
}

configure() { dpkg $keep --configure -a </dev/null; }

unpack_again() { dpkg $keep --install "$1" </dev/null && configure; }

# apt looks at the dependencies before it unpacks, but refuses where a package is damaged.
put() {
    case $(state) in
        un*|rc*|ii*|hi*)
            configure &&
                apt-get install --yes --quiet=2 $local --allow-downgrades --reinstall -o Dpkg::Use-Pty=0 \
                    -o Dpkg::Options::=--force-confdef -o Dpkg::Options::=--force-confold "$1" </dev/null ;;
        *) unpack_again "$1" ;;
    esac
}

# The names, once next.deb is installed. Each step can be the last one before a power cut.
settle() {
    sync
    [ -e "$kits/current.deb" ] && mv "$kits/current.deb" "$kits/previous.deb"
    mv "$kits/next.deb" "$kits/current.deb"
    sync
}

# The deb before, where next.deb does not go in.
back() {
    mv "$kits/next.deb" "$kits/failed.deb"
    whole && return 1
    [ -e "$kits/current.deb" ] && say "going back to the version before" && unpack_again "$kits/current.deb"
    return 1
}

# The files of the installed version, where dpkg was interrupted among them, or they do not configure.
again() {
    if [ -e "$kits/current.deb" ]; then
        say "unpacking $kits/current.deb again"
        unpack_again "$kits/current.deb" && whole
    else
        say "files are missing and no kit is kept in $kits; install it again: emotion-edge kit install"
        false
    fi
}

bring() {
    if [ -e "$kits/next.deb" ]; then
        say "installing $(dpkg-deb --field "$kits/next.deb" Version 2>/dev/null || echo 'a damaged kit')"
        if put "$kits/next.deb" && whole; then settle; else back; fi
    elif ! whole; then
        case $(state) in
            un*) say "the package is not installed"; false ;;
            rc*) say "the package was removed: nothing is to be finished" ;;
            [rp]i|[rp]"i ") say "the package is to be removed, and whole until then" ;;
            # What a person began; the settings stay, unless they were to go, too.
            r*) say "finishing its removal"
                dpkg --force-remove-reinstreq --remove emotion-edge </dev/null ;;
            p*) say "finishing its removal, with its settings"
                dpkg --force-remove-reinstreq --purge emotion-edge </dev/null ;;
            *R|?H*) again ;;
            *) say "configuring what is unpacked"; { configure && whole; } || again ;;
        esac
    fi
}

mkdir -p -m 700 "$kits" 2>/dev/null
# One at a time. A read-only root has no lock, and nothing to finish.
if [ -w "$kits" ]; then
    exec 9>"$kits/lock"
    flock 9
fi
if no_records; then
    if ! whole_tree; then
        say "$tree is not whole, and dpkg has no records here; start once without systemd.volatile"
        exit 1
    fi
    say "dpkg has no records here, as with systemd.volatile=state; the files are whole"
    exit 0
fi
if [ "${1:-finish}" = finish ] && whole && [ ! -e "$kits/next.deb" ]; then
    exit 0
fi
if ! bring; then
    say "not whole (state $(state)); see: journalctl -u emotion-edge-firstboot"
    exit 1
fi
whole || exit 0  # removed, as somebody wished
say "version $(dpkg-query -W -f '${Version}' emotion-edge) is installed"
# What brought a first installation over a power cut; the package has its own.
if [ -e "$tree/firstboot" ]; then
    rm -f "$kits/firstboot" "$root/etc/systemd/system/emotion-edge-firstboot.service" \
        "$root/etc/systemd/system/multi-user.target.wants/emotion-edge-firstboot.service"
fi
exit 0
