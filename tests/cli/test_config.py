"""``emotion-edge config``, the documents made from the tables, and names that were changed."""

from __future__ import annotations

from pathlib import Path

import generated
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.__main__ import main
from edge.capture.addresses import without_password
from edge.cli.config import in_force
from edge.config_file import RENAMED, Reader, load, read_toml
from edge.system import bounded_toml


def test_settings_and_tables_in_the_documents_are_those_of_the_program(capsys) -> None:
    assert main(["config", "reference"]) == 0
    assert generated.SETTINGS.read_text() == capsys.readouterr().out, "run: make docs"
    for page in generated.PAGES:
        text = page.read_text()
        assert "<!-- table: " in text
        assert generated.filled(text) == text, f"{page.name} is out of date; run: make docs"


def test_print_shows_what_is_in_force_and_where_it_comes_from(tmp_path: Path, capsys) -> None:
    file = tmp_path / "kiosk.toml"
    file.write_text('[source]\nfps = 15\n[output]\njsonl = "a.jsonl"\n[detector]\nevery = 4\n')
    address = "rtsp://me:secret@host/1"
    words = ["config", "print", address, "-c", str(file), "--set", "detector.every=5", "--precision", "fp32"]
    assert main(words) == 0
    text = capsys.readouterr().out
    origins = dict(line.split(" # ") for line in text.splitlines() if " # " in line)
    assert {key.split(" =")[0].strip(): origin for key, origin in origins.items() if origin != "default"} == {
        "address": "the command line",
        "fps": str(file),
        "every": "--set",
        "precision": "the command line",
        "jsonl": str(file),
    }
    assert "secret" not in text
    again = tmp_path / "again.toml"
    again.write_text(text)
    assert read_toml(again)["detector"]["every"] == 5
    assert load(again).output.sinks == {"jsonl": {"path": "a.jsonl"}}


TEXTS = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=20)
VALUES = TEXTS | st.integers(-99, 99) | st.booleans() | st.floats() | st.dates() | st.lists(TEXTS)


@given(TEXTS, st.dictionaries(TEXTS.filter(lambda key: "." not in key), VALUES, min_size=1))
def test_print_gives_no_control_to_the_terminal_and_can_be_read_again(address: str, keys: dict) -> None:
    settings = load(None)
    reader = Reader(settings)
    reader.set("source.address", address, "a\x1b[31m\nb.toml")
    reader.set("output.a\x1b", keys, "--set")
    lines = list(in_force(reader.config, reader.origins))
    assert all(line.isprintable() for line in lines)
    again = bounded_toml.loads("\n".join(lines))
    assert again["source"]["address"] == without_password(address)
    assert repr(again["output"]["a\x1b"]) == repr(keys)  # nan is not equal to itself


@pytest.mark.parametrize(("old", "new"), RENAMED.items())
def test_an_old_name_works_with_a_warning(old: str, new: str, caplog) -> None:
    config = load(None, [f"{old}=true"])
    table, key = new.split(".")
    assert getattr(getattr(config, table), key) is True
    assert f"{old} is now called {new}" in caplog.text
