"""What lies beside the package: the list of its parts, the hashes with a signature, and a page to read."""

from __future__ import annotations

import sys
from pathlib import Path

from edge.deploy.kit.programs import Programs, need
from edge.deploy.kit.targets import Target
from edge.errors import ConfigError, EdgeError, require
from edge.system.hashing import sha256

NAMESPACE = "emotion-edge"  # of the signature: one made for something else does not count
SBOM, SUMS, SIGNATURE, SIGNERS = "sbom.cdx.json", "SHA256SUMS", "SHA256SUMS.sig", "allowed_signers"
_OPENSSH = "install OpenSSH: sudo apt install openssh-client"


def ready(key: Path | None) -> None:
    """DependencyError or ConfigError if something is missing to list the parts and to sign with ``key``."""
    require("cyclonedx_py", "pip install 'emotion-edge[kit]'")
    if key is None:
        return
    need("ssh-keygen", _OPENSSH)
    if not key.is_file():
        raise ConfigError(f"--key {key} is no file; make a key with ssh-keygen -t ed25519 -f {key}")
    if key.suffix == ".pub":
        raise ConfigError(f"--key {key} is the public half; give the private one, {key.with_suffix('')}")


def write_sbom(site: Path, file: Path, epoch: int, programs: Programs) -> None:
    """A CycloneDX 1.6 list of the distributions in ``site``, judged by CycloneDX's own schema."""
    # It asks an interpreter for its path; the board's own does not run on this machine.
    answer = file.with_name("python-of-the-kit")
    answer.write_text(f"#!/bin/sh\necho '[\"{site}\"]'\n", "utf-8")
    answer.chmod(0o755)
    words = [
        "environment",
        "--spec-version",
        "1.6",
        "--output-reproducible",
        "--validate",
        "-o",
        file,
        answer,
    ]
    try:
        programs.run(
            [sys.executable, "-m", "cyclonedx_py", *map(str, words)], "", {"SOURCE_DATE_EPOCH": str(epoch)}
        )
    finally:
        answer.unlink()


def sums(folder: Path) -> str:
    """The lines of ``sha256sum`` for all files in ``folder``, by name."""
    return "".join(f"{sha256(path)}  {path.name}\n" for path in sorted(folder.iterdir()))


def sign(folder: Path, key: Path, programs: Programs) -> None:
    """Sign SHA256SUMS with an SSH key, and write down which key that is, as OpenSSH takes it."""
    public = programs.run(["ssh-keygen", "-y", "-f", key], _OPENSSH).split()
    if len(public) < 2:
        raise EdgeError(f"{key} is no SSH key; make one with ssh-keygen -t ed25519")
    line = f'kit namespaces="{NAMESPACE}" {public[0]} {public[1]}\n'
    (folder / SIGNERS).write_text(line, "utf-8")
    programs.run(["ssh-keygen", "-q", "-Y", "sign", "-f", key, "-n", NAMESPACE, folder / SUMS], _OPENSSH)


def page(target: Target, deb: Path, source: str, license_: str, signed: bool) -> str:
    """README.md of a kit, on one page."""
    verify = (
        f"ssh-keygen -Y verify -f {SIGNERS} -I kit -n {NAMESPACE} -s {SIGNATURE} < {SUMS}\n" if signed else ""
    )
    unsigned = "" if signed else "It has no signature: the hashes show damage, not who made it.\n\n"
    return f"""\
# A kiosk for {target.system}

`{deb.name}` holds all that a board needs: the program with its libraries for Python {target.python}, the
networks and the settings. The camera is `{source}`. Nothing is downloaded and nothing is compiled there.

## Install it
From a laptop with `emotion-edge`, over ssh:

```sh
emotion-edge kit install THIS_FOLDER --host USER@BOARD
```

Or on the board itself, with this folder on a stick:

```sh
sha256sum --check {SUMS}
{verify}sudo apt install ./{deb.name}
emotion-edge status
```

{unsigned}## Then
- `emotion-edge aim` helps to mount the camera. Stop the service first: `sudo systemctl stop emotion-edge`.
- `emotion-edge doctor` says what is wrong, each finding with its fix.
- Settings: `/etc/emotion-edge.toml`, then `sudo systemctl reload emotion-edge`.
- A second camera: settings in `/etc/emotion-edge/NAME.toml`, then
  `sudo systemctl enable --now emotion-edge@NAME`.
- Remove it: `sudo apt purge emotion-edge`.

## What is inside
- `{SBOM}`: every library with its version and license (CycloneDX 1.6).
- `wheels.lock`: the wheels with their hashes. The same wheels give the same package, byte for byte.
- License of the network's weights: {license_}
"""
