"""``doctor --bundle``: what a report of a fault needs, in one file that its owner can read and pass on."""

from __future__ import annotations

import gzip
import io
import json
import re
import tarfile
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from edge.doctor import board, hiding, service, telling
from edge.doctor.libraries import installed
from edge.doctor.machine import Machine
from edge.system.finding import Finding
from edge.system.marks import REPORT
from edge.system.output_file import OutputFile, check_writable
from edge.version import __version__

SUFFIXES = (".gz", ".tgz")
_LINES = 2000
_PACKAGES = (
    "emotion-edge", "systemd", "python3-opencv", "libopencv-python", "python3-picamera2", "nvidia-l4t-core",
    "python3-libnvinfer", "raspi-firmware",
)  # fmt: skip
_ABOUT = """\
Made by `emotion-edge doctor --bundle`, for whoever helps with a fault.

findings.json  what the doctor found
settings.json  the settings in force; those of a further camera in settings@NAME.json
versions.json  board, system, Python, libraries, packages
health.json    the figures of the running service: counts, rates, times
units.txt      the units of the service, as they are installed
journal.txt    the last {lines} lines that the service wrote: times and messages, some with counts of faces

No picture, no estimate and no line about a single face is in it. Passwords, keys and all that stands before
the @ of an address are written as ***. Names of folders, cameras (with serial numbers) and hosts are in it.
"""


def check(path: Path, force: bool = False) -> None:
    """Raise ConfigError if ``path`` may not be written."""
    check_writable(path, SUFFIXES, force)


def write(path: Path, findings: Sequence[Finding], machine: Machine, force: bool = False) -> list[str]:
    """Write the report with mode 0600 and return the names of its parts; ConfigError as of OutputFile."""
    texts = contents(findings, machine)
    with OutputFile(path, SUFFIXES, force=force) as output:
        output.write(_archive(texts), keep=False, mode=0o600)
    return list(texts)


def contents(findings: Sequence[Finding], machine: Machine) -> dict[str, str]:
    """File name -> text, without secrets."""
    secrets = hiding.known(machine)
    documents = {
        "findings.json": telling.document(findings),
        "settings.json": asdict(machine.config),
        **{f"settings@{other.name}.json": asdict(other.config) for other in machine.others},
        "versions.json": _versions(machine),
        "health.json": [service.read_health(path)[0] for path in service.health_files(machine)],
    }
    texts = {"units.txt": _units(machine), "journal.txt": _journal(machine)}
    return {
        "README.txt": _ABOUT.format(lines=_LINES),
        **{
            name: json.dumps(hiding.hide_values(document, secrets), indent=1, default=str) + "\n"
            for name, document in documents.items()
        },
        **{name: hiding.hide(text, secrets) for name, text in texts.items()},
    }


def _versions(machine: Machine) -> dict[str, object]:
    return {
        "emotion-edge": __version__,
        "board": board.model(machine),
        "system": board.system(machine),
        "kernel": machine.word("proc/sys/kernel/osrelease"),
        "packages": {name: version for name in _PACKAGES if (version := machine.package(name))},
        "libraries": {name: version for name, (version, _) in sorted(installed(machine).items())},
    }


def _units(machine: Machine) -> str:
    patterns = [f"{folder}/emotion-edge*" for folder in service.UNITS[:2]]
    paths = [
        path for pattern in patterns for end in ("", ".d/*.conf") for path in machine.found(pattern + end)
    ]
    names = [str(path.relative_to(machine.root)) for path in paths]
    texts = {name: machine.text(name) for name in names}
    # What an administrator sets for the program may be a secret under any name.
    own = {
        name: re.sub(r"(?m)^(\s*Environment\s*=).*", r"\1***", text) if ".d/" in name else text
        for name, text in texts.items()
    }
    return "\n".join(f"# /{name}\n{text}" for name, text in own.items() if text)


def _journal(machine: Machine) -> str:
    """The service's last words, without lines of estimates that it may have written to standard output."""
    said = machine.said(
        *("journalctl", "--unit=emotion-edge*", f"--lines={_LINES}", "--output=short-iso"),
        *("--no-hostname", "--no-pager", "--quiet"),
        timeout_s=20,
    )
    return "\n".join(line for line in (said or "").splitlines() if not re.search(r"\]: *[\[{]", line)) + "\n"


def _archive(texts: dict[str, str]) -> bytes:
    content = io.BytesIO()
    # The name inside tells later that the file is ours, and may be replaced.
    with (
        gzip.GzipFile(REPORT, "wb", fileobj=content) as packed,
        tarfile.open(fileobj=packed, mode="w:") as archive,
    ):
        for name, text in texts.items():
            data = text.encode("utf-8", "backslashreplace")
            member = tarfile.TarInfo(f"emotion-edge-report/{name}")
            member.size, member.mode, member.mtime = len(data), 0o600, int(time.time())
            archive.addfile(member, io.BytesIO(data))
    return content.getvalue()
