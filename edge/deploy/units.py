"""Text of the systemd units: the templates beside this file, filled in for a machine and a configuration."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path
from urllib.parse import urlsplit

from edge.config import Config
from edge.engines.tensorrt import hot_swap
from edge.engines.tensorrt.plans import PRECISIONS
from edge.system.device import l4t

SERVICE, ENGINE = "emotion-edge.service", "emotion-edge-engine.service"
RETRY = "emotion-edge-retry.timer"  # started by the failure of SERVICE, not at boot
REBOOT = "emotion-edge-reboot.path"  # the service may not reboot itself; it requests that with a file
NAMES = (SERVICE, ENGINE, RETRY, REBOOT)
MARKER = "# Written by `emotion-edge service install`"


def units(
    config: Config,
    command: Sequence[str],
    arguments: Sequence[str],
    cpu_percent: int,
    root: Path = Path("/"),
) -> dict[str, str]:
    """File name -> text of each unit for the machine whose root folder is ``root``.

    Args:
        config: of the service; it determines the accessible addresses and devices.
        command: the program, such as ("/opt/emotion-edge/bin/python", "-I", "-m", "edge").
        arguments: of ``emotion-edge run``.
        cpu_percent: of one core.
        root: "/" or the root of an image.
    """
    jetson = l4t(root) is not None
    tensorrt = jetson or (root == Path("/") and not hot_swap.unusable())
    camera = config.source.address
    sandbox = _fill(
        _template("sandbox.conf").rstrip(),
        GROUPS=_groups(root),
        DEVICES=_devices(jetson, tensorrt),
        NETWORK="\n".join(_network(camera, config.output.health)),
        MEMORY=f"MemoryDenyWriteExecute={'no' if tensorrt else 'yes'}",  # CUDA compiles at run time
    )
    argus = camera.startswith("csi:")  # NVIDIA's camera daemon has its socket in /tmp
    service = _fill(
        _template(SERVICE),
        AFTER="After=nvargus-daemon.service" if argus else "",
        EXEC=_line([*command, "run", *arguments]),
        CPU=f"{cpu_percent}%",
        SANDBOX=sandbox + ("\nBindPaths=-/tmp/argus_socket" if argus else ""),
    )
    texts = {SERVICE: service, RETRY: _template(RETRY)}
    if config.recovery.reboot:
        texts[REBOOT] = _template(REBOOT)
    engine = _engine_arguments(config) if tensorrt else None
    if engine is not None:
        texts[ENGINE] = _fill(_template(ENGINE), EXEC=_line([*command, *engine]), SANDBOX=sandbox)
    return {name: re.sub(r"\n{3,}", "\n\n", text) for name, text in texts.items()}


def groups(root: Path = Path("/")) -> list[str]:
    """The groups for cameras and GPUs that exist on this machine."""
    try:
        lines = (root / "etc/group").read_text("utf-8", errors="replace").splitlines()
    except OSError:
        return []
    present = {line.partition(":")[0] for line in lines}
    return [name for name in ("video", "render") if name in present]


def _groups(root: Path) -> str:
    names = groups(root)
    return f"SupplementaryGroups={' '.join(names)}" if names else ""


def _devices(jetson: bool, tensorrt: bool) -> str:
    """A Raspberry Pi's firmware mailbox, or NVIDIA's device nodes; systemd skips missing ones."""
    if not tensorrt:
        return "DeviceAllow=/dev/vcio rw"
    names = ["char-nvidia*"]
    if jetson:
        names += ["char-nvgpu*", "char-nvhost*", "char-host1x*", "/dev/nvmap", "/dev/v4l2-nvdec"]
    return "\n".join(f"DeviceAllow={name} rw" for name in names)


def _network(address: str, health: str) -> list[str]:
    """The least network access that the camera and the health port need."""
    families, allowed = ["AF_UNIX"], ["localhost"] if health.isdecimal() else []
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


def _template(name: str) -> str:
    return (files("edge.deploy") / name).read_text("utf-8")


def _fill(text: str, **values: str) -> str:
    """``text`` with each @NAME@ replaced; the values are not expanded again."""
    return re.sub(r"@([A-Z]+)@", lambda match: values[match[1]], text)


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
