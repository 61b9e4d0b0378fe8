"""What goes onto the boot partition: the kit, and the settings of the first start in the image's own form.

Forms: cloud-init's NoCloud; the schema of raspberrypi/rpi-preseed; firstrun.sh as Raspberry Pi Imager writes
it. Each of them only lets a unit run that installs the kit, at each start until it is in.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Mapping, Sequence
from importlib.resources import files as resources
from typing import Any

from edge.deploy.flash.pi_checks import CLOUD_INIT, FOLDER, PRESEED
from edge.deploy.kit.installing import Kit
from edge.deploy.kit.packaged import PackagedFile
from edge.errors import ConfigError
from edge.system import toml_text

BOOT = "/boot/firmware"  # where the board sees the partition
_SETUP = f"{BOOT}/{FOLDER}/setup.sh"
_GROUPS = "users,adm,dialout,audio,netdev,video,plugdev,cdrom,games,input,gpio,spi,i2c,render,sudo"
_START = "systemctl --no-block start emotion-edge-setup.service"
_ENABLE = f"[ ! -e {_SETUP} ] || {{ sh {_SETUP} enable && {_START}; }}"
_RUN = "systemd.run=/boot/firmware/firstrun.sh systemd.run_success_action=reboot"
_UNIT = "systemd.unit=kernel-command-line.target"

Tables = Mapping[str, Mapping[str, Any]]

FIRSTRUN_SCRIPT = f"""\
#!/bin/sh
# By emotion-edge kit flash. Whatever fails: no second round of this.
sh {_SETUP} user
sh {_SETUP} enable
sed -i 's| systemd\\.run[^ ]*||g; s| {_UNIT}||g' {BOOT}/cmdline.txt
rm -f {BOOT}/firstrun.sh
sync
exit 0
"""


def check(tables: Tables) -> None:
    """ConfigError for secrets that no image of Raspberry Pi OS can take."""
    if "ssh" in tables and "user" not in tables:
        raise ConfigError("[ssh] needs a [user] in the file of secrets: the image has no user; add one")
    if "wifi" in tables and "country" not in tables["wifi"]:
        raise ConfigError(
            'wifi.country is missing: the radio is off until the country is known; add it, such as "DE"'
        )


def files(
    kit: Kit, how: str, cmdline: str, tables: Tables, secret: Sequence[PackagedFile]
) -> list[PackagedFile]:
    """All but the package, by their paths on the boot partition.

    Args:
        how: of ``pi_checks.way``.
        cmdline: the image's own, which starts firstrun.sh.
        tables: of ``secret_file.tables``.
        secret: of ``secret_file.files``.
    """
    own = [PackagedFile(f"{FOLDER}/setup.sh", script(), 0o755)]
    own += [PackagedFile(f"{FOLDER}/kit/{file.path}", file.data, file.mode) for file in kit.files()]
    if how == CLOUD_INIT:
        own += [
            PackagedFile("user-data", user_data(tables)),
            PackagedFile("network-config", network_config(tables)),
            PackagedFile("meta-data", _meta_data()),
        ]
    elif how == PRESEED:
        own.append(PackagedFile("rpi-preseed.toml", preseed(tables)))
    else:
        own.append(PackagedFile("firstrun.sh", FIRSTRUN_SCRIPT.encode(), 0o755))
        own.append(PackagedFile("cmdline.txt", f"{cmdline.strip()} {_RUN} {_UNIT}\n".encode()))
    return own + list(_kept(how, tables, secret))


def script() -> bytes:
    """The shell script that the board runs from its boot partition."""
    return (resources("edge.deploy.flash") / "pi_setup.sh").read_bytes()


def _kept(how: str, tables: Tables, secret: Sequence[PackagedFile]) -> Iterator[PackagedFile]:
    """What the unit puts in place, and that SSH is wanted.

    User and keys come here a second time: cloud-init makes a user once, and a power cut in that is not made
    good. Wi-Fi does not, for there would be two connections.
    """
    own_form = how in (CLOUD_INIT, PRESEED)
    if "ssh" in tables:
        yield PackagedFile(f"{FOLDER}/ssh", b"")
    for file in secret:
        if not (own_form and file.path.endswith(".nmconnection")):
            yield PackagedFile(f"{FOLDER}/secrets/{file.path}", file.data, file.mode)
    if not own_form and "wifi" in tables:
        yield PackagedFile(f"{FOLDER}/country", f"{tables['wifi']['country']}\n".encode())


def user_data(tables: Tables) -> bytes:
    """For cloud-init. ``bootcmd`` runs at each start, ``runcmd`` once: a power cut would be its last word."""
    lines = ["#cloud-config", "# emotion-edge kit flash", "bootcmd:", f"  - [sh, -c, {_quoted(_ENABLE)}]"]
    user, keys = tables.get("user"), tables.get("ssh", {}).get("authorized_keys", [])
    if user:
        locked = user["password_hash"] in ("!", "*")
        lines += ["users:", f"  - name: {_quoted(user['name'])}", f"    groups: {_quoted(_GROUPS)}"]
        lines += ["    shell: /bin/bash", f"    lock_passwd: {'true' if locked else 'false'}"]
        lines += ["    sudo: ALL=(ALL) NOPASSWD:ALL"] if locked else []
        lines += [] if locked else [f"    passwd: {_quoted(user['password_hash'])}"]
        lines += ["    ssh_authorized_keys:", *(f"      - {_quoted(key)}" for key in keys)] if keys else []
    if keys:
        lines.append("ssh_pwauth: false")
    return ("\n".join(lines) + "\n").encode()


def network_config(tables: Tables) -> bytes:
    """For cloud-init, as netplan's version 2."""
    lines = ["# emotion-edge kit flash", "network:", "  version: 2", "  ethernets:"]
    lines += ["    eth0:", "      dhcp4: true", "      optional: true"]
    if wifi := tables.get("wifi"):
        lines += ["  wifis:", "    wlan0:", "      dhcp4: true", "      optional: true"]
        lines += [f"      regulatory-domain: {_quoted(wifi['country'])}", "      access-points:"]
        lines += [f"        {_quoted(wifi['ssid'])}:", f"          password: {_quoted(wifi['psk'])}"]
    return ("\n".join(lines) + "\n").encode()


