"""What a file of PyTorch holds, read without running anything that stands in it."""

from __future__ import annotations

import pickle  # nosec B403
import re
import warnings
import zipfile
from collections import OrderedDict
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from torch.serialization import get_unsafe_globals_in_checkpoint, safe_globals

from edge.errors import EdgeError, reason

Kind = Literal["safetensors", "torchscript", "exported", "pickle"]
_CLASS = "_class_in_the_file"  # attribute of the OrderedDict that stands for an object of an unknown class


@dataclass(frozen=True)
class Content:
    """What torch.load gave, and the classes of which no object was made."""

    value: Any
    left_out: tuple[str, ...] = ()


def kind(path: Path) -> Kind:
    """What ``path`` is, by its content; a file that is no archive counts as a pickle."""
    if path.suffix == ".safetensors":
        return "safetensors"
    try:
        with zipfile.ZipFile(path) as archive:
            names = [name.partition("/")[2] or name for name in archive.namelist()]
    except (OSError, zipfile.BadZipFile):
        return "pickle"
    if "constants.pkl" in names:
        return "torchscript"
    exported = {"archive_format", "models/model.json", "serialized_exported_program.json"}
    return "exported" if exported & set(names) else "pickle"


def read(path: Path) -> Content:
    """Everything in a .safetensors file or in one of torch.save; EdgeError names what stands in the way.

    Objects of classes that are no plain data (argparse.Namespace) become mappings: none of their code runs.
    """
    if kind(path) == "safetensors":
        return Content(_safetensors(path))
    known = _numbers()
    unknown = [name for name in _unknown_classes(path) if name not in {place for _, place in known}]
    stand_ins = [*known, *((_stand_in(name), name) for name in unknown)]
    try:
        # A warning of PyTorch about old formats helps nobody here.
        with warnings.catch_warnings(), safe_globals(stand_ins):  # type: ignore[arg-type]
            warnings.simplefilter("ignore")
            return Content(torch.load(path, weights_only=True, map_location="cpu"), tuple(sorted(unknown)))
    except pickle.UnpicklingError as error:
        found = re.search(r"GLOBAL (\S+)", str(error))
        what = found[1] if found else ", ".join(sorted(unknown)) or "what is no plain data"
        raise EdgeError(
            f"{path} holds {what}, which may run any code when it is read: refused; save the weights alone "
            "with torch.save(model.state_dict(), ...) or as safetensors"
        ) from error
    except Exception as error:  # a damaged archive raises anything
        raise EdgeError(
            f"{path} cannot be read ({reason(error)[:200]}); save model.state_dict() again"
        ) from error


def class_of(value: Any) -> str:
    """Name of the class in the file of an object that was not made, or of ``value`` itself."""
    return str(getattr(value, _CLASS, type(value).__name__))


def is_module(value: Any) -> bool:
    """Whether ``value`` stands for a pickled torch.nn.Module."""
    return hasattr(value, _CLASS) and "_modules" in vars(value)


def _unknown_classes(path: Path) -> list[str]:
    try:
        return list(get_unsafe_globals_in_checkpoint(str(path)))
    except Exception:  # the format before PyTorch 1.6 cannot be listed; a damaged file fails when it is read
        return []


def _numbers() -> list[tuple[Any, str]]:
    """numpy's scalars and arrays: data only; what they are made of, under its old and new names."""
    made: list[tuple[Any, str]] = [(np.dtype, "numpy.dtype"), (np.ndarray, "numpy.ndarray")]
    functions: list[Any] = [np.float64(0).__reduce__()[0], np.ones(1).__reduce__()[0]]
    for function in functions:
        made += [(function, f"numpy.{core}.multiarray.{function.__name__}") for core in ("core", "_core")]
    kinds = {type(np.dtype(code)) for code in np.typecodes["All"]}
    return made + [(kind_of, f"numpy.dtypes.{kind_of.__name__}") for kind_of in kinds]


def _stand_in(name: str) -> type:
    """A class whose objects are OrderedDicts, because PyTorch's reader fills nothing else."""

    def new(*_: Any, **__: Any) -> OrderedDict[Any, Any]:
        made: OrderedDict[Any, Any] = OrderedDict()
        setattr(made, _CLASS, name)
        return made

    return type("StandIn", (), {"__new__": new})


def _safetensors(path: Path) -> dict[str, torch.Tensor]:
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        return load_file(path)
    except (SafetensorError, ValueError, OSError) as error:
        raise EdgeError(f"{path} is no valid safetensors file ({reason(error)}); save it again") from error
