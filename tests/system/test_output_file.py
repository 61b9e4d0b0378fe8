"""What may be written, how an output gets its name, and who is kept from it."""

from __future__ import annotations

import errno
import os
import stat
import subprocess
import sys
import threading
from contextlib import nullcontext, suppress
from pathlib import Path

import av
import pytest
from full_disk import full_disk

from edge.errors import ConfigError
from edge.system import atomic_write as whole
from edge.system.growing_file import open_growing
from edge.system.marks import SOFTWARE
from edge.system.output_file import OutputFile, check_writable, refuse_inputs, write_output

OURS = b'{"schema": "emotion-edge/1", "frame": 1}\n'


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_an_output_appears_whole_and_leaves_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    with OutputFile(path) as output:
        file = output.part()
        file.write(OURS)
        assert not path.exists()
        assert ".a.json.lock" in names(tmp_path)
        output.commit(file)
        assert path.read_bytes() == OURS
    assert names(tmp_path) == ["a.json"]


def test_a_second_pass_replaces_the_first(tmp_path: Path) -> None:
    with OutputFile(tmp_path / "a.mp4", (".mp4",)) as output:
        first, second = output.part(), output.part()
        first.write(b"first")
        first.seek(0)
        second.write(first.read() + b", second")
        output.commit(second)
    assert names(tmp_path) == ["a.mp4"]
    assert (tmp_path / "a.mp4").read_bytes() == b"first, second"


def test_a_broken_run_leaves_its_part_and_an_empty_part_goes(tmp_path: Path) -> None:
    with OutputFile(tmp_path / "a.mp4") as output:
        output.part()
        output.part().write(b"half")
    (left,) = names(tmp_path)
    assert left.startswith(".a.mp4.")
    assert left.endswith(".part")
    assert (tmp_path / left).read_bytes() == b"half"


@pytest.mark.parametrize(("at_bytes", "keep"), [(0, True), (10, False)])
def test_what_is_not_left_is_not_promised(tmp_path: Path, at_bytes: int, keep: bool) -> None:
    with full_disk(at_bytes), pytest.raises(ConfigError, match=r"free space or choose another path$"):  # noqa: SIM117
        with OutputFile(tmp_path / "a.json") as output:
            output.write(OURS, keep=keep)
    assert names(tmp_path) == []


def test_a_full_disk_is_told_where_no_lock_can_be_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    output = OutputFile(tmp_path / "a.json")
    monkeypatch.setattr(os, "open", full)
    with pytest.raises(ConfigError, match=r"No space left on device\); free space, or choose another folder"):
        output.__enter__()


def test_a_part_has_the_mode_of_any_new_file_or_of_the_one_it_replaces(tmp_path: Path) -> None:
    path, other = tmp_path / "a.json", tmp_path / "other"
    other.touch()
    write_output(path, OURS)
    assert path.stat().st_mode == other.stat().st_mode
    path.chmod(0o600)
    write_output(path, OURS)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_planted_link_is_not_followed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    victim, path = tmp_path / "victim", tmp_path / "a.json"
    victim.write_text("precious")
    tokens = iter(["planted", "free"])
    monkeypatch.setattr(whole.secrets, "token_hex", lambda _: next(tokens))
    (tmp_path / ".a.json.planted.part").symlink_to(victim)
    whole.atomic_write(path, b"new")
    assert (victim.read_text(), path.read_bytes()) == ("precious", b"new")


def test_a_link_stays_one_and_its_target_is_judged(tmp_path: Path) -> None:
    real, link = tmp_path / "real.json", tmp_path / "link.json"
    real.write_bytes(OURS)
    link.symlink_to(real)
    write_output(link, OURS * 2)
    assert link.is_symlink()
    assert real.read_bytes() == OURS * 2
    real.write_text("precious")
    with pytest.raises(ConfigError, match="was not written by emotion-edge; choose another name, or pass"):
        write_output(link, OURS)
    real.unlink()
    with pytest.raises(ConfigError, match="is a link to nothing"):
        write_output(link, OURS)


def test_an_output_of_another_kind_is_not_emptied(tmp_path: Path) -> None:
    path = tmp_path / "clip.mp4"
    with av.open(str(path), "w") as clip:
        clip.metadata["comment"] = SOFTWARE
        stream = clip.add_stream("mpeg4", rate=10)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        clip.mux(stream.encode(av.VideoFrame(64, 48, "yuv420p")))
        clip.mux(stream.encode(None))
    check_writable(path, (".mp4",))
    with pytest.raises(ConfigError, match="is a clip of an earlier run"):
        check_writable(path)
    check_writable(path, force=True)