def _meta_data() -> bytes:
    """A new name makes this a first start to cloud-init; it stays, so it tells nothing of the secrets."""
    return f"dsmode: local\ninstance-id: emotion-edge-{secrets.token_hex(6)}\n".encode()


def preseed(tables: Tables) -> bytes:
    """For rpi-preseed, which removes passwords from it itself. Its early commands have 5 s."""
    sections: dict[str, dict[str, Any]] = {"": {"config_version": "1.0"}}
    if user := tables.get("user"):
        sections["user"] = _values(name=user["name"], password=user["password_hash"], password_encrypted=True)
    if keys := tables.get("ssh", {}).get("authorized_keys"):
        sections["ssh"] = _values(enabled=True, password_authentication=False, authorized_keys=keys)
    if wifi := tables.get("wifi"):
        raw = len(wifi["psk"]) == 64  # the key itself, not words that it is made from
        sections["wlan"] = _values(
            ssid=wifi["ssid"], password=wifi["psk"], password_encrypted=raw, country=wifi["country"]
        )
    sections["runcmd"] = {"early": [f"sh {_SETUP} enable", _START]}
    lines = ["# emotion-edge kit flash"]
    for name, values in sections.items():
        lines += [f"[{name}]"] if name else []
        lines += [f"{key} = {toml_text.value(value)}" for key, value in values.items()]
    return ("\n".join(lines) + "\n").encode()


def _values(**values: Any) -> dict[str, Any]:
    return values


def _quoted(text: str) -> str:
    """A scalar of YAML in double quotes; what does not print is escaped, as YAML 1.1 and 1.2 read it."""
    plain = (sign if sign.isprintable() and sign not in '"\\' else f"\\U{ord(sign):08x}" for sign in text)
    return f'"{"".join(plain)}"'
