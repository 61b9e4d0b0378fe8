"""Text of the systemd units: the templates beside this file, filled in for a machine and a configuration."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from urllib.parse import urlsplit

from edge.config import Config
from edge.engines.tensorrt import hot_swap
from edge.engines.tensorrt.plans import PRECISIONS
from edge.system.device import l4t

SERVICE, ENGINE = "emotion-edge.service", "emotion-edge-engine.service"
RETRY = "emotion-edge-retry.timer"  # started by the failure of SERVICE, not at boot
FIRST_BOOT = "emotion-edge-firstboot.service"  # of the package alone: finishes an installation
REBOOT = "emotion-edge-reboot.path"  # the service may not reboot itself; it requests that with a file
NAMES = (SERVICE, ENGINE, RETRY, REBOOT)
# A further camera: settings in /etc/emotion-edge/NAME.toml; folders and a user of its own.
INSTANCE, INSTANCE_RETRY = "emotion-edge@.service", "emotion-edge-retry@.timer"
MARKER = "# Written by `emotion-edge service install`"
_INSTALLED = f"{MARKER}, which replaces this file each time."
_PACKAGED = "# Part of the package emotion-edge."


@dataclass(frozen=True)
class Board:
    """What the units depend on, besides the configuration."""

    jetson: bool = False
    tensorrt: bool = False
    groups: tuple[str, ...] = ()  # of those for cameras and GPUs, the ones that exist

    @classmethod
    def of(cls, root: Path) -> Board:
        """The machine whose root folder is ``root``: "/" or that of an image."""
        jetson = l4t(root) is not None
        tensorrt = jetson or (root == Path("/") and not hot_swap.unusable())
        return cls(jetson, tensorrt, tuple(groups(root)))


@dataclass(frozen=True)
class _Names:
    """What one service is called, and the settings that it reads."""

    unit: str
    name: str  # of its user and its folders
    retry: str
    which: str = ""


_MAIN = _Names(SERVICE, "emotion-edge", RETRY)
_OTHER = _Names("emotion-edge@%i.service", "emotion-edge-%i", "emotion-edge-retry@%i.timer", " (%i)")


def units(
    config: Config, command: Sequence[str], arguments: Sequence[str], cpu_percent: int, board: Board
) -> dict[str, str]:
    """File name -> text of each unit that ``service install`` writes.

    Args:
        config: of the service; it determines the accessible addresses and devices.
        command: the program, such as ("/opt/emotion-edge/bin/python", "-I", "-m", "edge").
        arguments: of ``emotion-edge run``.
        cpu_percent: of one core.
        board: the machine that the units are for.
    """
    run = _line([*command, "run", *arguments])
    texts = _service(config, run, cpu_percent, board, _MAIN, _INSTALLED)
    if config.recovery.reboot:
        texts[REBOOT] = _filled(REBOOT, ORIGIN=_INSTALLED)
    return texts | _engine(config, command, board, _INSTALLED)


def packaged_units(
    config: Config, command: Sequence[str], settings: str, cpu_percent: int, board: Board
) -> dict[str, str]:
    """File name -> text of each unit of the package, made on any machine for ``board``.

    ``settings`` is the file that the main service reads. A further camera may have any address of the same
    kind, and a health port. REBOOT is there in any case; who enables it has looked at ``recovery.reboot``.
    """
    run = _line([*command, "run", "-c", settings])
    other = f"{_line([*command, 'run', '-c'])} /etc/emotion-edge/%i.toml"
    texts = _service(config, run, cpu_percent, board, _MAIN, _PACKAGED)
    further = _service(config, other, cpu_percent, board, _OTHER, _PACKAGED)
    texts[INSTANCE], texts[INSTANCE_RETRY] = further[_OTHER.unit], further[_OTHER.retry]
    texts[REBOOT] = _filled(REBOOT, ORIGIN=_PACKAGED)
    return texts | _engine(config, command, board, _PACKAGED)


def first_boot_unit(script: str, origin: str = _PACKAGED) -> str:
    """Text of FIRST_BOOT, which runs ``script`` at each start."""
    return _filled(FIRST_BOOT, ORIGIN=origin, SCRIPT=script)


def _service(
    config: Config, run: str, cpu_percent: int, board: Board, names: _Names, origin: str
) -> dict[str, str]:
    """The service and its retry timer, by the names that ``names`` gives them."""
    argus = config.source.address.startswith("csi:")  # NVIDIA's camera daemon has its socket in /tmp
    service = _filled(
        SERVICE,
        ORIGIN=origin,
        UNIT=names.unit.removesuffix(".service").replace("%i", "NAME"),
        WHICH=names.which,
        AFTER="After=nvargus-daemon.service" if argus else "",
        RETRY=names.retry,
        EXEC=run,
        CPU=f"{cpu_percent}%",
        NAME=names.name,
        SANDBOX=_sandbox(config, board, names) + ("\nBindPaths=-/tmp/argus_socket" if argus else ""),
    )
    return {names.unit: service, names.retry: _filled(RETRY, ORIGIN=origin, UNIT=names.unit)}


def _engine(config: Config, command: Sequence[str], board: Board, origin: str) -> dict[str, str]:
    arguments = _engine_arguments(config) if board.tensorrt else None
    if arguments is None:
        return {}
    exec_ = _line([*command, *arguments])
    return {ENGINE: _filled(ENGINE, ORIGIN=origin, EXEC=exec_, SANDBOX=_sandbox(config, board, _MAIN))}


def _sandbox(config: Config, board: Board, names: _Names) -> str:
    address, port = config.source.address, config.output.health.isdecimal()
    if names is _OTHER:
        address, port = f"{address.partition(':')[0]}:", True
    return _filled(
        "sandbox.conf",
        NAME=names.name,
        GROUPS=f"SupplementaryGroups={' '.join(board.groups)}" if board.groups else "",
        DEVICES=_devices(board.jetson, board.tensorrt),
        NETWORK="\n".join(_network(address, port)),
        # CUDA compiles at run time.
        MEMORY=f"MemoryDenyWriteExecute={'no' if board.tensorrt else 'yes'}",
    ).rstrip()


def groups(root: Path = Path("/")) -> list[str]:
    """The groups for cameras and GPUs that exist on this machine."""
    try:
        lines = (root / "etc/group").read_text("utf-8", errors="replace").splitlines()
    except OSError:
        return []
    present = {line.partition(":")[0] for line in lines}
    return [name for name in ("video", "render") if name in present]


def _devices(jetson: bool, tensorrt: bool) -> str:
    """A Raspberry Pi's firmware mailbox, or NVIDIA's device nodes; systemd skips missing ones."""
    if not tensorrt:
        return "DeviceAllow=/dev/vcio rw"
    names = ["char-nvidia*"]
    if jetson:
        names += ["char-nvgpu*", "char-nvhost*", "char-host1x*", "/dev/nvmap", "/dev/v4l2-nvdec"]
    return "\n".join(f"DeviceAllow={name} rw" for name in names)


def _network(address: str, port: bool) -> list[str]:
    """The least network access that the camera and a health ``port`` need."""
    families, allowed = ["AF_UNIX"], ["localhost"] if port else []
    remote = address.startswith("rtsp:")
    if address.startswith("picam:"):
        families.append("AF_NETLINK")  # libcamera queries udev
    if not (remote or allowed):
        return ["PrivateNetwork=yes", f"RestrictAddressFamilies={' '.join(families)}", "IPAddressDeny=any"]
    lines = [f"RestrictAddressFamilies={' '.join([*families, 'AF_INET', 'AF_INET6'])}"]
    if remote and not (host := _literal(address)):
        # The resolver's address is unknown, so system calls are filtered instead of addresses.
        return [*lines, "SystemCallFilter=~@resources"]
    return [
        *lines,
        "IPAddressDeny=any",
        f"IPAddressAllow={' '.join([*allowed, *([host] if remote else [])])}",
    ]


def _literal(address: str) -> str:
    """The host of a URL if it is a numeric address, else ""."""
    try:
        return str(ipaddress.ip_address(urlsplit(address).hostname or "")).partition("%")[0]
    except ValueError:
        return ""


def _engine_arguments(config: Config) -> list[str] | None:
    """Arguments that build the engine for ``run``; None if it uses no TensorRT engine."""
    precision = config.bundle.precision
    names = {kind: name for name, kind in PRECISIONS.items()} | {"auto": "auto"}
    if config.engine.kind not in ("auto", "tensorrt") or precision not in names:
        return None
    bundle = [config.bundle.path] if config.bundle.path else []
    out = ["--out", config.engine.folder] if config.engine.folder else []
    return ["engine", *bundle, "--precision", names[precision], "--faces", str(config.engine.faces), *out]


def _filled(name: str, **values: str) -> str:
    """A template with each @NAME@ replaced; the values are not expanded again."""
    template = (files("edge.deploy") / name).read_text("utf-8")
    text = re.sub(r"@([A-Z]+)@", lambda match: values[match[1]], template)
    return re.sub(r"\n{3,}", "\n\n", text)


def _line(arguments: Sequence[str]) -> str:
    """A command line quoted for ExecStart=, see "Command lines" in systemd.service(5)."""
    return " ".join(_quoted(argument) for argument in arguments)


def _quoted(text: str) -> str:
    text = text.replace("%", "%%").replace("$", "$$")
    if re.fullmatch(r"[\w@%+=:,./$-]+", text, re.ASCII):
        return text
    escaped = "".join(
        f"\\x{ord(c):02x}" if ord(c) < 32 or ord(c) == 127 else f"\\{c}" if c in '"\\' else c for c in text
    )
    return f'"{escaped}"'
