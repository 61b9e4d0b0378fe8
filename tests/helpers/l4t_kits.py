"""A small kit for a Jetson: a package with what matters to whoever unpacks it, and its hashes."""

from __future__ import annotations

import hashlib
import subprocess
from pathlib import Path

from edge.deploy.flash.overlay import WANTED

CONTROL = """\
Package: emotion-edge
Version: {version}
Architecture: arm64
Maintainer: tests <tests@example.org>
Emotion-Edge-Target: {target}
Description: of the tests
"""
FILES = {
    WANTED: "[Unit]\nWants=emotion-edge-firstboot.service\n",
    "usr/lib/systemd/system/emotion-edge-firstboot.service": "[Service]\nExecStart=/bin/true\n",
    "usr/lib/emotion-edge/bin/a": "a\n",
    "usr/lib/emotion-edge/lib/deep/b": "b\n" * 1000,
    "usr/bin/emotion-edge": "#!/bin/sh\n",
    "etc/emotion-edge.toml": "[source]\naddress = '/dev/video0'\n",
    "DEBIAN/conffiles": "/etc/emotion-edge.toml\n",
    "DEBIAN/postinst": "#!/bin/sh\ntouch /touched-by-postinst\n",
}


def make(folder: Path, target: str, version: str = "1.2-1") -> Path:
    """The folder of a kit, as `kit make` leaves it."""
    root, kit = folder / f"root-{target}", folder / f"kit-{target}-{version}"
    kit.mkdir(parents=True)
    for path, text in {**FILES, "DEBIAN/control": CONTROL.format(version=version, target=target)}.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(text)
    (root / "DEBIAN/postinst").chmod(0o755)
    deb = kit / f"emotion-edge_{version}_arm64.deb"
    subprocess.run(
        ["dpkg-deb", "--root-owner-group", "-Znone", "--build", str(root), str(deb)],
        check=True, stdout=subprocess.DEVNULL,
    )  # fmt: skip
    (kit / "SHA256SUMS").write_text(f"{hashlib.sha256(deb.read_bytes()).hexdigest()}  {deb.name}\n")
    return kit
