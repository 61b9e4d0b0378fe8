"""The layers of each package: a file imports only files of lower layers, and no file imports in a circle."""

from __future__ import annotations

from graphlib import CycleError, TopologicalSorter

import pytest

grimp = pytest.importorskip("grimp")

# Lowest first. A layer is a set of siblings, files or folders of the package; siblings of one layer do not
# import one another. Every file of a package stands in one of them.
LAYERS: dict[str, list[set[str]]] = {
    "edge": [
        {"version"},
        {"errors"},
        {"data"},
        {"events"},
        {"system"},
        {"config"},
        {"config_file"},
        {"manifest"},
        {"protocols", "parts", "answers"},
        {"bundle", "preprocess"},
        {"capture", "faces", "engines"},
        {"recognition"},
        {"aiming", "health"},
        {"pipeline"},
        {"sinks"},
        {"session"},
        {"job", "library"},
        {"service"},
        {"report"},
        {"deploy"},
        {"doctor"},
        {"cli"},
    ],
    "calibration": [
        {"arrays"},
        {"degrade", "calibration_set", "ranges", "speech", "textures"},
        {"sequences", "negatives", "scenes"},
        {"films", "morphs", "cuts", "crowds", "empties"},
        {"frozen_sets"},
        {"collect"},
    ],
    "export": [
        {"blame"},
        {"data", "graph", "weights"},
        {"look", "plain"},
        {"load", "saved_network"},
        {"metrics", "parity"},
        {"bundle"},
        {"pytorch", "int8"},
        {"report"},
        {"card"},
        {"train"},
        {"commands"},
    ],
    "benchmarks": [
        {"machine", "scenes"},
        {"core"},
        {"baselines", "pages"},
        {"commands", "studies"},
        {"runner"},
        {"fps"},
    ],
}
TOP = ("program", "__main__")  # of each package, above all layers
PACKAGES = ("edge", "export", "calibration", "benchmarks")


@pytest.fixture(scope="module")
def imports() -> dict[str, set[str]]:
    """Module -> what it imports, at its top or within a function."""
    graph = grimp.build_graph(*PACKAGES, cache_dir=None)
    return {module: graph.find_modules_directly_imported_by(module) for module in graph.modules}


def test_no_file_imports_in_a_circle(imports: dict[str, set[str]]) -> None:
    # A package's own __init__ names what it offers; that is no import of its rooms by the package.
    files = {module: targets for module, targets in imports.items() if module != "edge"}
    try:
        TopologicalSorter(files).prepare()
    except CycleError as error:
        pytest.fail(" <- ".join(error.args[1]))


@pytest.mark.parametrize("package", LAYERS)
def test_files_import_only_lower_layers(imports: dict[str, set[str]], package: str) -> None:
    height = {name: level for level, names in enumerate(LAYERS[package]) for name in names}
    height |= {name: len(LAYERS[package]) + level for level, name in enumerate(TOP)}

    def room(module: str) -> str:
        return module.split(".")[1]

    inside = {
        module: [target for target in targets if target.startswith(f"{package}.")]
        for module, targets in imports.items()
        if module.startswith(f"{package}.")
    }
    unknown = {room(module) for module in inside} - set(height)
    assert not unknown, f"in no layer: {unknown}"
    upwards = [
        f"{module} imports {target}"
        for module, targets in inside.items()
        for target in targets
        if room(module) != room(target) and height[room(module)] <= height[room(target)]
    ]
    assert not upwards, "\n".join(sorted(upwards))
