"""Nothing that a run reads is written, under any name, and no output is another one."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

import edge
from edge.config import Config
from edge.config_file import load
from edge.errors import ConfigError
from edge.sinks.overwriting import refuse_overwriting

LINE = '{"schema": "emotion-edge/1"}\n'


def test_two_outputs_on_one_file_are_refused(tmp_path: Path) -> None:
    one, hard = tmp_path / "one", tmp_path / "hard"
    with pytest.raises(ConfigError, match=r"output\.health is .*one, which is also output\.jsonl"):
        refuse_overwriting(load(None, [f"output.jsonl={one}", f"output.health={one}"]))
    one.write_text(LINE)
    hard.hardlink_to(one)
    with pytest.raises(ConfigError, match=r"output\.health is .*hard, which is also output\.jsonl"):
        refuse_overwriting(load(None, [f"output.jsonl={one}", f"output.health={hard}"]))
    refuse_overwriting(Config())


@pytest.mark.parametrize("way", ["itself", "hard link", "symbolic link"])
@pytest.mark.parametrize("name", ["source", "file", "settings", "bundle", "detector", "cache"])
def test_no_input_is_an_output(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, way: str) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    files = {
        "source": tmp_path / "source.mp4",
        "file": tmp_path / "pictures/1.png",
        "settings": tmp_path / "kiosk.toml",
        "bundle": tmp_path / "bundle/manifest.json",
        "detector": tmp_path / "yunet.onnx",
        "cache": tmp_path / "emotion-edge/choice.json",
    }
    for path in files.values():
        path.parent.mkdir(exist_ok=True)
        path.write_text("precious")
    files["settings"].write_text("[output]\nforce = true\n")
    out = files[name]
    if way != "itself":
        out = tmp_path / "out"
        out.hardlink_to(files[name]) if way == "hard link" else out.symlink_to(files[name])
    source = files["file"].parent if name == "file" else files["source"]
    named = {"bundle.path": files["bundle"].parent, "detector.model": files["detector"], "output.jsonl": out}
    config = load(files["settings"], [f"source.address={source}", *(f"{k}={v}" for k, v in named.items())])
    with pytest.raises(ConfigError, match=r"output\.jsonl is .*, which is also .*; choose another file"):
        refuse_overwriting(config)


def test_an_earlier_output_in_a_folder_that_is_read_is_none_of_its_inputs(tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "1.png"), np.zeros((8, 8), np.uint8))
    (tmp_path / "out.jsonl").write_text(LINE)
    words = [f"source.address={tmp_path}", f"bundle.path={tmp_path}", f"output.jsonl={tmp_path}/out.jsonl"]
    refuse_overwriting(load(None, words))
    with pytest.raises(ConfigError, match=r"1\.png, which is also the source"):
        refuse_overwriting(load(None, [*words[:2], f"output.jsonl={tmp_path}/1.png"]))


def test_a_picture_in_the_source_folder_would_be_a_frame_of_the_next_run(tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "1.png"), np.zeros((8, 8), np.uint8))
    here = [f"source.address={tmp_path}", f"output.trajectory={tmp_path}/out.png"]
    with pytest.raises(ConfigError, match="in the folder of pictures that is read; choose another"):
        refuse_overwriting(load(None, here))
    refuse_overwriting(load(None, [here[0], f"output.jsonl={tmp_path}/out.jsonl"]))


def test_the_library_knows_its_settings_file(tmp_path: Path) -> None:
    settings = tmp_path / "a.toml"
    settings.write_text("[output]\nforce = true\n")
    with pytest.raises(ConfigError, match="which is also the settings file"):
        edge.open("demo", config=settings, settings={"output.jsonl": str(settings)})
    assert settings.read_text() == "[output]\nforce = true\n"


def test_the_demo_reads_no_folder_of_its_name(tmp_path, monkeypatch):
    (tmp_path / "demo").mkdir()
    monkeypatch.chdir(tmp_path)
    refuse_overwriting(load(None, ["output.trajectory=demo/trajectory.png"]))
    with pytest.raises(ConfigError, match="in the folder of pictures that is read"):
        refuse_overwriting(load(None, ["source.address=./demo", "output.trajectory=demo/trajectory.png"]))
