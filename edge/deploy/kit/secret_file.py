"""The file of secrets that ``kit install`` carries to a board; no message here repeats what it holds."""

from __future__ import annotations

import re
import stat
import uuid
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from edge.deploy.kit.packaged import CREDENTIALS, PackagedFile
from edge.errors import ConfigError
from edge.system import bounded_toml
from edge.system.checked_file import FileRefused, read_checked

_MOST_BYTES = 1 << 18
_KEYS = {
    "wifi": {"ssid", "psk", "country"},
    "credentials": None,  # any name
    "ssh": {"authorized_keys"},
    "user": {"name", "password_hash"},
}
_OPTIONAL = {"country"}  # a Raspberry Pi keeps its radio off until it knows the country
_WIFI = "etc/NetworkManager/system-connections/emotion-edge-wifi.nmconnection"
# What `board.sh` takes from the folder in which it unpacks the secrets; all else is put where its path says.
USER, AUTHORIZED_KEYS = "user", "authorized_keys"
_NAMESPACE = uuid.UUID("6f0f2f0e-6f5c-5c2b-9d44-1f5a7b8f5a11")
_HASH = re.compile(r"\$(?:y|gy|7|2[aby]|5|6)\$[!-9;-~]{10,}|[!*]")  # crypt(5), or no password


def read(path: Path) -> list[PackagedFile]:
    """The files for the board, all with mode 0600.

    ConfigError as ``tables`` raises it.
    """
    return files(path, tables(path))


def files(path: Path, found: Mapping[str, Mapping[str, Any]]) -> list[PackagedFile]:
    """The files of what ``tables`` gave, all with mode 0600; ``path`` for messages."""
    return list(_files(path, found))


def tables(path: Path) -> dict[str, dict[str, Any]]:
    """The checked tables of the file; ``ssh.authorized_keys`` is a list of lines.

    Raises:
        ConfigError: others can read the file; a wrong table, key or value. Values are never shown.
    """
    try:
        mode = stat.S_IMODE(path.stat().st_mode)
        if mode & 0o077:
            raise ConfigError(f"{path} has mode {mode:04o}, others can use it; run: chmod 600 {path}")
        found = bounded_toml.loads(read_checked(path, _MOST_BYTES).decode("utf-8"))
    except FileRefused as error:
        raise ConfigError(f"{path} {error}") from error
    except OSError as error:
        raise ConfigError(f"{path} cannot be read ({error.strerror}); give a file of secrets") from error
    except ValueError as error:
        place = re.search(r"at line \d+, column \d+", str(error))
        raise ConfigError(f"{path} is not TOML{' (' + place[0] + ')' if place else ''}; mend it") from None
    for name, table in found.items():
        _check(path, name, table)
    if keys := found.get("ssh", {}).get("authorized_keys"):
        text = keys if isinstance(keys, str) else "\n".join(keys)
        found["ssh"]["authorized_keys"] = text.strip().splitlines()
    files(path, found)  # which looks at the values
    return found


def _check(path: Path, name: str, table: Any) -> None:
    if name not in _KEYS or not isinstance(table, dict):
        raise ConfigError(f"{path}: {name!r:.40} is unknown, expected [{'], ['.join(_KEYS)}]")
    known = _KEYS[name]
    for key, value in table.items():
        if known is not None and key not in known:
            raise ConfigError(f"{path}: {name}.{key:.40} is unknown, expected {', '.join(sorted(known))}")
        texts = value if (name, key) == ("ssh", "authorized_keys") and isinstance(value, list) else [value]
        if not texts or not all(isinstance(text, str) and text and "\0" not in text for text in texts):
            raise ConfigError(f"{path}: {name}.{key:.40} is not a text; write it in quotes")
    if name in ("wifi", "user") and (missing := (known or set()) - _OPTIONAL - set(table)):
        raise ConfigError(f"{path}: {name}.{missing.pop()} is missing; add it, or leave [{name}] out")


def _files(path: Path, tables: Mapping[str, Mapping[str, Any]]) -> Iterator[PackagedFile]:
    if wifi := tables.get("wifi"):
        if not re.fullmatch(r"[A-Z]{2}", wifi.get("country", "DE")):
            raise ConfigError(f'{path}: wifi.country is no country; write two letters, such as "DE"')
        yield _secret(_WIFI, _keyfile(path, wifi["ssid"], wifi["psk"]))
    for name, value in tables.get("credentials", {}).items():
        if not re.fullmatch(r"[a-z0-9][a-z0-9_-]{0,63}", name):
            raise ConfigError(
                f"{path}: credentials.{name!r:.40}: write a name in small letters, 0-9, _ and -"
            )
        yield _secret(f"{CREDENTIALS[1:]}/{name}", value)
    if keys := tables.get("ssh", {}).get("authorized_keys"):
        if not all(re.match(r"[^\s#]+ \S+", line) for line in keys):
            raise ConfigError(f"{path}: ssh.authorized_keys has a line that is no public key; copy it whole")
        yield _secret(AUTHORIZED_KEYS, "\n".join(keys) + "\n")
    if user := tables.get("user"):
        if not re.fullmatch(r"[a-z_][a-z0-9_-]{0,30}", user["name"]):
            raise ConfigError(f"{path}: user.name is no name of a user; write small letters, 0-9, _ and -")
        if not _HASH.fullmatch(user["password_hash"]):
            raise ConfigError(f"{path}: user.password_hash is no hash; make one with: openssl passwd -6")
        yield _secret(USER, f"{user['name']}:{user['password_hash']}\n")


def _keyfile(path: Path, ssid: str, psk: str) -> str:
    """A connection of NetworkManager, see nm-settings-keyfile(5)."""
    if len(ssid.encode()) > 32:
        raise ConfigError(f"{path}: wifi.ssid has more than 32 bytes; write the name of the network")
    if not re.fullmatch(r"[ -~]{8,63}|[0-9a-fA-F]{64}", psk):
        raise ConfigError(f"{path}: wifi.psk has {len(psk)} characters, expected 8 to 63, or 64 hex digits")
    plain = re.fullmatch(r"[\w.-]+", ssid, re.ASCII) is not None
    name = ssid if plain else "".join(f"{byte};" for byte in ssid.encode())
    key = psk.replace("\\", "\\\\")
    key = re.sub(r"^ +", lambda match: "\\s" * len(match[0]), key)
    return (
        f"[connection]\nid=emotion-edge-wifi\nuuid={uuid.uuid5(_NAMESPACE, ssid)}\ntype=wifi\n\n"
        f"[wifi]\nmode=infrastructure\nssid={name}\n\n"
        f"[wifi-security]\nkey-mgmt=wpa-psk\npsk={key}\n\n"
        "[ipv4]\nmethod=auto\n\n[ipv6]\nmethod=auto\n"
    )


def _secret(path: str, text: str) -> PackagedFile:
    return PackagedFile(path, text.encode(), 0o600)
