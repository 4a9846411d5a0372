"""Imports between subpackages go one way."""

import ast
import configparser
import sys
from pathlib import Path

from packaging.requirements import Requirement

import akd_toolkit
from akd_toolkit.mistakes import TRAIN

PACKAGE = Path(akd_toolkit.__file__).parent
# A subpackage may import itself and what comes before it in this order, except for the pairs in APART.
ORDER = [
    {"outputs", "registry", "declared", "metrics", "solvers", "parallel", "mistakes", "environment", "progress"},
    {"data"},
    {"distill", "models", "teachers"},
    {"training"},
    {"experiment"},
    {"inference", "audit"},
    {"evaluate"},
    {"deploy", "recipe"},
    {"cli"},
]
APART = [("distill", "models"), ("distill", "teachers"), ("models", "teachers")]
INFERENCE = ("command", "predict", "listen", "demo")  # commands without the extra train
HEAVY = {  # imported where they are used
    *("onnx", "onnxruntime", "tensorrt", "openvino", "opensmile", "ray", "sounddevice", "huggingface_hub", "pynvml"),
    *("av", "facenet_pytorch", "torchvision", "h5py"),
}


def imports(path: Path, top_level_only=False):
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for node in tree.body if top_level_only else ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            if node.module == "akd_toolkit":
                yield from (f"akd_toolkit.{alias.name}" for alias in node.names)


def subpackage(module: str) -> str:
    parts = module.split(".")
    return parts[1] if len(parts) > 1 else ""


def files():
    found = sorted(PACKAGE.rglob("*.py"))
    assert len(found) > 40, f"found only {len(found)} files"
    return found


def test_every_subpackage_imports_only_what_comes_before_it():
    height = {name: level for level, names in enumerate(ORDER) for name in names}
    wrong = []
    for path in files():
        own = path.relative_to(PACKAGE).parts[0].removesuffix(".py")
        if own == "__init__":
            continue
        assert own in height, f"{own} is not in ORDER; add it"
        for module in imports(path):
            other = subpackage(module) if module.startswith("akd_toolkit.") else ""
            if other not in ("", own) and other in height and height[other] >= height[own]:
                wrong.append(f"{path.relative_to(PACKAGE)} imports {module}")
    assert not wrong, wrong


def test_separate_subpackages_do_not_import_each_other():
    for own, other in APART:
        for path in (PACKAGE / own).rglob("*.py"):
            assert f"akd_toolkit.{other}" not in " ".join(imports(path)), f"{path} imports {other}"


def test_heavy_optional_packages_are_imported_inside_functions():
    for path in files():
        top = {name.split(".")[0] for name in imports(path, top_level_only=True)}
        assert not top & HEAVY, f"{path} imports {top & HEAVY} at the top"


def required(text: str) -> set[str]:
    """Modules of the packages in a part of setup.cfg."""
    lines = [line for line in text.splitlines() if line.strip() and not line.strip().startswith("#")]
    other = {"scikit-learn": "sklearn", "ruamel.yaml": "ruamel", "markdown-it-py": "markdown_it"}
    return {other.get(name, name) for name in (Requirement(line).name for line in lines)}


def file_of(module: str) -> Path | None:
    path = PACKAGE.parent / module.replace(".", "/")
    return next((file for file in (path.with_suffix(".py"), path / "__init__.py") if file.is_file()), None)


def test_running_a_student_imports_no_package_of_the_extra_train():
    settings = configparser.ConfigParser()
    settings.read(PACKAGE.parent / "setup.cfg")
    base = required(settings["options"]["install_requires"])
    assert required(settings["options.extras_require"]["train"]) == TRAIN and len(base) >= 10
    left, seen, others = [f"akd_toolkit.cli.{name}" for name in INFERENCE], set(), set()
    while left:
        module = left.pop()
        if (path := file_of(module)) is None or module in seen:
            continue
        seen.add(module)
        # What a command imports when it is called, and what other modules import when they are imported.
        found = set(imports(path, top_level_only=not module.startswith("akd_toolkit.cli")))
        others |= {name.split(".")[0] for name in found} - {"akd_toolkit"}
        left += [*(name for name in found if name.startswith("akd_toolkit")), module.rpartition(".")[0]]
    assert {"akd_toolkit.inference.streaming", "akd_toolkit.data.sounds"} <= seen
    assert not [name for name in seen if name.startswith(("akd_toolkit.models", "akd_toolkit.training"))]
    unknown = {name for name in others - set(sys.stdlib_module_names) if name not in base | {"akd_toolkit"}}
    assert unknown <= {"torch", "sounddevice"}, unknown  # inside functions: PyTorch's threads, a list of microphones
