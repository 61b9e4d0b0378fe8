"""``kit flash --files``: what Raspberry Pi Imager 2 takes for Raspberry Pi OS 13."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

from edge.deploy.flash import pi_checks, pi_files, pi_look, pi_stage
from edge.deploy.flash.pi_checks import CLOUD_INIT
from edge.deploy.kit import secret_file
from edge.deploy.kit.installing import Kit
from edge.deploy.kit.programs import Programs
from edge.errors import ConfigError
from edge.system.steps import Steps


def write_files(
    kit_folder: Path, folder: Path, secrets: Path | None, steps: Steps, dry_run: bool = False
) -> None:
    """Write what Raspberry Pi Imager 2 and a copy by hand put onto a card with Raspberry Pi OS 13.

    ``folder``/user-data and network-config are for Imager's options; all else goes onto the boot partition.
    ConfigError for a kit of another system, a folder that exists, and where Imager 1 is installed.
    """
    pi_look.ready()
    kit = Kit.of(kit_folder)
    tables = secret_file.tables(secrets) if secrets else {}
    pi_files.check(tables)
    with pi_stage.working(folder, "no files were written", "--files") as place:
        programs = Programs(place, dry_run)
        target = pi_checks.fields(kit.deb, programs).target
        if target != "pi-trixie":
            raise ConfigError(
                f"the kit is for {target or 'no known system'}, and only Raspberry Pi OS 13 (trixie) takes "
                "files of Imager 2; use --image, or make a kit with --target pi-trixie"
            )
        _imager(programs)
        if folder.exists() or folder.is_symlink():
            raise ConfigError(f"{folder} exists already; name a new folder with --files")
        secret = secret_file.files(secrets, tables) if secrets else []
        files = pi_files.files(kit, CLOUD_INIT, "", tables, secret)
        if dry_run:
            pi_stage.tell(kit.deb, files)
            return
        steps.begin(f"writing {folder}")
        pi_stage.lay_out(place / pi_stage.NAME, kit.deb, files, copied=True)
        (place / pi_stage.NAME).chmod(0o700 if secret else 0o755)
        (place / pi_stage.NAME).rename(folder)


def _imager(programs: Programs) -> None:
    """ConfigError where the only Imager of this machine is one that customises trixie in words only."""
    if not shutil.which("rpi-imager"):
        return
    programs.tell(["rpi-imager", "--version"])
    try:
        environment = {**os.environ, "QT_QPA_PLATFORM": "offscreen"}
        done = subprocess.run(
            ["rpi-imager", "--version"], capture_output=True, text=True, timeout=10, env=environment
        )
    except (OSError, subprocess.TimeoutExpired):
        return
    match = re.search(r"\b(\d+)\.\d+[\w.]*", done.stdout + done.stderr)
    if match and int(match[1]) < 2:
        raise ConfigError(
            f"rpi-imager here is {match[0]}; version 1 customises nothing on Raspberry Pi OS 13 and does not "
            "say so; install version 2, or use --image"
        )
