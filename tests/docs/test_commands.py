"""Every command in the documents: parsed by the real parser, and run where it needs nothing special."""

from __future__ import annotations

import contextlib
import importlib
import io
import re
import shutil
from argparse import Namespace
from collections.abc import Callable
from pathlib import Path

import cv2
import pytest
from documents import PAGES, ROOT, Command, blocks, commands, inline_code, simple_commands

from edge import bundle
from edge.capture.demo import DemoSource

PROGRAMS = {
    "emotion-edge": "edge.cli.program",
    "emotion-export": "export.program",
    "emotion-calibrate": "calibration.program",
    "emotion-bench": "benchmarks.program",
}
# What belongs to Linux or to other projects: a word that is neither here nor ours is a typing error.
FOREIGN = {
    *(
        "make",
        "chmod",
        "sha256sum",
        "ssh-keygen",
        "python",
        "python3",
        "pip",
        "apt",
        "systemctl",
        "systemd-analyze",
        "journalctl",
        "cat",
        "tail",
        "curl",
        "xz",
        "rpi-imager",
        "cd",
        "./tools/kernel_flash/l4t_initrd_flash.sh",
    ),
    *("emotion-edge", "ORT_DISABLE_TELEMETRY=1", "L4T=Linux_for_Tegra"),
}
YUNET = "face_detection_yunet_2023mar.onnx"
DATA = ROOT.parent / "shared" / "data" / "models" / YUNET
SERVICE_FILE = "/etc/emotion-edge.toml"  # docs/service.md shows it whole
MY_NET = """
from torch import nn

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.gru = nn.GRU(48 * 48, 4, batch_first=True)
        self.fc = nn.Linear(4, 3)

    def forward(self, frames):
        return self.fc(self.gru(frames.flatten(2))[0][:, -1])

build = Net
"""
ALL = list(dict.fromkeys(command for page in PAGES for command in commands(page)))
OURS = [command for command in ALL if command.words[0] in PROGRAMS]
IN_SENTENCES = [  # may be cut short
    Command(page, words)
    for page in PAGES
    for text in inline_code(page)
    if text.removeprefix("sudo ").startswith("emotion-")
    for words in simple_commands(text)
    if words[0] in PROGRAMS and len(words) > 1
]


def parse(words: tuple[str, ...]) -> tuple[Namespace | None, str]:
    """What the program's own parser makes of a command line, or None and its complaint."""
    program = importlib.import_module(PROGRAMS[words[0]])
    with contextlib.redirect_stderr(io.StringIO()) as complaint:
        try:
            return program._parser().parse_args(words[1:]), ""
        except SystemExit as left:
            return (Namespace(), "") if left.code == 0 else (None, complaint.getvalue())


@pytest.mark.parametrize("command", OURS, ids=str)
def test_a_command_of_ours_is_what_its_parser_takes(command: Command) -> None:
    parsed, complaint = parse(command.words)
    assert parsed is not None, complaint


def test_other_programs_are_known_ones() -> None:
    assert len(OURS) > 50
    others = {command.words[0] for command in ALL} - set(PROGRAMS) - FOREIGN
    assert others <= {"usermod"}, others
    modules = [command.words[2] for command in ALL if command.words[:2] == ("python", "-m")]
    ours = [
        name for name in modules if name.startswith(tuple(name.split(".")[0] for name in PROGRAMS.values()))
    ]
    assert all(importlib.util.find_spec(name) for name in ours)


@pytest.mark.parametrize("command", IN_SENTENCES, ids=str)
def test_a_command_within_a_sentence_names_nothing_that_is_not_there(command: Command) -> None:
    """It may be cut short, as `emotion-calibrate ranges`."""
    parsed, complaint = parse(command.words)
    cut_short = "the following arguments are required" in complaint or "one of the arguments" in complaint
    assert parsed is not None or cut_short, complaint


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_options_within_sentences_exist(page: Path) -> None:
    known = {option for name in PROGRAMS for option in options(name)} | {"--root", "--system-site-packages"}
    named = {text.split()[0].split("=")[0] for text in inline_code(page) if text.startswith("--")}
    assert named <= known, named - known


