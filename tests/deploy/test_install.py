"""How the systemd units come and go."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from board_image import command, image, installed

from edge.errors import ConfigError, EdgeError


def test_an_address_that_run_would_refuse(tmp_path: Path) -> None:
    root = image(tmp_path / "root")
    with pytest.raises(ConfigError, match="unknown"):
        command("install", "gopher://cam", "--root", root)
    for kind in ("annotate=/srv/out.mp4", "trajectory=/srv/out.png"):
        with pytest.raises(ConfigError, match="a service runs on"):
            command("install", "0", "--root", root, "--set", f"output.{kind}")
    assert not (tmp_path / "root/etc/systemd").exists()


def test_a_reboot_is_possible_only_where_it_is_allowed(tmp_path: Path) -> None:
    root = image(tmp_path / "root")
    command("install", "0", "--root", root, "--set", "recovery.reboot=true")
    assert len([path for path in installed(root) if "emotion-edge-reboot.path" in path]) == 2
    command("install", "0", "--root", root)
    assert not [path for path in installed(root) if "reboot" in path]


def test_install_twice_changes_nothing_and_uninstall_leaves_nothing(tmp_path: Path, capsys) -> None:
    root = image(tmp_path / "root")
    command("install", "0", "--root", root)
    first = installed(root)
    assert first["etc/systemd/system/multi-user.target.wants/emotion-edge.service"] == (
        "/etc/systemd/system/emotion-edge.service"
    )
    assert len(first) == 3
    capsys.readouterr()
    command("install", "0", "--root", root)
    assert installed(root) == first
    assert "wrote" not in capsys.readouterr().out
    neighbor = root / "etc/systemd/system/other.service"
    neighbor.write_text("[Service]\n")
    command("uninstall", "--root", root)
    assert list(installed(root)) == ["etc/systemd/system/other.service"]
    command("uninstall", "--root", root)
    assert capsys.readouterr().out.splitlines()[-1] == "nothing is installed"


def test_a_unit_of_somebody_else_is_left_alone(tmp_path: Path) -> None:
    root = image(tmp_path / "root")
    folder = root / "etc/systemd/system"
    folder.mkdir(parents=True)
    (folder / "emotion-edge.service").write_text("[Service]\nExecStart=/bin/true\n")
    for action in (["install", "0"], ["uninstall"]):
        with pytest.raises(EdgeError, match="not written by this program"):
            command(*action, "--root", root)
    assert len(installed(root)) == 1


def test_the_units_of_a_package_are_not_hidden(tmp_path: Path) -> None:
    root = image(tmp_path / "root")
    unit = root / "usr/lib/systemd/system/emotion-edge.service"
    unit.parent.mkdir(parents=True)
    unit.write_text("[Service]\n")
    with pytest.raises(EdgeError, match="as a package, whose units these would hide"):
        command("install", "0", "--root", root)
    with pytest.raises(EdgeError, match="apt-get remove emotion-edge"):
        command("uninstall", "--root", root)
    assert installed(root) == {}


def test_what_stands_in_the_way_of_a_link_is_named(tmp_path: Path) -> None:
    for number, name in enumerate(("", "emotion-edge.service")):
        root = image(tmp_path / f"root{number}")
        wants = root / "etc/systemd/system/multi-user.target.wants"
        (wants / name).parent.mkdir(parents=True)
        (wants / name).write_text("in the way")
        with pytest.raises(EdgeError, match=r"cannot create the link .*; move away"):
            command("install", "0", "--root", root)
        assert (wants / name).read_text() == "in the way"
        command("uninstall", "--root", root)
        assert list(installed(root).values()) == ["in the way"]
    root = image(tmp_path / "root2")
    (root / "etc/systemd/system/emotion-edge.service").mkdir(parents=True)
    with pytest.raises(EdgeError, match="not written by this program"):
        command("install", "0", "--root", root)


def test_uninstall_removes_a_link_whose_unit_is_gone(tmp_path: Path, capsys) -> None:
    root = image(tmp_path / "root")
    command("install", "0", "--root", root)
    for path in (root / "etc/systemd/system").glob("emotion-edge*"):
        path.unlink()
    assert len(installed(root)) == 1
    command("uninstall", "--root", root)
    assert installed(root) == {}
    assert "removed" in capsys.readouterr().out


def test_without_root_it_says_so(monkeypatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    for action in (["install", "0"], ["uninstall"]):
        with pytest.raises(EdgeError, match=f"sudo emotion-edge service {action[0]}"):
            command(*action)


def test_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="is not a folder"):
        command("install", "0", "--root", tmp_path / "none")
    root = image(tmp_path / "root")
    (root / "etc/systemd").write_text("in the way")
    with pytest.raises(EdgeError, match="cannot create"):
        command("install", "0", "--root", root)


def test_a_file_source_is_noted(tmp_path: Path, capsys) -> None:
    command("install", "clip.mp4", "--root", image(tmp_path / "root"))
    assert "ends; the service then starts over" in capsys.readouterr().out


@pytest.mark.parametrize("value", ["²", "70000"])
def test_a_health_port_that_is_none(value: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="1 to 65535"):
        command("install", "0", "--root", image(tmp_path / "root"), "--health", value)
    assert not (tmp_path / "root/etc/systemd").exists()


@pytest.mark.parametrize("value", ["0", "-5", "much", "150%%"])
def test_a_cpu_quota_that_makes_no_sense(value: str, capsys) -> None:
    with pytest.raises(SystemExit):
        command("print-unit", "0", "--cpu-quota", value)
    assert "is not a share of a core" in capsys.readouterr().err
