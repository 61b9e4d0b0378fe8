"""Files as training scripts write them: read without running their code, or refused by what they hold."""

from __future__ import annotations

import argparse
import os
from collections import OrderedDict, defaultdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytestmark = pytest.mark.export
torch = pytest.importorskip("torch")
from torch import nn  # noqa: E402

from edge.errors import EdgeError  # noqa: E402
from export.weights.load import load_weights  # noqa: E402


class Settings(dict):
    """A class of the user's own."""


class Harmful:
    """Runs a command where a file of it is unpickled without care."""

    def __init__(self, path: Path, how: Any = os.system) -> None:
        self.path, self.how = path, how

    def __reduce__(self) -> Any:
        return (self.how, (f"touch {self.path}",))


def network(seed: int = 0) -> nn.Module:
    torch.manual_seed(seed)
    return nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Linear(4, 2))


def loads(path: Path, content: Any, **options: Any) -> str:
    """Save ``content``, load it into a fresh network, and return what was said; the values must be right."""
    torch.save(content, path, **options)
    model = network(1)
    told = load_weights(model, path)
    expected = network(0).state_dict()
    assert all(torch.equal(value, expected[name]) for name, value in model.state_dict().items())
    return told


def test_a_plain_state_dict_needs_no_word(tmp_path: Path) -> None:
    assert loads(tmp_path / "w.pt", network().state_dict()) == ""
    assert loads(tmp_path / "old.pt", network().state_dict(), _use_new_zipfile_serialization=False) == ""


@pytest.mark.parametrize(
    ("more", "left_out"),
    [
        ({"epoch": 3}, ""),
        ({"args": argparse.Namespace(lr=1e-3)}, "argparse.Namespace"),
        ({"best": np.float64(0.7), "mean": np.ones(3), "n": np.int32(3)}, ""),
        ({"settings": Settings(lr=1)}, "Settings"),
        ({"history": defaultdict(list, loss=[1.0]), "where": Path("runs")}, "collections.defaultdict"),
    ],
)
def test_what_lies_beside_the_weights_does_not_matter(more: dict[str, Any], left_out: str, tmp_path) -> None:
    told = loads(tmp_path / "w.pt", {"state_dict": network().state_dict(), **more})
    assert told.startswith("w.pt: weights under 'state_dict'")
    assert left_out in told


def test_weights_within_a_class_of_the_users_own(tmp_path: Path) -> None:
    assert "'a.net'" in loads(tmp_path / "w.pt", Settings(a=defaultdict(dict, net=network().state_dict())))


def test_the_prefix_is_told_with_who_writes_it(tmp_path: Path) -> None:
    content = OrderedDict((f"_orig_mod.module.{k}", v) for k, v in network().state_dict().items())
    told = loads(tmp_path / "w.pt", content)
    assert told == "w.pt: prefix '_orig_mod.module.' (torch.compile, DataParallel) taken off"


def test_safetensors_with_a_prefix(tmp_path: Path) -> None:
    from safetensors.torch import save_file

    save_file({f"model.{k}": v for k, v in network().state_dict().items()}, tmp_path / "w.safetensors")
    model = network(1)
    assert "prefix 'model.'" in load_weights(model, tmp_path / "w.safetensors")
    assert torch.equal(model[0].weight, network(0)[0].weight)


@pytest.mark.parametrize("how", [os.system, eval, exec])
def test_no_code_of_the_file_runs(how: Any, tmp_path: Path) -> None:
    mark = tmp_path / "ran"
    path = tmp_path / "w.pt"
    torch.save({"state_dict": network().state_dict(), "extra": Harmful(mark, how)}, path)
    if how is os.system:  # of a module that PyTorch never reads from
        with pytest.raises(EdgeError, match=r"w\.pt holds posix\.system, which may run any code"):
            load_weights(network(), path)
    else:
        load_weights(network(), path)
    assert not mark.exists()


@pytest.mark.parametrize("key", ["", "model"])
def test_a_pickled_module_is_refused_by_its_class(key: str, tmp_path: Path) -> None:
    path = tmp_path / "w.pt"
    torch.save({key: network(), "epoch": 1} if key else network(), path)
    with pytest.raises(
        EdgeError, match=r"pickled module.*torch\.nn\.modules\.container\.Sequential"
    ) as refused:
        load_weights(network(), path)
    assert ("model['model'].state_dict()" if key else "model.state_dict()") in str(refused.value)


def test_an_old_file_with_a_class_names_it(tmp_path: Path) -> None:
    path = tmp_path / "w.pt"
    content = {"state_dict": network().state_dict(), "args": argparse.Namespace(lr=1)}
    torch.save(content, path, _use_new_zipfile_serialization=False)
    with pytest.raises(EdgeError, match=r"holds argparse\.Namespace, which.*state_dict"):
        load_weights(network(), path)


def test_files_that_hold_no_weights(tmp_path: Path) -> None:
    made = {}
    for name, content in (("empty.pt", b""), ("text.pt", b"hello"), ("zip.pt", b"PK\x03\x04" + bytes(40))):
        made[name] = tmp_path / name
        made[name].write_bytes(content)
    for path in (*made.values(), tmp_path / "none.pt", tmp_path):
        with pytest.raises(EdgeError) as refused:
            load_weights(network(), path)
        assert "\n" not in str(refused.value)
        assert path.name in str(refused.value)


def test_whole_networks_are_sent_to_model(tmp_path: Path) -> None:
    scripted, exported = tmp_path / "s.pt", tmp_path / "e.pt2"
    with pytest.warns(DeprecationWarning, match="jit"):
        torch.jit.save(torch.jit.script(nn.Linear(2, 2)), str(scripted))
    torch.export.save(torch.export.export(nn.Linear(2, 2), (torch.zeros(1, 2),)), exported)
    for path, what in ((scripted, "TorchScript"), (exported, "exported program")):
        with pytest.raises(EdgeError, match=rf"{what}.*--model .*{path.name} --trust-file"):
            load_weights(network(), path)


def test_values_that_are_not_finite(tmp_path: Path) -> None:
    path = tmp_path / "w.pt"
    torch.save({"model": {k: v * float("nan") for k, v in network().state_dict().items()}}, path)
    with pytest.raises(EdgeError, match=r"'0\.weight' holds values that are not finite"):
        load_weights(network(), path)