def test_the_table_of_benchmarks_has_every_one() -> None:
    page = (ROOT / "docs" / "benchmarks.md").read_text("utf-8")
    written = re.findall(r"^\| `([a-z]+)(?: [^|]*)?` \|", page, re.MULTILINE)
    (commands_,) = (
        a.choices for a in importlib.import_module(PROGRAMS["emotion-bench"])._parser()._actions if a.choices
    )
    assert sorted(written) == sorted(commands_)


def options(program: str) -> set[str]:
    """Every option of every subcommand."""
    found, left = set(), [importlib.import_module(PROGRAMS[program])._parser()]
    while left:
        for action in left.pop()._actions:
            found.update(action.option_strings)
            if isinstance(action.choices, dict):
                left += action.choices.values()
    return found


@pytest.fixture(scope="module")
def workshop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that holds what the documents take for granted: a clip, a bundle, a detector, settings."""
    folder = tmp_path_factory.mktemp("workshop")
    shutil.copytree(bundle.REFERENCE, folder / "my-bundle")
    (folder / "edge").symlink_to(ROOT / "edge")
    (text,) = (
        b.text for page in PAGES for b in blocks(page, "toml") if b.text.startswith(f"# {SERVICE_FILE}")
    )
    (folder / "emotion-edge.toml").write_text(text)
    (folder / "slow-frames").mkdir()
    clip = cv2.VideoWriter(str(folder / "clip.mp4"), cv2.VideoWriter.fourcc(*"mp4v"), 15, (640, 480))
    for frame in DemoSource().frames():
        if frame.index < 75:
            clip.write(frame.image)
        if frame.index % 15 == 0:
            cv2.imwrite(str(folder / "slow-frames" / f"{frame.index:03}.png"), frame.image)
    clip.release()
    if DATA.is_file():
        shutil.copy(DATA, folder / YUNET)
    with contextlib.suppress(ImportError):  # where these are missing, no command for networks is run
        _write_networks(folder)
    return folder


def _write_networks(folder: Path) -> None:
    """The networks that docs/export.md speaks of."""
    import onnx
    import torch
    from windows import Recipe, build

    onnx.save(build(Recipe(hidden=(5,), head="mean", steps=6)), str(folder / "window.onnx"))
    (folder / "my_net.py").write_text(MY_NET)
    weights = torch.nn.GRU(48 * 48, 4).state_dict(prefix="gru.")
    torch.nn.Linear(4, 3).state_dict(destination=weights, prefix="fc.")
    torch.save(weights, folder / "w.pt")


def runs_here(command: Command) -> bool:
    """Whether it needs no camera, root, network or training."""
    parsed = parse(command.words)[0]
    if parsed is None:
        return False
    if command.words[0] == "emotion-bench":
        return command.words[1] == "pipeline" and parsed.source == "clip.mp4" and parsed.html is not None
    if command.words[0] != "emotion-edge":
        return command.words[:2] == ("emotion-export", "inspect")
    if command.words[1] in ("run", "check"):
        return parsed.source in ("demo", "clip.mp4", "slow-frames")
    if command.words[1] == "fetch":
        return parsed.origin == YUNET and DATA.is_file()
    return command.words[1] == "config" or command.words[1:3] in (
        ("service", "print-unit"),
        ("service", "status"),
    )


RUN = list({command.words: command for command in [*OURS, *IN_SENTENCES] if runs_here(command)}.values())


@pytest.mark.parametrize("command", RUN, ids=str)
def test_it_runs(command: Command, workshop: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(workshop)
    if command.words[0] != "emotion-edge":
        pytest.importorskip("torch" if command.words[0] == "emotion-export" else "onnx")
    program: Callable[[list[str]], int] = importlib.import_module(PROGRAMS[command.words[0]]).main
    words = [word.replace(SERVICE_FILE, str(workshop / "emotion-edge.toml")) for word in command.words[1:]]
    assert program(words) == 0


def test_most_kinds_are_run() -> None:
    kinds = {command.words[1] for command in RUN}
    assert {"run", "check", "config", "service", "inspect"} <= kinds, kinds
