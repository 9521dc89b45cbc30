"""docker/slim_elf.py makes libraries smaller and nothing else: they work as before."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parents[2]
SCRIPT = ROOT / "docker" / "slim_elf.py"

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="ELF is Linux's format")

TRAIN = """
import sys, catboost, polars
assert catboost._catboost.__file__.startswith(sys.argv[1]), catboost._catboost.__file__
X = [[n % 7, n % 11] for n in range(500)]
y = ["odd" if (a + b) % 2 else "even" for a, b in X]
model = catboost.CatBoostClassifier(iterations=50, allow_writing_files=False, verbose=False).fit(X, y)
print([round(float(value), 12) for value in model.predict_proba(X[:20])[:, 0]])
try:
    catboost.CatBoostClassifier(iterations=2, task_type="GPU", allow_writing_files=False, verbose=False).fit(X, y)
except catboost.CatBoostError as error:
    print("without a card:", str(error)[-60:])
"""


@pytest.fixture(scope="module")
def slim_elf() -> ModuleType:
    spec = importlib.util.spec_from_file_location("slim_elf", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["slim_elf"] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


def library_of(package: str) -> Path:
    """Return the largest shared library of an installed package."""
    spec = importlib.util.find_spec(package)
    assert spec is not None
    assert spec.origin is not None
    return max(Path(spec.origin).parent.glob("*.so"), key=lambda path: path.stat().st_size)


def train(folder: Path) -> str:
    ended = subprocess.run(
        [sys.executable, "-c", TRAIN, str(folder)],
        env={"PYTHONPATH": str(folder)},
        capture_output=True,
        check=False,
        text=True,
    )
    assert ended.returncode == 0, ended.stderr
    return ended.stdout


def test_catboost_trains_the_same_model_without_gpu_code_and_symbols(slim_elf: ModuleType, tmp_path: Path) -> None:
    whole = library_of("catboost")
    package = tmp_path / "catboost"
    package.mkdir()
    for source in whole.parent.iterdir():
        if source.name != "__pycache__":
            (package / source.name).symlink_to(source)
    before = train(tmp_path)
    (package / whole.name).unlink()
    (package / whole.name).write_bytes(slim_elf.slimmed(whole.read_bytes()))
    assert train(tmp_path) == before
    assert (package / whole.name).stat().st_size < whole.stat().st_size / 4


def test_slimming_twice_changes_nothing_more(slim_elf: ModuleType) -> None:
    for package in ("catboost", "uvloop"):
        once = slim_elf.slimmed(library_of(package).read_bytes())
        assert slim_elf.slimmed(once) is once, package


def test_what_is_no_library_is_left_alone(slim_elf: ModuleType, tmp_path: Path) -> None:
    script = tmp_path / "not_one.so"
    script.write_text("INPUT(libc.so.6)\n")  # a linker's script
    (tmp_path / "link.so").symlink_to(script)
    subprocess.run([sys.executable, str(SCRIPT), str(tmp_path)], check=True, capture_output=True)
    assert script.read_text() == "INPUT(libc.so.6)\n"
    assert slim_elf.slimmed(b"") == b""
