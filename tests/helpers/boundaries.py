"""Where the product takes something in: each call that opens, parses, loads, runs or connects, file by file.

``make docs`` writes the table into docs/security.md. Who adds such a call adds what stands before it here.
"""

from __future__ import annotations

import ast
from collections import Counter
from fnmatch import fnmatchcase
from pathlib import Path

ROOT = Path(__file__).parents[2]
PACKAGES = ("edge", "calibration", "export", "benchmarks")
# By the last part of its name, whatever it is called on; or by all of it.
LAST = {
    *("open", "read_text", "read_bytes", "fromfile", "memmap", "eval", "exec", "import_module"),
    *("open_checked", "read_checked", "hash_checked", "open_own", "read_own", "read_waited", "open_regular"),
    *("open_after", "model_bytes", "read_picture", "recv", "received"),
    *("imread", "imdecode", "VideoCapture", "CascadeClassifier", "InferenceSession", "CDLL", "Popen"),
    *("urlopen", "create_connection", "create_server", "load_file", "ThreadingHTTPServer"),
}
WHOLE = {
    *("json.loads", "json.load", "strict_json.loads", "bounded_toml.loads", "tomllib.loads"),
    *("np.load", "arrays.load", "torch.load", "onnx.load", "onnx.load_external_data_for_model"),
    *("torch.jit.load", "torch.export.load", "ImageFont.truetype"),
    *("socket.socket", "subprocess.run", "subprocess.check_output", "os.execv", "os.system", "trt.Runtime"),
}
TELLING = {"av.open", "os.open", "subprocess.Popen", "ctypes.CDLL", "cv2.imdecode", "cv2.imread"}  # in full
SOURCE = ROOT / "tests" / "helpers" / "boundaries.txt"


def found() -> dict[str, Counter[str]]:
    """File, relative to the root -> its calls."""
    files = [path for package in PACKAGES for path in sorted((ROOT / package).rglob("*.py"))]
    return {str(path.relative_to(ROOT)): calls for path in files if (calls := _calls(path))}


def _calls(path: Path) -> Counter[str]:
    tree = ast.parse(path.read_text("utf-8"))
    names = [ast.unparse(node.func) for node in ast.walk(tree) if isinstance(node, ast.Call)]
    return Counter(shown for name in names if (shown := _shown(name)))


def _shown(name: str) -> str:
    last = name.rpartition(".")[2]
    if last in ("eval", "exec") and name != last:  # of a network, into its mode for inference
        return ""
    if name in WHOLE or name in TELLING:
        return name
    return last if last in LAST else ""


def entries() -> list[tuple[str, str]]:
    """Files, as a pattern, and what stands before their calls; the first that fits a file serves."""
    lines = SOURCE.read_text("utf-8").splitlines()
    rows = [line.split(": ", 1) for line in lines if line and not line.startswith("#")]
    return [(pattern, said) for pattern, said in rows]


def table() -> str:
    """The rows as Markdown; ``?`` where nobody has said yet what stands before the calls of a file."""
    rows: dict[tuple[str, str], Counter[str]] = {entry: Counter() for entry in entries()}
    for file, calls in found().items():
        entry = next((entry for entry in rows if fnmatchcase(file, entry[0])), (file, "?"))
        rows.setdefault(entry, Counter()).update(calls)
    texts = [
        f"| `{pattern}` | {', '.join(_times(*call) for call in sorted(calls.items()))} | {said} |"
        for (pattern, said), calls in rows.items()
    ]
    return "\n".join(["| File | Calls | What stands before them |", "|---|---|---|", *texts])


def _times(call: str, count: int) -> str:
    return f"{call} ×{count}" if count > 1 else call


if __name__ == "__main__":
    print(table())
