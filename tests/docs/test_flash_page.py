"""The page for a Jetson counts a person's commands, and shows the ones that `kit flash` prints."""

from __future__ import annotations

import shlex
from pathlib import Path

import l4t_trees
from documents import ROOT

from edge.deploy.flash import l4t_board, l4t_call, l4t_release

PAGE = ROOT / "docs" / "flash-jetson.md"


def test_three_commands_and_the_last_is_the_printed_one(tmp_path: Path) -> None:
    section = PAGE.read_text("utf-8").split("## 3. The three commands\n")[1]
    block = section.split("```sh\n")[1].split("```")[0].replace("\\\n", "")
    typed, folder, call = block.splitlines()
    tree = l4t_trees.make(tmp_path / "L4T", l4t_trees.R36)
    release = l4t_release.read(tree)
    board = l4t_board.read(tree, "jetson-orin-nano-devkit", release)
    assert shlex.split(call) == shlex.split(str(l4t_call.call(tree, board, release, "nvme")))
    assert folder == "cd Linux_for_Tegra"
    assert f"--board {board.name} --storage nvme" in typed
