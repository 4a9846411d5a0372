"""Recipes stay thin, say every key, and agree with each other."""

import re
from pathlib import Path

import pytest
import ruamel.yaml

from akd_toolkit.evaluate.report.results import check_readme
from akd_toolkit.experiment.config import load_config
from akd_toolkit.experiment.pretraining import load_pretraining

ROOT = Path(__file__).resolve().parents[2]
YAMLS = sorted((ROOT / "recipes").glob("*/hparams/*.yaml"))
SHARED = sorted(path.name for path in (ROOT / "hparams").glob("*.yaml") if path.name != "compress.yaml")  # no --with
RECIPES = sorted(path for path in (ROOT / "recipes").iterdir() if path.is_dir())
CORPORA = [path for path in RECIPES if path.name not in ("Generated", "Pool")]


def names(path):
    return str(path.relative_to(ROOT / "recipes"))


@pytest.mark.parametrize("path", YAMLS, ids=names)
def test_yaml_binds(path, monkeypatch):
    monkeypatch.chdir(path.parents[1])
    if path.parents[1].name == "Pool":
        load_pretraining([str(path), "--sources={x: x}", "--teacher={name: logmel_statistics}"])
    else:
        load_config([str(path), *(["--data_folder=x"] if path.parents[1].name != "Generated" else [])])


@pytest.mark.parametrize("name", SHARED)
def test_shared_settings_fit_a_recipe(name, monkeypatch):
    monkeypatch.chdir(ROOT / "recipes/EmoDB")
    source = ["--student.source=owner/name"] if name == "pretrained_cnn.yaml" else []  # its folder has to be made
    load_config(["hparams/akd.yaml", "--data_folder=x", f"--with=../../hparams/{name}", *source])


@pytest.mark.parametrize("path", YAMLS, ids=names)
def test_yaml_is_short_and_explains_itself(path):
    lines = path.read_text().splitlines()
    assert len(lines) <= 120 and lines[0].startswith("# ") and ("python" in lines[1] or "make" in lines[1])
    tree = ruamel.yaml.YAML().load(path.read_text())
    for key in tree:
        if key in ("debug", "corpus", "teachers", "student", "objective", "opt_class", "teacher"):
            continue
        line = next(line for line in lines if re.match(rf"{key}:", line))
        assert "#" in line, f"{path.name}: '{key}' has no comment that says what it may be"


@pytest.mark.parametrize("folder", RECIPES, ids=lambda path: path.name)
def test_recipe_is_complete_and_thin(folder):
    assert (folder / "train.py").is_file() and (folder / "README.md").is_file()
    train = (folder / "train.py").read_text()
    assert len(train.splitlines()) <= 60 and "class " not in train


@pytest.mark.parametrize("folder", CORPORA, ids=lambda path: path.name)
def test_recipes_of_one_corpus_share_data_protocol_and_optimisation(folder):
    trees = {path.name: ruamel.yaml.YAML().load(path.read_text()) for path in YAMLS if path.parents[1] == folder}
    assert {"akd.yaml", "student.yaml", "teacher.yaml"} <= set(trees)
    trees = {name: tree for name, tree in trees.items() if "based_on" not in tree}  # these say how they differ
    shared = (
        "label_order",
        "outer_folds",
        "window_s",
        "test_overlap_s",
        "views",
        "number_of_epochs",
        "batch_size",
    )
    for key in shared:
        values = {name: str(tree[key]) for name, tree in trees.items() if key in tree}
        assert len(set(values.values())) == 1, f"{key} differs: {values}"


def test_readme_tables_equal_results_csv():
    tables = sorted(path for folder in ("*", "*/earlier") for path in (ROOT / "recipes").glob(f"{folder}/results.csv"))
    assert tables
    for table in tables:
        check_readme(table.with_name("README.md"), table)