def test_force_replaces_files_and_nothing_else(tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("precious")
    write_output(tmp_path / "mine", OURS, force=True)
    assert (tmp_path / "mine").read_bytes() == OURS
    with pytest.raises(ConfigError, match="is a folder"):
        write_output(tmp_path, OURS, force=True)


@pytest.mark.parametrize(
    ("name", "message"),
    [("x" * 300, "File name too long"), ("a\0b", "cannot be used"), ("none/a", "mkdir -p")],
)
def test_paths_that_no_file_can_have(tmp_path: Path, name: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        check_writable(tmp_path / name)


def test_a_name_of_the_longest_size_is_written(tmp_path: Path) -> None:
    write_output(tmp_path / ("ü" * 127), OURS)
    assert names(tmp_path) == ["ü" * 127]


def test_a_file_that_comes_up_during_the_run_is_not_replaced(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    with OutputFile(path) as output:
        file = output.part()
        path.write_text("precious")
        with pytest.raises(ConfigError, match="was not written by emotion-edge"):
            output.commit(file)
    assert path.read_text() == "precious"


def test_only_what_was_committed_here_is_removed(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    with OutputFile(path) as output:
        output.remove()
        output.write(OURS)
        output.write(OURS)
        path.unlink()
        path.write_bytes(OURS)  # of somebody else
        output.remove()
        assert path.exists()
        output.write(OURS)
        output.remove()
    assert names(tmp_path) == []


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full here")
def test_a_device_is_written_into_and_a_clip_is_refused_there() -> None:
    with pytest.raises(ConfigError, match=r"/dev/full cannot be written \(No space left"):
        write_output(Path("/dev/full"), OURS)
    with pytest.raises(ConfigError, match="no regular file"):
        OutputFile(Path("/dev/full"))


@pytest.mark.parametrize(("kind", "numbers"), [(stat.S_IFCHR, (1, 3)), (stat.S_IFBLK, (7, 250))])
def test_a_node_stays_and_a_disk_is_never_opened(tmp_path: Path, kind: int, numbers: tuple[int, int]) -> None:
    node = tmp_path / "node"
    try:
        os.mknod(node, kind | 0o666, os.makedev(*numbers))
        os.close(os.open(node, os.O_WRONLY)) if kind == stat.S_IFCHR else None
    except OSError:
        pytest.skip("nodes need root and a file system that has them")
    before = node.lstat()
    for force in (False, True):
        with nullcontext() if kind == stat.S_IFCHR else pytest.raises(ConfigError, match="neither a"):
            write_output(node, OURS, force)
    assert os.path.samestat(before, node.lstat())
    assert node.lstat().st_mode == before.st_mode
    assert names(tmp_path) == ["node"]


def test_a_pipe_takes_a_document_if_somebody_reads(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    with pytest.raises(ConfigError, match="has no reader; start one first"):
        write_output(pipe, OURS)
    document, found = OURS * 5000, b""  # more than a pipe holds
    descriptor = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    writer = threading.Thread(target=write_output, args=(pipe, document))
    writer.start()
    while len(found) < len(document):
        with suppress(BlockingIOError):
            found += os.read(descriptor, 65536)
    writer.join()
    os.close(descriptor)
    assert found == document
    assert names(tmp_path) == ["pipe"]


def test_a_second_run_on_one_output_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    with OutputFile(path), pytest.raises(ConfigError, match=r"another run.*choose another name, or end"):
        OutputFile(path).__enter__()
    with open_growing(path) as file:
        file.write(OURS)
        with pytest.raises(ConfigError, match="is being written by another run"):
            open_growing(path)
        assert path.read_bytes() == OURS, "it was not emptied"
    open_growing(path).close()


def test_a_run_that_replaces_and_one_that_appends_refuse_each_other(tmp_path: Path) -> None:
    path, link = tmp_path / "a.json", tmp_path / "link"
    link.symlink_to(path)
    with open_growing(path) as file:
        file.write(OURS)
        for name in (path, link):
            with pytest.raises(ConfigError, match="is being written by another run"):
                write_output(name, b"{}")
    assert path.read_bytes() == OURS
    with OutputFile(path):
        for name in (path, link):
            with pytest.raises(ConfigError, match="is being written by another run"):
                open_growing(name)
    assert path.read_bytes() == OURS, "it was not emptied"
    assert names(tmp_path) == ["a.json", "link"]


def test_the_lock_of_a_killed_run_is_taken_over(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    program = (
        "import sys; from pathlib import Path; from edge.system.output_file import OutputFile\n"
        f"OutputFile(Path({str(path)!r})).__enter__(); print('ready', flush=True); sys.stdin.read()"
    )
    child = subprocess.Popen(
        [sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=Path.cwd()
    )
    with child:
        assert child.stdout is not None
        child.stdout.readline()
        with pytest.raises(ConfigError, match=rf"another run( \(process {child.pid}\))?;"):
            OutputFile(path).__enter__()
        child.kill()
    assert names(tmp_path) == [".a.json.lock"]
    write_output(path, OURS)
    assert names(tmp_path) == ["a.json"]


@pytest.mark.parametrize("kind", ["full", "link", "folder"])
def test_what_stands_at_the_name_of_the_lock_stays(tmp_path: Path, kind: str) -> None:
    path, name = tmp_path / "a.json", tmp_path / ".a.json.lock"
    if kind == "full":
        name.write_text("precious")
        write_output(path, OURS)
        assert name.read_text() == "precious"
        return
    name.mkdir() if kind == "folder" else name.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(ConfigError, match=r"cannot be locked: \.a\.json\.lock"):
        write_output(path, OURS)
    assert names(tmp_path) == [".a.json.lock"]


def test_inputs_are_known_by_any_name(tmp_path: Path) -> None:
    one, hard = tmp_path / "one", tmp_path / "hard"
    one.write_bytes(OURS)
    hard.hardlink_to(one)
    with pytest.raises(ConfigError, match=r"output\.jsonl is .*hard, which is also the source; choose"):
        refuse_inputs({"output.jsonl": hard}, [("the source", one)])
    refuse_inputs({"output.jsonl": tmp_path / "new"}, [("the source", one)])
