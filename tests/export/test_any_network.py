"""Networks of every kind that public work uses: each part of them alone, and a few random mixtures."""

from dataclasses import replace
from pathlib import Path

import pytest

pytestmark = pytest.mark.export
pytest.importorskip("onnx")
pytest.importorskip("torch")

import importlib.util  # noqa: E402

import kinds  # noqa: E402
import networks  # noqa: E402

_SPEC = importlib.util.spec_from_file_location(
    "proof_of_networks", Path(__file__).parents[1] / "any_network.py"
)
assert _SPEC is not None
assert _SPEC.loader is not None
proof_of_networks = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(proof_of_networks)

PLAIN = networks.Recipe()
ALONE = [
    *(replace(PLAIN, encoder=name) for name in networks.ENCODERS),
    *(replace(PLAIN, between=name) for name in networks.BETWEEN),
    *(replace(PLAIN, recurrent=name) for name in networks.RECURRENT),
    *(replace(PLAIN, head=name) for name in networks.HEADS),
    *(replace(PLAIN, output=name) for name in (*networks.OUTPUTS, "tanh")),
    *(replace(PLAIN, axes=axes) for axes in ("TBCHW", "BCTHW")),
    *(replace(PLAIN, batch=batch) for batch in ("one", "two")),
]
# The page below holds every part with the older exporter; the newer one takes seconds for each.
NEWER = [
    replace(recipe, exporter="dynamo")
    for recipe in ALONE
    if recipe.recurrent != PLAIN.recurrent
    or recipe.encoder in ("vit", "padded")
    or recipe.head in ("attention", "every", "view")
]


def _named(recipe: networks.Recipe) -> str:
    return "-".join(str(v) for k, v in vars(recipe).items() if v != getattr(PLAIN, k)) or "plain"


@pytest.mark.parametrize("recipe", NEWER, ids=_named)
def test_a_part_streams_or_is_refused_by_its_name(recipe: networks.Recipe, tmp_path: Path) -> None:
    verdict, told = proof_of_networks.judged(recipe, tmp_path)
    assert verdict in ("equal", "refused"), told


@pytest.mark.parametrize("seed", range(12))
def test_a_random_mixture_streams_or_is_refused(seed: int, tmp_path: Path) -> None:
    verdict, told = proof_of_networks.judged(networks.random_recipe(seed), tmp_path)
    assert not verdict.isupper(), (networks.random_recipe(seed), told)


@pytest.mark.parametrize(("field", "name"), [(f, n) for f, names in kinds.KINDS.items() for n in names])
def test_the_page_says_what_happens(field: str, name: str, tmp_path: Path) -> None:
    row = kinds.row(field, name, proof_of_networks.judged, tmp_path)
    assert row in kinds.PAGE.read_text("utf-8").splitlines(), "python tests/helpers/kinds.py"


def test_no_kind_is_left_out_of_the_page() -> None:
    told = {(field, name) for field, names in kinds.KINDS.items() for name in names}
    plain = {("between", "none"), ("axes", "BTCHW"), ("batch", "free")}
    assert told | plain >= {
        (field, name) for recipe in ALONE for field, name in vars(recipe).items() if field in kinds.KINDS
    }
