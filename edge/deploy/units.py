"""The text of the systemd units: templates beside this file, filled for one machine and one configuration."""

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
REBOOT = "emotion-edge-reboot.path"  # the service has no right to reboot; a file asks for it
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
        config: what the service will run; it decides which addresses and devices are open.
        command: the program, as in ("/opt/emotion-edge/bin/python", "-I", "-m", "edge").
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
    argus = camera.startswith("csi:")  # the daemon of NVIDIA's cameras has its socket in /tmp
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
    """Those of the groups of cameras and GPUs that this machine has."""
    try:
        lines = (root / "etc/group").read_text("utf-8", errors="replace").splitlines()
    except OSError:
        return []
    present = {line.partition(":")[0] for line in lines}
    return [name for name in ("video", "render") if name in present]


def _groups(root: Path) -> str:
    found = groups(root)
    return f"SupplementaryGroups={' '.join(found)}" if found else ""


def _devices(jetson: bool, tensorrt: bool) -> str:
    """The firmware's mailbox of a Raspberry Pi, or NVIDIA's nodes; systemd skips what is not there."""
    if not tensorrt:
        return "DeviceAllow=/dev/vcio rw"
    names = ["char-nvidia*"]
    if jetson:
        names += ["char-nvgpu*", "char-nvhost*", "char-host1x*", "/dev/nvmap", "/dev/v4l2-nvdec"]
    return "\n".join(f"DeviceAllow={name} rw" for name in names)


def _network(address: str, health: str) -> list[str]:
    """As little as this camera and the health port need."""
    families, allowed = ["AF_UNIX"], ["localhost"] if health.isdecimal() else []
    remote = address.startswith("rtsp:")
    if address.startswith("picam:"):
        families.append("AF_NETLINK")  # libcamera asks udev
    if not (remote or allowed):
        return ["PrivateNetwork=yes", f"RestrictAddressFamilies={' '.join(families)}", "IPAddressDeny=any"]
    lines = [f"RestrictAddressFamilies={' '.join([*families, 'AF_INET', 'AF_INET6'])}"]
    if remote and not (host := _literal(address)):
        # Whoever resolves the name must be reached, too: calls are filtered instead of addresses.
        return [*lines, "SystemCallFilter=~@resources"]
    return [
        *lines,
        "IPAddressDeny=any",
        f"IPAddressAllow={' '.join([*allowed, *([host] if remote else [])])}",
    ]


def _literal(address: str) -> str:
    """The host of a URL where it is a numeric address, else ""."""
    try:
        return str(ipaddress.ip_address(urlsplit(address).hostname or "")).partition("%")[0]
    except ValueError:
        return ""


def _engine_arguments(config: Config) -> list[str] | None:
    """Arguments that build the engine that ``run`` will want; None where it wants none."""
    wanted = config.bundle.precision
    names = {kind: name for name, kind in PRECISIONS.items()} | {"auto": "auto"}
    if config.engine.kind not in ("auto", "tensorrt") or wanted not in names:
        return None
    bundle = [config.bundle.path] if config.bundle.path else []
    out = ["--out", config.engine.folder] if config.engine.folder else []
    return ["engine", *bundle, "--precision", names[wanted], "--faces", str(config.engine.faces), *out]


def _template(name: str) -> str:
    return (files("edge.deploy") / name).read_text("utf-8")


def _fill(text: str, **values: str) -> str:
    """``text`` with each @NAME@ replaced; values are not looked at again."""
    return re.sub(r"@([A-Z]+)@", lambda found: values[found[1]], text)


def _line(words: Sequence[str]) -> str:
    """Words as ExecStart= reads them, see "Command lines" in systemd.service(5)."""
    return " ".join(_quoted(word) for word in words)


def _quoted(word: str) -> str:
    word = word.replace("%", "%%").replace("$", "$$")
    if re.fullmatch(r"[\w@%+=:,./$-]+", word, re.ASCII):
        return word
    escaped = "".join(
        f"\\x{ord(c):02x}" if ord(c) < 32 or ord(c) == 127 else f"\\{c}" if c in '"\\' else c for c in word
    )
    return f'"{escaped}"'
