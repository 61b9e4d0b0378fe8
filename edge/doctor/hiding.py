"""Takes secrets out of what leaves a board: known ones word by word, others by how they are written."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from edge.doctor.machine import Machine

HIDDEN = "***"
_SHORTEST = 4  # a shorter one, put out everywhere, would only tell what it is
_WORDS = "pass|pwd|psk|secret|token|credential|api[_-]?key|auth|wep-key"
_KEY = rf"[\w-]{{0,40}}(?:{_WORDS})[\w-]{{0,40}}"
_PATTERNS = (
    # rtsp://USER:PASSWORD@HOST: all before the last @ of a word; then the values behind a question mark.
    (re.compile(r"(\w://)[^\s\"'<>]*@"), r"\1***@"),
    (re.compile(r"([?&][\w.%-]+=)[^&\s\"'<>]+"), r"\1***"),
    (
        re.compile(rf"(\b(?:{_KEY})[\"']?\s*[=:]\s*)(?:\"[^\"\n]*\"|'[^'\n]*'|[^\n]+)", re.IGNORECASE),
        r"\1***",
    ),
)
_FILES = (
    "etc/emotion-edge/credentials/*", "run/credentials/emotion-edge*/*",
    "etc/NetworkManager/system-connections/*", "etc/netplan/*", "etc/wpa_supplicant/*.conf",
)  # fmt: skip


def hide(text: str, secrets: Iterable[str] = ()) -> str:
    """``text`` with *** for each of ``secrets``, for what stands where passwords do, and in addresses."""
    for secret in sorted(secrets, key=len, reverse=True):  # one may be a part of another
        text = text.replace(secret, HIDDEN)
    for pattern, replacement in _PATTERNS:
        text = pattern.sub(replacement, text)
    return text


def hide_values(value: Any, secrets: Iterable[str], key: str = "") -> Any:
    """``hide`` in every text of a document for JSON; the value of a key such as "password" as a whole."""
    if isinstance(value, Mapping):
        return {name: hide_values(inner, secrets, str(name)) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [hide_values(inner, secrets, key) for inner in value]
    if value and not isinstance(value, bool) and re.fullmatch(_KEY, key, re.IGNORECASE):
        return HIDDEN
    return hide(value, secrets) if isinstance(value, str) else value


def known(machine: Machine) -> set[str]:
    """The secrets of this machine that we can read: in the settings, in credentials, of the Wi-Fi."""
    configs = [one.config for one in (machine, *machine.others)]
    found = {config.source.address for config in configs}
    found |= {text for config in configs for text in _texts(config.output.sinks)}
    parts = {part for text in found for part in _of_address(text)}
    parts |= {value for config in configs for value in _secret_values(config.output.sinks)}
    for path in (path for pattern in _FILES for path in machine.found(pattern)):
        content = machine.text(str(path.relative_to(machine.root)))
        if "credentials" in str(path):
            parts.add(content.strip())
        parts |= {
            value.strip("\"' ") for value in re.findall(rf"(?im)^\s*(?:{_KEY})\s*[=:]\s*(.+)$", content)
        }
    return {part for part in parts if len(part) >= _SHORTEST}


def _of_address(text: str) -> Iterator[str]:
    if "://" not in text:
        return
    try:
        split = urlsplit(text)
    except ValueError:
        return
    written = [split.username or "", split.password or ""]
    yield from written
    yield from map(unquote, written)
    yield from (value for _, value in parse_qsl(split.query))


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, Mapping):
        for inner in value.values():
            yield from _texts(inner)
    elif isinstance(value, str):
        yield value


def _secret_values(value: Any) -> Iterator[str]:
    for key, inner in value.items() if isinstance(value, Mapping) else ():
        if isinstance(inner, str) and re.fullmatch(_KEY, str(key), re.IGNORECASE):
            yield inner
        yield from _secret_values(inner)
