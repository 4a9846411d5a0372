"""Exported files: content, results, errors, and that no broken file is left behind."""

import numpy as np
import onnx
import pytest
import torch

from akd_toolkit.deploy.export import export_onnx, read_metadata
from akd_toolkit.inference.engine import open_engine
from tests.unit.deploy.export.conftest import LABELS, Level


def test_the_file_computes_what_is_computed_by_hand_and_describes_itself(level_file):
    engine, shares = open_engine(level_file), np.exp([2.0, 0.0, -2.0])
    assert engine.label_order == LABELS
    np.testing.assert_allclose(engine(np.full((1, 8000), 0.5)), [shares / shares.sum()], atol=1e-6)
    metadata = read_metadata(level_file)
    assert metadata["label_order"] == list(LABELS)
    assert (metadata["sample_rate_hz"], metadata["window_s"], metadata["opset"]) == (16000, 1.0, 18)
    assert metadata["student"] == "Level" and metadata["num_parameters"] == "3"
    assert metadata["torch"] == torch.__version__ and metadata["akd_toolkit"]
    graph = onnx.load(level_file).graph
    dims = {
        value.name: [dim.dim_param or dim.dim_value for dim in value.type.tensor_type.shape.dim]
        for value in (*graph.input, *graph.output)
    }
    assert dims == {"waveform": ["batch", "samples"], "lengths": ["batch_or_1"], "probabilities": ["batch", 3]}


def test_the_student_stays_in_training_mode_is_exported_in_evaluation_and_names_may_be_any(tmp_path):
    student, path, waveform = Level().train(), tmp_path / "student.onnx", np.full((1, 2000), 0.3)
    labels = ["Ärger", "Angst", "平静"]
    export_onnx(student, path, labels)
    assert student.training and student.dropout.training
    assert (open_engine(path)(waveform) == open_engine(path)(waveform)).all()
    assert read_metadata(path)["label_order"] == labels


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_a_failed_export_leaves_the_earlier_file_and_nothing_else(error, tmp_path, monkeypatch):
    path = tmp_path / "student.onnx"
    path.write_bytes(b"earlier")

    def fail(*args, **options):
        raise error

    monkeypatch.setattr("akd_toolkit.deploy.export.onnx.check_parity", fail)
    with pytest.raises(error):
        export_onnx(Level(), path, LABELS)
    assert path.read_bytes() == b"earlier" and [each.name for each in tmp_path.iterdir()] == ["student.onnx"]


@pytest.mark.parametrize("labels", [LABELS[:2], "abc", ["anger", "anger", "fear"]])
def test_labels_that_do_not_fit_are_refused_before_anything_is_written(labels, tmp_path):
    with pytest.raises(ValueError, match="label_order"):
        export_onnx(Level(), tmp_path / "student.onnx", labels)
    assert list(tmp_path.iterdir()) == []
