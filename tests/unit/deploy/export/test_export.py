"""Exported files: what they carry, what they answer, what is refused, and that no broken file is left behind."""

import copy
import json
import logging

import numpy as np
import pytest
import torch

from akd_toolkit.deploy.export import ParityReport, check_parity, export_onnx, read_metadata
from akd_toolkit.deploy.export.parity import check_batches, module_probabilities, probe_waveforms, speech_batches
from akd_toolkit.inference.engine import open_engine
from akd_toolkit.inference.padding import without_lengths
from akd_toolkit.inference.session import open_session
from akd_toolkit.models.base import Student
from akd_toolkit.outputs import ModelOutput

onnx = pytest.importorskip("onnx")
LABELS = ("anger", "fear", "neutral")


class Level(Student):
    """Louder is angrier: a student small enough to export in seconds and to compute by hand."""

    def __init__(self, num_classes: int = 3):
        super().__init__(num_classes)
        self.weight = torch.nn.Parameter(torch.tensor([4.0, 0.0, -4.0][:num_classes]))
        self.dropout = torch.nn.Dropout(0.5)

    def forward(self, waveform, lengths=None):
        level = waveform.abs().mean(dim=1, keepdim=True)
        if lengths is not None:  # in the padding is silence
            level = level / lengths[:, None]
        return ModelOutput(self.dropout(level * self.weight), embedding=level)


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    path = tmp_path_factory.mktemp("export") / "level.onnx"
    report = export_onnx(Level(), path, LABELS, sample_rate_hz=16000, window_s=1.0)
    return path, report


def shape(value):
    return [dim.dim_param or dim.dim_value for dim in value.type.tensor_type.shape.dim]


def softmax(logits):
    shares = np.exp(np.asarray(logits, dtype=np.float64))
    return shares / shares.sum()


def test_the_file_answers_as_computed_by_hand(exported):
    engine = open_engine(exported[0])
    assert engine.label_order == tuple(LABELS)
    probabilities = engine(np.full((1, 8000), 0.5))  # logits 4 / 2, 0, -4 / 2
    np.testing.assert_allclose(probabilities, [softmax([2.0, 0.0, -2.0])], atol=1e-6)


def test_a_long_waveform_is_cut_into_windows_whose_probabilities_are_averaged(exported):
    waveform = np.concatenate([np.full(16000, 1.0), np.full(8000, 0.0)])  # windows of 1 s: 0-1 s and 0.5-1.5 s
    expected = (softmax([4.0, 0.0, -4.0]) + softmax([2.0, 0.0, -2.0])) / 2
    np.testing.assert_allclose(open_engine(exported[0]).posterior(waveform), expected, atol=1e-6)


def test_the_metadata_tells_labels_rate_window_and_versions(exported):
    metadata = read_metadata(exported[0])
    assert metadata["label_order"] == list(LABELS)
    assert (metadata["sample_rate_hz"], metadata["window_s"], metadata["opset"]) == (16000, 1.0, 18)
    assert metadata["student"] == "Level" and metadata["num_parameters"] == "3"
    assert metadata["torch"] == torch.__version__ and metadata["akd_toolkit"]


def test_the_graph_has_batch_and_length_open_and_one_input_that_must_be_given(exported):
    graph = onnx.load(exported[0]).graph
    dims = {value.name: shape(value) for value in (*graph.input, *graph.output)}
    assert dims == {"waveform": ["batch", "samples"], "lengths": ["batch_or_1"], "probabilities": ["batch", 3]}
    assert [value.name for value in open_session(exported[0]).get_inputs()] == ["waveform"]


def test_the_file_tells_nothing_of_the_machine_it_was_written_on(exported):
    stored = exported[0].read_bytes()
    assert b"stack_trace" not in stored and b".py" not in stored


def test_the_report_counts_what_was_compared(exported):
    report = exported[1]
    assert isinstance(report, ParityReport)
    assert report.num_waveforms == 12 and report.largest_difference < 1e-6 and report.changed_decisions == 0.0


def test_the_student_is_left_in_training_mode_and_exported_in_evaluation(tmp_path):
    student = Level().train()
    export_onnx(student, tmp_path / "student.onnx", LABELS)
    assert student.training and student.dropout.training
    path = tmp_path / "student.onnx"
    engine, waveform = open_engine(path), np.full((1, 2000), 0.3)
    assert (engine(waveform) == engine(waveform)).all()


