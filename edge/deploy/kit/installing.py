"""``kit install``: brings a kit to a board over ssh; the same command finishes what was interrupted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import files as resources
from pathlib import Path

from edge.deploy.kit import packaged, secret_file, tar_stream
from edge.deploy.kit.packaged import KITS, PackagedFile
from edge.deploy.kit.proofs import SIGNATURE, SIGNERS, SUMS
from edge.deploy.kit.remote import Remote, sorted_debs, version_of
from edge.deploy.units import FIRST_BOOT, first_boot_unit
from edge.errors import ConfigError, EdgeError
from edge.system import signals
from edge.system.hashing import digest
from edge.system.steps import Steps

SCRIPTS = ("board.sh", "probe.sh")
_INCOMING, _SECRETS = f"{KITS}/incoming", f"{KITS}/secrets"
_BOARD = f"sh {_INCOMING}/board.sh"
_UNPACK = "umask 077; rm -rf {0} && mkdir -p {0} && tar -x --no-same-owner -p -f - -C {0}"
_READY_S = 120
_ROOM = 6  # times the package: itself, up to 4.2 times that unpacked, and what apt and dpkg note


@dataclass(frozen=True)
class Kit:
    """What ``kit make`` has written: the package, and what proves it."""

    deb: Path
    proofs: tuple[Path, ...]  # SHA256SUMS, and its signature if there is one

    @classmethod
    def of(cls, folder: Path) -> Kit:
        """The kit in a folder; ConfigError if it is none, or its package is not the one it was made with."""
        debs = sorted_debs(folder)
        if len(debs) != 1:
            raise ConfigError(f"{folder} holds {len(debs)} packages, expected 1; give a folder of kit make")
        version_of(debs[0])
        sums = folder / SUMS
        try:
            lines = sums.read_text("utf-8").splitlines()
        except (OSError, ValueError) as error:
            raise ConfigError(f"{sums} cannot be read; make the kit again") from error
        wanted = {name: hash_ for hash_, _, name in (line.partition("  ") for line in lines)}
        with debs[0].open("rb") as file:
            if digest(file) != wanted.get(debs[0].name):
                raise ConfigError(f"{debs[0]} is not the one of {SUMS}; copy or make the kit again")
        proofs = [sums, folder / SIGNATURE, folder / SIGNERS]
        return cls(debs[0], tuple(path for path in proofs if path.exists()))

    def signers(self) -> bytes:
        """Who signed it, as OpenSSH writes that down; empty for a kit without a signature."""
        return next((path.read_bytes() for path in self.proofs if path.name == SIGNERS), b"")

    def files(self) -> list[PackagedFile]:
        """What goes to the board beside the package."""
        texts = [PackagedFile(path.name, path.read_bytes()) for path in self.proofs]
        return [*texts, *_own_files()]


def script(name: str) -> bytes:
    """A shell script of SCRIPTS."""
    return (resources("edge.deploy.kit") / name).read_bytes()


def dry_run(remote: Remote, kit: Kit | None, secrets: Sequence[PackagedFile], rollback: bool) -> None:
    """Print every file with its mode and owner, and every command; nothing is connected, no secret shown."""
    if kit:
        print(f"0600 root:root {_INCOMING}/{kit.deb.name}")
        for file in kit.files():
            print(f"{file.mode:04o} root:root {_INCOMING}/{file.path}")
    for file in secrets:
        path = (
            f"/{file.path}"
            if file.path.startswith("etc/")
            else f"{_SECRETS}/{file.path} (until it is applied)"
        )
        print(f"{file.mode:04o} root:root {path}")
    print(f"$ ssh {remote.login} sh -s < probe.sh")
    for line in _commands(bool(secrets), rollback):
        print(f"$ {remote.shown(line)}")


def install(
    remote: Remote, kit: Kit, secrets: Sequence[PackagedFile], steps: Steps, downgrade: bool = False
) -> None:
    """Copy, verify on the board, install, and wait until the service is ready; prints what the board says.

    EdgeError for another board than the kit is for, an older kit without ``downgrade``, too little space, and
    whatever ssh or the board refuses.
    """
    steps.begin(f"asking {remote.login}")
    _check(remote, kit, downgrade)
    signals.leave("the board is as it was; run the same command again")
    size = kit.deb.stat().st_size
    steps.begin(f"copying {kit.deb.name} ({size / 1e6:.0f} MB)")
    remote.root(_UNPACK.format(_INCOMING), lambda pipe: tar_stream.write(pipe, kit.files(), kit.deb))
    steps.begin("verifying it on the board")
    steps.say(remote.root(f"{_BOARD} verify").strip())
    signals.leave("the board finishes by itself, or run the same command again")
    if secrets:
        steps.begin("copying the secrets")
        remote.root(_UNPACK.format(_SECRETS), lambda pipe: tar_stream.write(pipe, secrets))
    steps.begin("installing")
    _print(remote.root(f"{_BOARD} install"), steps)
    ready(remote, steps)


def rollback(remote: Remote, steps: Steps) -> None:
    """Install the version before; run again, it is the one from before that."""
    steps.begin(f"asking {remote.login}")
    answers = _answers(remote.run(script("probe.sh"), "0"))
    remote.become_root(answers.get("uid", ""), answers.get("sudo", ""))
    remote.root(_UNPACK.format(_INCOMING), lambda pipe: tar_stream.write(pipe, _own_files()))
    steps.begin("going back to the version before")
    _print(remote.root(f"{_BOARD} rollback"), steps)
    ready(remote, steps)


def ready(remote: Remote, steps: Steps) -> None:
    """Wait for the service, then print the line of its health and what the doctor finds."""
    steps.begin("waiting for the service")
    print(remote.root(f"{_BOARD} wait {_READY_S}").strip(), flush=True)


def _check(remote: Remote, kit: Kit, downgrade: bool) -> None:
    version, arch = version_of(kit.deb)
    answers = _answers(remote.run(script("probe.sh"), version))
    host = remote.login.rpartition("@")[2]
    if not answers.get("arch"):
        raise EdgeError(f"{host} has no dpkg; a kit is for Debian, Ubuntu and Raspberry Pi OS")
    if arch not in ("all", answers["arch"]):
        raise EdgeError(f"{host} is {answers['arch']}, the kit is for {arch}; make one with another --target")
    if "missing" in answers:
        raise EdgeError(
            f"{host} has no {answers['missing']}; on the board: sudo apt install {_package(answers)}"
        )
    if "older" in answers and not downgrade:
        raise EdgeError(
            f"{host} has version {answers['installed']}, the kit is {version}, which is older; "
            "add --downgrade if that is wanted"
        )
    if "readonly" in answers:
        raise EdgeError(
            f"{host} has /var/lib mounted read-only; mount it for writing: sudo mount -o remount,rw /"
        )
    free, needed = int(answers.get("free_kb") or 0) * 1024, _ROOM * kit.deb.stat().st_size
    if free < needed:
        raise EdgeError(
            f"{host} has {free / 1e6:.0f} MB free, {needed / 1e6:.0f} MB are needed; free some there"
        )
    remote.become_root(answers.get("uid", ""), answers.get("sudo", ""))


def _package(answers: dict[str, str]) -> str:
    tools = {"flock": "util-linux", "sha256sum": "coreutils", "ssh-keygen": "openssh-client"}
    return tools.get(answers["missing"], answers["missing"])


def _answers(said: str) -> dict[str, str]:
    """KEY=VALUE lines; what a login shell prints besides is left out."""
    lines = (line.partition("=") for line in said.splitlines())
    return {key: value.strip() for key, equals, value in lines if equals}


def _commands(secrets: bool, back: bool) -> list[str]:
    unpack = _UNPACK.format(_INCOMING)
    if back:
        return [unpack, f"{_BOARD} rollback", f"{_BOARD} wait {_READY_S}"]
    middle = [_UNPACK.format(_SECRETS)] if secrets else []
    return [unpack, f"{_BOARD} verify", *middle, f"{_BOARD} install", f"{_BOARD} wait {_READY_S}"]


def _own_files() -> list[PackagedFile]:
    return [
        PackagedFile("board.sh", script("board.sh"), 0o700),
        PackagedFile("firstboot", packaged.first_boot_script(), 0o700),
        PackagedFile(FIRST_BOOT, first_boot_unit(f"{KITS}/firstboot").encode()),
    ]


def _print(said: str, steps: Steps) -> None:
    for line in said.splitlines():
        steps.say(line.removeprefix("emotion-edge: "))


def read_secrets(path: Path | None) -> list[PackagedFile]:
    """The files of ``--secrets``; none without it."""
    return secret_file.read(path) if path else []
