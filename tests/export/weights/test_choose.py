"""The weights of a network are found under any key and prefix, or the refusal names what is in the way."""

from __future__ import annotations

from typing import Any

import pytest

pytestmark = pytest.mark.export
torch = pytest.importorskip("torch")

from hypothesis import given  # noqa: E402
from hypothesis import strategies as st  # noqa: E402

from edge.errors import EdgeError  # noqa: E402
from export.weights.choose import choose  # noqa: E402

NETWORK = {
    "cnn.0.weight": torch.zeros(4, 1, 3, 3),
    "cnn.1.num_batches_tracked": torch.zeros((), dtype=torch.int64),
    "gru.weight_ih_l0": torch.zeros(6, 4),
    "module_list.0.bias": torch.zeros(3),
}


def trained(seed: int = 0) -> dict[str, Any]:
    rng = torch.Generator().manual_seed(seed)
    return {name: torch.rand(value.shape, generator=rng) for name, value in NETWORK.items()}


KEYS = st.sampled_from(["state_dict", "model_state_dict", "model", "net", "weights", "a b", "0"])
PREFIXES = st.sampled_from(["module.", "_orig_mod.", "model.", "net.", "student.backbone."])
BESIDE: dict[str, Any] = {
    "epoch": 3, "optimizer": {"state": {0: {"step": torch.ones(()), "exp_avg": torch.ones(2)}}},
    "args": ["--lr", 1], "scheduler": {"last": None}, "loss": torch.ones(()),
}  # fmt: skip


@given(
    keys=st.lists(KEYS, max_size=3),
    prefixes=st.lists(PREFIXES, max_size=3),
    beside=st.sets(st.sampled_from(sorted(BESIDE))),
    in_the_middle=st.booleans(),
)
def test_any_nesting_and_prefix_is_unwrapped(
    keys: list[str], prefixes: list[str], beside: set[str], in_the_middle: bool
) -> None:
    weights, prefix = trained(), "".join(prefixes)
    inner = "cnn._orig_mod" if in_the_middle else "cnn"  # torch.compile of a part
    content: Any = {prefix + name.replace("cnn", inner): value for name, value in weights.items()}
    for key in reversed(keys):
        content = {**{name: BESIDE[name] for name in beside}, key: content}
    match, _ = choose(NETWORK, content)
    assert match.tensors.keys() == NETWORK.keys()
    assert all(match.tensors[name] is weights[name] for name in NETWORK)
    assert match.key == ".".join(keys)
    assert all(part in match.prefix for part in prefixes)


@given(dropped=st.sampled_from(["cnn.0.weight", "gru.weight_ih_l0"]), prefix=st.sampled_from(["", "module."]))
def test_a_missing_tensor_is_named_with_its_whole_name(dropped: str, prefix: str) -> None:
    content = {prefix + name: value for name, value in trained().items() if name != dropped}
    with pytest.raises(EdgeError, match=rf"1 missing: {dropped};"):
        choose(NETWORK, {"state_dict": content})


def test_only_the_first_five_names_are_told_each_of_them_whole() -> None:
    network = {f"layer{n}.a_rather_long_name.weight": torch.zeros(1) for n in range(9)}
    content = {f"other{n}.weight": torch.zeros(1) for n in range(7)}
    with pytest.raises(EdgeError) as refused:
        choose(network, content)
    told = str(refused.value)
    assert "9 missing: layer0.a_rather_long_name.weight, " in told
    assert "layer4.a_rather_long_name.weight and 4 more; 7 unexpected: other0.weight" in told
    assert "other4.weight and 2 more" in told
    assert "layer5" not in told


def test_another_shape_is_told_with_both() -> None:
    content = {**trained(), "gru.weight_ih_l0": torch.zeros(9, 4)}
    with pytest.raises(EdgeError, match=r"1 of another shape: gru\.weight_ih_l0 is 9x4, expected 6x4"):
        choose(NETWORK, content)


@pytest.mark.parametrize("name", ["ema", "model_ema", "ema_state_dict", "swa_model", "averaged"])
def test_plain_weights_are_taken_before_averaged_ones(name: str) -> None:
    plain, averaged = trained(0), trained(1)
    match, others = choose(NETWORK, {name: averaged, "model": plain})
    assert match.key == "model"
    assert [other.key for other in others] == [name]
    assert choose(NETWORK, {name: averaged, "model": plain}, name)[0].key == name
    assert choose(NETWORK, {name: averaged, "epoch": 1})[0].key == name, "there are no others"


def test_two_networks_in_one_dict_of_lightning() -> None:
    content = {f"model.{name}": value for name, value in trained(0).items()}
    content |= {f"ema_model.module.{name}": value for name, value in trained(1).items()}
    content["criterion.weight"] = torch.ones(7)
    match, others = choose(NETWORK, {"state_dict": content})
    assert (match.key, match.prefix) == ("state_dict", "model.")
    assert "criterion.weight" in match.beside
    assert [other.name for other in others] == ["state_dict.ema_model.module"]
    other, _ = choose(NETWORK, {"state_dict": content}, "state_dict.ema_model.module")
    assert other.prefix == "ema_model.module."


def test_weights_that_differ_must_be_chosen_and_equal_ones_need_not() -> None:
    content = {"best": trained(0), "last": trained(1)}
    with pytest.raises(EdgeError, match="'best', 'last'; name one with --weights-key"):
        choose(NETWORK, content)
    assert choose(NETWORK, content, "last")[0].tensors["cnn.0.weight"] is content["last"]["cnn.0.weight"]
    assert choose(NETWORK, {"best": trained(0), "last": trained(0)})[0].key == "best"
    with pytest.raises(EdgeError, match="no weights under --weights-key first; there are 'best', 'last'"):
        choose(NETWORK, content, "first")
    mixed = {**trained(0), "other": trained(1)}
    with pytest.raises(EdgeError, match=r"'\.', 'other'"):
        choose(NETWORK, mixed)
    assert choose(NETWORK, mixed, ".")[0].key == ""


@pytest.mark.parametrize("content", [{}, {"epoch": 3}, [1, 2], 5, None, {"model": {1: torch.ones(1)}}])
def test_a_file_without_tensors_says_what_it_holds(content: Any) -> None:
    with pytest.raises(EdgeError, match=r"^holds no tensors.*; save model.state_dict\(\)$"):
        choose(NETWORK, content)


def test_a_counter_of_batches_may_be_missing() -> None:
    content = {name: value for name, value in trained().items() if not name.endswith("tracked")}
    assert choose(NETWORK, content)[0].fits
