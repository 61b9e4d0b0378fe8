"""A copy of ONNX Runtime that takes this x86 processor for one with AVX2 and nothing newer.

    python tests/helpers/avx2_onnxruntime.py FOLDER
    PYTHONPATH=FOLDER emotion-export frontier ...

It picks its kernels by what XGETBV says the system keeps of the registers. In the copy each XGETBV becomes
"push 7; pop rax", which is as long: x87, SSE and AVX are kept, AVX-512 and AMX are not. Unlike an emulator
this one has the time of a real processor. AVX-VNNI, which needs no such registers, stays: then the copy is
refused.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

_XGETBV, _PUSH_7_POP_RAX = b"\x0f\x01\xd0", b"\x6a\x07\x58"
_PLACES = re.compile(r"^ *([0-9a-f]+):\t0f 01 d0 +\txgetbv", re.MULTILINE)


def copy_to(folder: Path) -> int:
    """Write the package ``onnxruntime`` into ``folder``; how many instructions were exchanged."""
    spec = find_spec("onnxruntime")
    assert spec, "ONNX Runtime is not installed"
    assert spec.origin
    copy = folder / "onnxruntime"
    shutil.copytree(Path(spec.origin).parent, copy, dirs_exist_ok=True)
    [library] = (copy / "capi").glob("onnxruntime_pybind11_state*.so")
    content = bytearray(library.read_bytes())
    listing = subprocess.run(["objdump", "-d", library], capture_output=True, text=True, check=True).stdout
    places = [int(at, 16) for at in _PLACES.findall(listing)]
    for at in places:
        # An address of its code is a place in the file, too; were it not so, other bytes would stand there.
        assert content[at : at + 3] == _XGETBV, f"{library} has other bytes at {at:#x}; it is laid out anew"
        content[at : at + 3] = _PUSH_7_POP_RAX
    library.write_bytes(content)
    return len(places)


if __name__ == "__main__":
    if "avx_vnni" in Path("/proc/cpuinfo").read_text().split():
        raise SystemExit("this processor has AVX-VNNI, which needs no such registers: its kernels would stay")
    print(f"{copy_to(Path(sys.argv[1]))} instructions exchanged")
