"""What the package holds beside its environment and its models."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from importlib.resources import files as resources

from edge.config import Config
from edge.deploy.units import FIRST_BOOT, SERVICE, Board, first_boot_unit, packaged_units

HOME = "usr/lib/emotion-edge"
PROGRAM = (f"/{HOME}/bin/python3", "-IB", "-m", "edge")  # -B: run by root, it would write bytecode there
SETTINGS = "/etc/emotion-edge.toml"
SCRIPT = f"/{HOME}/firstboot"
STATUS = "emotion-edge-status.service"  # at each start, once
KITS = "/var/lib/emotion-edge-kits"  # the debs that came by `kit install`
CREDENTIALS = "/etc/emotion-edge/credentials"
_UNITS = "usr/lib/systemd/system"

_START = f"""\
#!/bin/sh
exec {" ".join(PROGRAM)} "$@"
"""
# The user is there for who looks by hand (sudo -u emotion-edge ...), and for the group of a settings file
# that not all may read; the service runs under the same number.
_SYSUSERS = """\
g video - -
g render - -
u emotion-edge - "Facial expression from a camera" /var/lib/emotion-edge
m emotion-edge video
m emotion-edge render
"""
_TMPFILES = f"""\
d /etc/emotion-edge 0755 root root -
d {CREDENTIALS} 0700 root root -
d {KITS} 0700 root root -
"""
_UDEV = """\
# Decoders' memory, and the firmware mailbox of a Raspberry Pi, from which the throttling bits are read.
SUBSYSTEM=="dma_heap", GROUP="video", MODE="0660"
KERNEL=="vcio", GROUP="video", MODE="0660"
"""
# A plain file, not a link made at install: so it is there as soon as the package is unpacked.
_WANTED = f"""\
[Unit]
Wants={FIRST_BOOT} {STATUS}
"""
# Not hardened as the service is: there the doctor would find a read-only root.
_STATUS = f"""\
# Part of the package emotion-edge.
[Unit]
Description=Say on the console how emotion-edge does
After={SERVICE}

[Service]
# Not oneshot, for which the start of the system would wait; its first figures are there after five seconds.
Type=exec
ExecStart=/bin/sh -c "sleep 10; exec /usr/bin/emotion-edge status"
# A warning, a fault.
SuccessExitStatus=1 2
StandardOutput=journal+console
StandardError=journal+console
SyslogIdentifier=emotion-edge
Nice=15
PrivateNetwork=yes
NoNewPrivileges=yes
"""
_MOTD = """\
#!/bin/sh
[ -x /usr/bin/emotion-edge ] && timeout 3 /usr/bin/emotion-edge status 2>/dev/null
exit 0
"""


@dataclass(frozen=True)
class PackagedFile:
    """One file of the package: its path below the root, its content and its mode; root owns it."""

    path: str
    data: bytes
    mode: int = 0o644


def files(config: Config, board: Board, cpu_percent: int = 150) -> list[PackagedFile]:
    """All of them, by path; the settings, the models and the environment below ``HOME`` come from elsewhere.

    Args:
        config: the settings of the main service, as the board will read them from SETTINGS.
        board: of the target; ``target_board`` makes it without looking at this machine.
        cpu_percent: of one core, for each service.
    """
    return sorted(_files(config, board, cpu_percent), key=lambda file: file.path)


def target_board(jetson: bool) -> Board:
    """The board of a target. The package makes the groups where they are missing."""
    return Board(jetson=jetson, tensorrt=jetson, groups=("video", "render"))


def enabled(config: Config, board: Board) -> list[str]:
    """The units that start at boot once the package is installed."""
    texts = packaged_units(config, PROGRAM, SETTINGS, 150, board)
    skipped = () if config.recovery.reboot else ("emotion-edge-reboot.path",)
    wanted = [name for name, text in texts.items() if "\n[Install]\n" in text and "@" not in name]
    return sorted(name for name in wanted if name not in skipped)


def first_boot_script() -> bytes:
    """The shell script that finishes an installation; ``kit install`` sends it ahead of the package."""
    return (resources("edge.deploy.kit") / "firstboot.sh").read_bytes()


def _files(config: Config, board: Board, cpu_percent: int) -> Iterator[PackagedFile]:
    for name, text in packaged_units(config, PROGRAM, SETTINGS, cpu_percent, board).items():
        yield _text(f"{_UNITS}/{name}", text)
    yield _text(f"{_UNITS}/{FIRST_BOOT}", first_boot_unit(SCRIPT))
    yield _text(f"{_UNITS}/{STATUS}", _STATUS)
    yield _text(f"{_UNITS}/multi-user.target.d/emotion-edge.conf", _WANTED)
    yield PackagedFile(SCRIPT[1:], first_boot_script(), 0o755)
    yield _text("usr/bin/emotion-edge", _START, 0o755)
    yield _text("usr/lib/sysusers.d/emotion-edge.conf", _SYSUSERS)
    yield _text("usr/lib/tmpfiles.d/emotion-edge.conf", _TMPFILES)
    yield _text("usr/lib/udev/rules.d/60-emotion-edge.rules", _UDEV)
    yield _text("etc/update-motd.d/60-emotion-edge", _MOTD, 0o755)


def _text(path: str, text: str, mode: int = 0o644) -> PackagedFile:
    return PackagedFile(path, text.encode(), mode)