def test_a_file_of_another_module_is_refused_with_the_difference(exported):
    other = Level()
    with torch.no_grad():
        other.weight.mul_(2.0)
    with pytest.raises(ValueError, match=r"level\.onnx and the module differ by .* more than 1e-04"):
        check_parity(exported[0], other)


def test_a_module_that_answers_nan_is_refused(exported):
    broken = Level()
    with torch.no_grad():
        broken.weight.fill_(float("nan"))
    with pytest.raises(ValueError, match="differ by nan"):
        check_parity(exported[0], broken)


def test_changed_decisions_are_counted_within_a_wide_tolerance(exported):
    upside_down = Level()
    with torch.no_grad():
        upside_down.weight.neg_()
    report = check_parity(exported[0], upside_down, waveforms=[np.full((4, 1600), 0.1)], tolerance=1.0)
    assert report.changed_decisions == 1.0 and report.num_waveforms == 4


def test_a_failed_parity_check_leaves_the_earlier_file_and_nothing_else(exported, tmp_path, monkeypatch):
    path = tmp_path / "student.onnx"
    path.write_bytes(b"earlier")

    def refuse(*args, **options):
        raise ValueError("differ")

    monkeypatch.setattr("akd_toolkit.deploy.export.onnx.check_parity", refuse)
    with pytest.raises(ValueError, match="differ"):
        export_onnx(Level(), path, LABELS)
    assert path.read_bytes() == b"earlier" and [each.name for each in tmp_path.iterdir()] == ["student.onnx"]


def test_an_interrupted_export_leaves_nothing(tmp_path, monkeypatch):
    def interrupt(*args, **options):
        raise KeyboardInterrupt

    monkeypatch.setattr("akd_toolkit.deploy.export.onnx._stamp", interrupt)
    with pytest.raises(KeyboardInterrupt):
        export_onnx(Level(), tmp_path / "student.onnx", LABELS)
    assert list(tmp_path.iterdir()) == []


def test_the_log_tells_what_was_written_and_nothing_of_the_exporters_insides(tmp_path, caplog):
    with caplog.at_level(logging.INFO):
        export_onnx(Level(), tmp_path / "student.onnx", LABELS)
    assert [record.name for record in caplog.records] == ["akd_toolkit.deploy.export.onnx"]
    assert "student.onnx" in caplog.text and "opset 18" in caplog.text


def test_one_label_too_few_is_refused_before_anything_is_written(tmp_path):
    with pytest.raises(ValueError, match=r"label_order has 2 names \['anger', 'fear'\] but the student tells 3"):
        export_onnx(Level(), tmp_path / "student.onnx", LABELS[:2])
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("labels", ["abc", ["anger", "anger", "fear"]])
def test_labels_that_are_no_list_of_different_names_are_refused(labels, tmp_path):
    with pytest.raises(ValueError, match="list of different names"):
        export_onnx(Level(), tmp_path / "student.onnx", labels)


def test_a_missing_file_is_refused_by_name(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"nowhere\.onnx does not exist"):
        read_metadata(tmp_path / "nowhere.onnx")


def test_a_file_that_is_not_onnx_is_refused_by_name(tmp_path):
    path = tmp_path / "text.onnx"
    path.write_text("not a graph")
    with pytest.raises(ValueError, match=r"text\.onnx is not an ONNX file"):
        open_engine(path)


def test_a_file_without_labels_is_refused_by_name(exported, tmp_path):
    model = onnx.load(exported[0])
    kept = {entry.key: entry.value for entry in model.metadata_props if entry.key != "label_order"}
    onnx.helper.set_model_props(model, kept)
    onnx.save(model, tmp_path / "bare.onnx")
    with pytest.raises(ValueError, match=r"bare\.onnx does not say what it needs \('label_order'\)"):
        read_metadata(tmp_path / "bare.onnx")


def test_labels_outside_ascii_survive(exported, tmp_path):
    model = onnx.load(exported[0])
    props = {entry.key: entry.value for entry in model.metadata_props}
    onnx.helper.set_model_props(
        model, {**props, "label_order": json.dumps(["Ärger", "Angst", "平静"], ensure_ascii=False)}
    )
    onnx.save(model, tmp_path / "german.onnx")
    assert read_metadata(tmp_path / "german.onnx")["label_order"] == ["Ärger", "Angst", "平静"]


