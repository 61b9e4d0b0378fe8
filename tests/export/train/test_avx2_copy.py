"""Times of an old x86 come from a copy of ONNX Runtime that sees no newer registers."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("onnx")

HELPERS = Path(__file__).parents[2] / "helpers"
FLAGS = set(Path("/proc/cpuinfo").read_text().split()) if Path("/proc/cpuinfo").exists() else set()


@pytest.mark.slow
@pytest.mark.skipif(
    "avx512_vnni" not in FLAGS or "avx_vnni" in FLAGS, reason="no x86 with VNNI in AVX-512 alone"
)
@pytest.mark.skipif(shutil.which("objdump") is None, reason="no objdump: apt install binutils")
def test_the_copy_saturates_and_the_original_does_not(tmp_path) -> None:
    subprocess.run([sys.executable, HELPERS / "avx2_onnxruntime.py", tmp_path], check=True, timeout=300)

    def saturates(path: Path | str) -> str:
        environment = {**os.environ, "PYTHONPATH": str(path)}
        probe = [sys.executable, "-c", "import old_x86; print(old_x86.saturates())"]
        return subprocess.run(
            probe, env=environment, cwd=HELPERS, capture_output=True, text=True, check=True, timeout=300
        ).stdout.strip()

    assert (saturates(""), saturates(tmp_path)) == ("False", "True")
