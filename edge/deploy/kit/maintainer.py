"""The package's maintainer scripts. There is no preinst, so that ``dpkg --root --unpack`` works anywhere."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from edge.deploy.units import MARKER, NAMES

_ALL = " ".join(NAMES)

# Each guards on /run/systemd/system: in a chroot, and while an image is built, nothing is started. Nothing
# waits for a start (--no-block): the first-boot unit, before which the service does not start, may have
# called this.
_POSTINST = """\
#!/bin/sh
set -e
case "$1" in
    configure|abort-*) ;;
    *) exit 0 ;;
esac

if command -v systemd-sysusers >/dev/null; then
    systemd-sysusers /usr/lib/sysusers.d/emotion-edge.conf
fi
if command -v systemd-tmpfiles >/dev/null; then
    systemd-tmpfiles --create /usr/lib/tmpfiles.d/emotion-edge.conf || :
fi

# Units of `emotion-edge service install` would hide those of the package. That command can make them again.
for unit in {all}; do
    file=/etc/systemd/system/$unit
    if [ -f "$file" ] && head -n 1 "$file" | grep -qF '{marker}'; then
        echo "emotion-edge: the package's $unit replaces that of 'service install'"
        rm -f "$file" "/etc/systemd/system/multi-user.target.wants/$unit"
    fi
done

for unit in {enabled}; do
    if ! command -v deb-systemd-helper >/dev/null; then
        [ -n "$2" ] || systemctl enable --quiet "$unit" || :
    elif deb-systemd-helper --quiet was-enabled "$unit"; then
        deb-systemd-helper enable "$unit" >/dev/null || :
    else
        deb-systemd-helper update-state "$unit" >/dev/null || :
    fi
done

allowed() {{
    [ -d /run/systemd/system ] || return 1
    [ -x /usr/sbin/policy-rc.d ] || return 0
    code=0
    /usr/sbin/policy-rc.d emotion-edge start >/dev/null 2>&1 || code=$?
    [ "$code" = 0 ] || [ "$code" = 104 ]
}}

if allowed; then
    systemctl daemon-reload || :
    udevadm control --reload >/dev/null 2>&1 || :
    udevadm trigger --subsystem-match=dma_heap --sysname-match=vcio >/dev/null 2>&1 || :
    for unit in {enabled}; do
        if systemctl --quiet is-enabled "$unit" 2>/dev/null; then
            # An update may be the cure: earlier failures do not count against it.
            systemctl reset-failed "$unit" 2>/dev/null || :
            systemctl --no-block restart "$unit" || :
        fi
    done
    for link in /etc/systemd/system/multi-user.target.wants/emotion-edge@*.service; do
        [ -L "$link" ] && systemctl --no-block restart "${{link##*/}}" || :
    done
fi
exit 0
"""

# Stopped before an upgrade, too: Python imports late, and would mix two versions.
_PRERM = """\
#!/bin/sh
set -e
if [ -d /run/systemd/system ]; then
    systemctl stop 'emotion-edge@*.service' 'emotion-edge-retry@*.timer' || :
    for unit in {all}; do
        systemctl stop "$unit" 2>/dev/null || :
    done
fi
exit 0
"""

# What root's Python wrote beside its modules, in whatever way it was called, dpkg does not know.
_POSTRM = """\
#!/bin/sh
set -e
case "$1" in
    remove|purge) rm -rf /usr/lib/emotion-edge ;;
esac
if [ "$1" = purge ]; then
    for unit in {all}; do
        if command -v deb-systemd-helper >/dev/null; then
            deb-systemd-helper purge "$unit" >/dev/null || :
        fi
        rm -f "/etc/systemd/system/multi-user.target.wants/$unit"
    done
    rm -f /etc/systemd/system/multi-user.target.wants/emotion-edge@*.service
    rm -f /etc/systemd/system/emotion-edge.service.d/credentials.conf
    rmdir /etc/systemd/system/emotion-edge.service.d 2>/dev/null || :
    # The secrets, the estimates and the kits: whoever purges wants nothing to stay.
    rm -rf /etc/emotion-edge/credentials /etc/emotion-edge/allowed_signers /var/lib/emotion-edge-kits
    rmdir /etc/emotion-edge 2>/dev/null || :
    for folder in /var/lib /var/cache; do
        rm -rf "$folder"/emotion-edge "$folder"/emotion-edge-* "$folder"/private/emotion-edge \\
            "$folder"/private/emotion-edge-*
    done
fi
if [ -d /run/systemd/system ]; then
    systemctl daemon-reload || :
fi
exit 0
"""


def scripts(enabled: Sequence[str]) -> Mapping[str, str]:
    """``postinst``, ``prerm`` and ``postrm``; ``enabled``: what starts at boot, of ``packaged.enabled``.

    They are idempotent, for a person or the first-boot unit may run them again after a power cut.
    """
    values = {"all": _ALL, "marker": MARKER, "enabled": " ".join(enabled)}
    texts = {"postinst": _POSTINST, "prerm": _PRERM, "postrm": _POSTRM}
    return {name: text.format(**values) for name, text in texts.items()}
