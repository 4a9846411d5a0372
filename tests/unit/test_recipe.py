"""Recipes: preparation of the corpus, and one run of a protocol alone."""

import logging
from pathlib import Path
from types import SimpleNamespace

import pandas as pd
import pytest

from akd_toolkit.data.manifest import Manifest, Utterance
from akd_toolkit.experiment.paths import RunPaths
from akd_toolkit.recipe import prepare_corpus, run_experiment, run_one


@pytest.fixture
def protocol(tmp_path):
    """Two runs, the first of which is done."""

    def run(name, done):
        scores = pd.DataFrame({"truth": ["a", "a", "b"], "prediction": ["a", "b", "b"]})
        paths = RunPaths(tmp_path / name)
        return SimpleNamespace(name=name, done=done, paths=paths, folder=paths.folder, scores=lambda: scores)

    runs = [run("seed1/fold1/outer", True), run("seed1/fold2/outer", False)]
    return SimpleNamespace(config={"threads": 1}, all_runs=lambda: runs)


def test_one_run_is_trained_if_it_is_not_done_and_its_scores_are_logged(protocol, caplog):
    caplog.set_level(logging.INFO)
    trained = []
    for name in ("seed1/fold1/outer", "seed1/fold2/outer"):
        run_one(protocol, name, lambda run: trained.append(run.name))
    assert trained == ["seed1/fold2/outer"]
    assert "WA 66.7, UA 75.0 over 3 utterances" in caplog.text


def test_a_run_that_is_not_planned_is_refused(protocol):
    with pytest.raises(ValueError, match="only_run: .*seed1/fold9/outer.*seed1/fold2/outer"):
        run_one(protocol, "seed1/fold9/outer", None)


def test_a_changed_corpus_leaves_the_manifest_of_an_existing_experiment_unchanged(tmp_path):
    def prepare(data_folder, folder, label_order):
        rows = [Utterance(f"a{i}", "/a", 0, 1600, 0.1, "A", "joy", sha256=f"{i}") for i in range(data_folder)]
        manifest = Manifest("toy", label_order, tuple(rows))
        manifest.write(Path(folder) / "manifest.csv")
        return manifest

    config = {"output_folder": str(tmp_path), "label_order": ["joy"], "prepare": {}}
    manifest = prepare_corpus(config, prepare, 2)
    settings = f"{{corpus: toy, outer_folds: [[A]], label_order: [joy], manifest_hash: {manifest.hash}}}"
    (tmp_path / "settings.yaml").write_text(settings)
    with pytest.raises(ValueError, match="another preparation.*--output_folder"):
        prepare_corpus(config, prepare, 3)
    assert Manifest.read(tmp_path / "manifest.csv").hash == manifest.hash
    assert prepare_corpus(config, prepare, 2).hash == manifest.hash


@pytest.mark.parametrize("key", ["output_folder", "store_folder", "results_file"])
@pytest.mark.parametrize("below", ["results", "results/deep"])
def test_a_path_that_cannot_be_written_is_refused_before_anything_is_prepared(tmp_path, key, below):
    a_file = tmp_path / "file"
    a_file.touch()
    good = {name: str(tmp_path / "new" / name) for name in ("output_folder", "store_folder", "results_file")}
    with pytest.raises(ValueError, match=f"{key}: .*file"):
        run_experiment(good | {key: str(a_file / below)}, prepare=None, train=None)
    assert list(tmp_path.iterdir()) == [a_file]
