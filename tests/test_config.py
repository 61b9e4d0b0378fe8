"""Settings: files, overrides and errors that name the key."""

import codecs
import contextlib
from dataclasses import Field, fields
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
        (f"detector.{'e' * 999}=2", r"unknown key detector.e{60}; \[detector\] has kind"),
        ("e" * 999, r"--set 'e{70,79} has the wrong form"),
        ("detector.evry=2", r"unknown key detector.evry; \[detector\] has kind, model"),
        ("detector.every=often", r"detector.every is 'often', expected a whole number"),
        ("detector.every=true", r"detector.every is true, expected a whole number"),
        ("output.every_frame=1", r"output.every_frame is 1, expected true or false"),
        ("source.width=1.5", r"source.width is 1.5, expected a whole number"),
        ("detector", "write table.key=value"),
    ],
)
def test_faults_are_named(override: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        config_file.load(None, [override])


def test_broken_files(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"the configuration .* cannot be read"):
        config_file.load(tmp_path / "none.toml")
    path = tmp_path / "c.toml"
    path.write_text("[source\n")
    with pytest.raises(ConfigError, match="not valid TOML"):
        config_file.load(path)
    path.write_bytes(b'[source]\naddress = "\xe4"\n')
    with pytest.raises(ConfigError, match=r"not UTF-8 \(byte 0xe4 in line 2\); save it again as UTF-8"):
        config_file.load(path)
    for encoding in ("utf-16", "utf-16-be"):
        path.write_bytes('\ufeff[source]\naddress = "0"\n'.encode(encoding))
        with pytest.raises(ConfigError, match="is UTF-16, expected UTF-8; save it again as UTF-8"):
            config_file.load(path)
    path.write_text("address = 1\n")
    with pytest.raises(ConfigError, match="outside a table"):
        config_file.load(path)


@pytest.mark.parametrize("mark", [b"", codecs.BOM_UTF8])
@pytest.mark.parametrize("end", [b"\n", b"\r\n"])
def test_a_file_of_a_windows_editor_is_read(mark: bytes, end: bytes, tmp_path: Path) -> None:
    path = tmp_path / "c.toml"
    path.write_bytes(mark + end.join([b"# a comment", b"[source]", b'address = "0"', b"fps = 15", b""]))
    assert config_file.load(path).source == config.SourceConfig(address="0", fps=15.0)


@pytest.mark.parametrize("key", ["output.max_frames", "source.width", "budget.cpu_percent"])
def test_bounds_are_written_out(key: str) -> None:
    """Not as 1 to 1e+09."""
    with pytest.raises(ConfigError, match=r"is 99999999999(?:\.0)?, expected [\d.]+ to [\d,]+$"):
        config_file.load(None, [f"{key}=99999999999"])


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


FLOATS = [
    (f"{table.name}.{field.name}", field)
    for table in fields(config.Config)
    for field in fields(table.default_factory)  # type: ignore[arg-type,misc]
    if field.metadata and "float" in str(field.type)
]


@pytest.mark.parametrize(("name", "field"), FLOATS)
@pytest.mark.parametrize("value", ["nan", "-nan", "inf", "-inf", "1e400", "9" * 400])
def test_every_number_has_to_be_one(name: str, field: Field[object], value: str) -> None:
    with pytest.raises(ConfigError, match=rf"^{name} is .*, expected ") as caught:
        config_file.load(None, [f"{name}={value}"])
    assert len(str(caught.value)) < 300


@pytest.mark.parametrize(
    "override", [f"detector.every={'9' * 5000}", f"{'a' * 10**6}.b=1", f"source.{'a' * 10**6}=1"]
)
def test_a_fault_of_any_length_is_one_short_line(override: str) -> None:
    with pytest.raises(ConfigError) as caught:
        config_file.load(None, [override])
    assert len(str(caught.value)) < 300


def test_a_file_of_many_outputs_is_refused_at_once(tmp_path: Path) -> None:
    path = tmp_path / "c.toml"
    path.write_text("[output]\n" + "".join(f"k{number} = 1\n" for number in range(70_000)))
    with pytest.raises(ConfigError, match="names more than 100 outputs"):
        config_file.load(path)
