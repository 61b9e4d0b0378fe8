"""Settings: files, overrides and errors that name the key."""

import contextlib
from dataclasses import fields
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge import config, config_file
from edge.errors import ConfigError


def test_file_then_overrides(tmp_path: Path) -> None:
    path = tmp_path / "c.toml"
    path.write_text('[source]\naddress = "0"\nfps = 15\n[detector]\nevery = 3\n')
    loaded = config_file.load(path, ["detector.every=5", "detector.model=a b.onnx", "source.address=2"])
    assert loaded.source == config.SourceConfig(address="2", fps=15.0)
    assert loaded.detector.every == 5
    assert loaded.detector.model == "a b.onnx"


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("detectr.every=2", "unknown table 'detectr', expected one of source, detector"),
        ("detector.evry=2", r"unknown key detector.evry; \[detector\] has kind, model"),
        ("detector.every=often", r"detector.every is 'often' \(str\), expected int"),
        ("detector.every=true", r"detector.every is True \(bool\), expected int"),
        ("output.every_frame=1", r"output.every_frame is 1 \(int\), expected bool"),
        ("source.width=1.5", r"source.width is 1.5 \(float\), expected int"),
        ("detector", "write table.key=value"),
    ],
)
def test_faults_are_named(override: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        config_file.load(None, [override])


def test_broken_files(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot read the configuration"):
        config_file.load(tmp_path / "none.toml")
    path = tmp_path / "c.toml"
    path.write_text("[source\n")
    with pytest.raises(ConfigError, match="not valid TOML"):
        config_file.load(path)
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(ConfigError, match="not valid TOML"):
        config_file.load(path)
    path.write_text("address = 1\n")
    with pytest.raises(ConfigError, match="outside a table"):
        config_file.load(path)


TABLES = [(table.name, fields(table.default_factory)) for table in fields(config.Config)]
KEYS = [f"{name}.{key.name}" for name, keys in TABLES for key in keys]
VALUES = st.one_of(
    st.text(max_size=40),
    st.integers().map(str),
    st.floats().map(str),
    st.sampled_from(["9" * 400, "[" * 2000, "2024-05-01", "12:30:00", "{a = 1}", "'", "true", "nan", "-inf"]),
)


@given(st.one_of(st.text(max_size=40), st.builds("{}={}".format, st.sampled_from(KEYS), VALUES)))
def test_any_text_is_taken_or_refused_in_one_line(text: str) -> None:
    with contextlib.suppress(ConfigError):  # any other exception fails the test
        assert isinstance(config_file.load(None, [text]), config.Config)


def test_a_file_may_be_named_as_a_date() -> None:
    assert config_file.load(None, ["source.address=2024-05-01"]).source.address == "2024-05-01"
