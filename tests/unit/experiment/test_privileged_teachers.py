"""Teachers that see or read what the student does not: training, results and the exported file."""

from itertools import product

import numpy as np
import pytest
from corpora import write_corpus
from one_run import brain_of, make_run, toy_recipe, train_and_keep

from akd_toolkit.deploy.export import export_onnx
from akd_toolkit.experiment.config import load_config
from akd_toolkit.experiment.parts import build_parts
from akd_toolkit.experiment.protocol import NestedCrossValidation
from akd_toolkit.inference.engine import open_session
from akd_toolkit.models.storage import load_student

LABELS = ("anger", "sadness")
YAML = """
    teachers:
        face: {name: feature_table, source: FOLDER/faces.csv}
        bands: {name: logmel_statistics, num_mels: 8}
    objective:
        task: {name: cross_entropy}
        distill: [{name: integrated_soft_targets}, {name: cosine_embedding, weight: 0.1}]
        weighting: {name: adapter}
        gate: {name: teacher_agreement}
    views: 1
    batch_size: 8
"""
MISSING = ("A0", "C1", "D2")


@pytest.fixture
def manifest(tmp_path):
    """Eight tones of each speaker, and a table in which three of the 32 are missing."""
    speech, lines, random = [], ["id,smile"], np.random.default_rng(0)
    for speaker, index in product("ABCD", range(8)):
        name = f"{speaker}{index}"
        speech.append((name, speaker, LABELS[index % 2], 0.1 * random.standard_normal(4800)))
        lines += [] if name in MISSING else [f"{name},{index % 2 + 0.1 * random.standard_normal()}"]
    (tmp_path / "faces.csv").write_text("\n".join(lines))
    return write_corpus(tmp_path, speech)


@pytest.fixture
def config(tmp_path):
    path = toy_recipe(tmp_path, YAML)
    return lambda *options: load_config([path, *options])


def test_batches_carry_the_mask_and_training_ends_with_a_file_that_needs_the_sound_alone(config, manifest, tmp_path):
    run = make_run(config(), manifest, "ABC", "D")
    parts = build_parts(run)
    for batch in parts.data.train_loader():
        given = batch.teacher.is_present()
        assert given[1].all() and given[0].tolist() == [name not in MISSING for name in batch.ids]
        result = brain_of(run, parts).objective(
            parts.student(batch.waveforms, batch.lengths), batch.teacher, batch.labels
        )
        assert result.total.isfinite() and not result.weights[~given].any()
    _, brain = train_and_keep(run)
    assert all(np.isfinite(value) for row in brain.history for value in row.values())
    assert len(run.record.heads["face"]) == 4 and any("face" in line for line in run.record.not_proved)
    kept, _ = load_student(run.folder)
    export_onnx(kept, tmp_path / "student.onnx", LABELS)
    assert [value.name for value in open_session(tmp_path / "student.onnx").get_inputs()] == ["waveform"]
    # The table may be gone: neither the stored student nor its file refers to it.
    assert b"faces" not in (tmp_path / "student.onnx").read_bytes()


def test_a_teacher_is_scored_where_it_has_an_output(config, manifest, tmp_path):
    manifest.write(tmp_path / "out" / "manifest.csv")
    scores = NestedCrossValidation(config(), manifest).teacher_scores()
    assert set(scores["bands"]["ID"]) == set(manifest.ids)
    assert set(scores["face"]["ID"]) == set(manifest.ids) - set(MISSING)
    assert (scores["face"]["truth"] == scores["face"]["prediction"]).mean() > 0.9