def test_module_probabilities_restore_the_training_mode():
    student = Level().train()
    probabilities = module_probabilities(student, np.full((1, 1600), 0.5, dtype=np.float32))
    np.testing.assert_allclose(probabilities[0], softmax([2.0, 0.0, -2.0]), atol=1e-6)
    assert student.training and copy.deepcopy(student).eval() is not student


class Deaf(Level):
    """Counts padding as speech."""

    def forward(self, waveform, lengths=None):
        return super().forward(waveform)


class Jealous(Level):
    """Answers an utterance by what else is in the batch, where nothing is padded."""

    def forward(self, waveform, lengths=None):
        output = super().forward(waveform, lengths)
        return (
            output if lengths is not None else ModelOutput(output.logits.mean(dim=0, keepdim=True) + 0 * output.logits)
        )


def test_a_module_that_counts_padding_as_speech_is_found(exported):
    batches = [np.full((1, 1600), 0.1), np.full((1, 3200), 0.9)]
    assert check_parity(exported[0], Level(), batches).padding_difference < 1e-6
    with pytest.raises(ValueError, match=r"level\.onnx and the module on padded speech differ by"):
        check_parity(exported[0], Deaf(), batches)


def test_a_file_that_counts_padding_as_speech_is_found(exported, tmp_path):
    model = onnx.load(exported[0])
    flat = without_lengths(model).graph
    flat.node.add(op_type="Identity", input=["lengths"], output=["unread"], name="unread")
    flat.input.add().CopyFrom(model.graph.input[1])
    flat.initializer.add().CopyFrom(onnx.numpy_helper.from_array(np.ones(1, np.float32), "lengths"))
    model.graph.CopyFrom(flat)
    onnx.save(model, tmp_path / "deaf.onnx")
    with pytest.raises(ValueError, match=r"deaf\.onnx answers a padded waveform by .* otherwise than alone"):
        check_parity(tmp_path / "deaf.onnx", Level(), [np.full((1, 1600), 0.1), np.full((1, 3200), 0.9)])


def test_an_answer_that_depends_on_the_batch_is_found(exported, tmp_path):
    mixed = [np.stack([np.full(1600, 0.1), np.full(1600, 0.9)]).astype(np.float32)]
    assert check_batches(exported[0], mixed) < 1e-6
    path = tmp_path / "jealous.onnx"
    export_onnx(Jealous(), path, LABELS)
    with pytest.raises(ValueError, match=r"jealous\.onnx answers a waveform by .* differently in a batch"):
        check_batches(path, mixed)


def test_the_largest_logit_difference_forgets_what_all_logits_share(exported):
    other = Level()
    with torch.no_grad():
        other.weight.copy_(torch.tensor([5.0, 1.0, -2.4]))  # 0.1 of level: logits 0.5, 0.1, -0.24 for 0.4, 0, -0.4
    report = check_parity(exported[0], other, [np.full((1, 1600), 0.1)], tolerance=1.0)
    assert report.largest_logit_difference == pytest.approx(0.04, abs=1e-5)  # less the mean: 0.38, -0.02, -0.36
    assert (report.lengths, report.batch_sizes) == ((1600,), (1,))


def test_pieces_of_speech_have_every_length_and_batch_size_and_follow_one_another():
    batches = speech_batches([np.arange(30.0), np.arange(30.0, 100.0)], lengths=(3, 7), batch_sizes=(1, 4))
    assert [batch.shape for batch in batches] == [(1, 3), (4, 3), (1, 7), (4, 7)]
    assert np.concatenate([batch.ravel() for batch in batches]).tolist() == list(range(50))
    with pytest.raises(ValueError, match="no speech to compare"):
        speech_batches([])


def test_probe_waveforms_are_the_same_in_every_run_and_in_range():
    first, again = probe_waveforms(), probe_waveforms()
    assert all(np.array_equal(one, two) for one, two in zip(first, again, strict=True))
    assert {batch.shape for batch in first} == {(b, n) for b in (1, 3) for n in (1600, 16000, 47123)}
    assert all(batch.dtype == np.float32 and np.isfinite(batch).all() for batch in first)
