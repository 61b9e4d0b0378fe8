"""What is written into the pipe is read by tar."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from edge.deploy.kit import tar_stream
from edge.deploy.kit.packaged import PackagedFile

NAMES = st.text("abcdefgh./-_é", min_size=1, max_size=200).filter(lambda name: not name.endswith("/"))
FILES = st.dictionaries(NAMES, st.tuples(st.binary(max_size=2000), st.sampled_from([0o600, 0o700, 0o644])))


@given(FILES)
def test_every_file_comes_out_with_its_content_and_mode(files: dict[str, tuple[bytes, int]]) -> None:
    pipe = io.BytesIO()
    tar_stream.write(pipe, [PackagedFile(path, data, mode) for path, (data, mode) in files.items()])
    pipe.seek(0)
    with tarfile.open(fileobj=pipe, mode="r|") as archive:
        found = {entry.name: (archive.extractfile(entry).read(), entry.mode) for entry in archive}
    assert found == files


def test_the_last_one_is_read_from_its_file(tmp_path: Path) -> None:
    (tmp_path / "kit.deb").write_bytes(b"x" * 5_000_000)
    pipe = io.BytesIO()
    tar_stream.write(pipe, [PackagedFile("first", b"1")], tmp_path / "kit.deb")
    pipe.seek(0)
    with tarfile.open(fileobj=pipe) as archive:
        assert archive.getnames() == ["first", "kit.deb"]
        assert archive.getmember("kit.deb").mode == 0o600
        assert archive.extractfile("kit.deb").read() == b"x" * 5_000_000
