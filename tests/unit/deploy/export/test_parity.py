"""The comparison of a file with its module, and which files are too far from it."""

import numpy as np
import pytest

from akd_toolkit.deploy.export import check_parity, export_onnx
from akd_toolkit.deploy.export.parity import check_batches, check_decisions, ua_loss
from akd_toolkit.outputs import ModelOutput
from tests.unit.deploy.export.conftest import LABELS, Level


class IgnoresLengths(Level):
    def forward(self, waveform, lengths=None):
        return super().forward(waveform)


class MixesBatch(Level):
    """The result of an utterance depends on the rest of its batch, where nothing is padded."""

    def forward(self, waveform, lengths=None):
        output = super().forward(waveform, lengths)
        mixed = ModelOutput(output.logits.mean(dim=0, keepdim=True) + 0 * output.logits)
        return mixed if lengths is None else output


PADDED = [np.full((1, 1600), 0.1), np.full((1, 3200), 0.9)]


def test_a_file_of_its_own_module_passes(level_file):
    report = check_parity(level_file, Level().train())
    assert report.largest_difference < 1e-6 and report.changed_decisions == 0.0
    assert (report.num_waveforms, report.lengths, report.batch_sizes) == (12, (1600, 16000, 47123), (1, 3))
    assert check_parity(level_file, Level(), PADDED).padding_difference < 1e-6


@pytest.mark.parametrize(
    ("module", "message"),
    [
        (Level((8.0, 0.0, -8.0)), "more than 1e-04"),
        (Level((float("nan"),) * 3), "nan"),
        (IgnoresLengths(), "padded"),
    ],
)
def test_another_module_is_refused(module, message, level_file):
    with pytest.raises(ValueError, match=rf"level\.onnx .*{message}"):
        check_parity(level_file, module, PADDED)


def test_differences_by_hand(level_file):
    loud = [np.full((4, 1600), 0.1)]
    assert check_parity(level_file, Level((-4.0, 0.0, 4.0)), loud, tolerance=1.0).changed_decisions == 1.0
    # 0.1 of level: logits 0.5, 0.1, -0.24 (less the mean: 0.38, -0.02, -0.36) for 0.4, 0, -0.4
    report = check_parity(level_file, Level((5.0, 1.0, -2.4)), loud, tolerance=1.0)
    assert report.largest_logit_difference == pytest.approx(0.04, abs=1e-5)
    assert (report.num_waveforms, report.lengths, report.batch_sizes) == (4, (1600,), (4,))


def test_a_result_that_depends_on_the_batch_is_found(level_file, tmp_path):
    mixed = [np.stack([np.full(1600, 0.1), np.full(1600, 0.9)]).astype(np.float32)]
    assert check_batches(level_file, mixed) < 1e-6
    export_onnx(MixesBatch(), tmp_path / "mixed.onnx", LABELS)
    with pytest.raises(ValueError, match=r"mixed\.onnx .*in a batch"):
        check_batches(tmp_path / "mixed.onnx", mixed)


@pytest.mark.parametrize(
    ("precision", "total", "most"), [("fp32", 535, 0), ("fp16", 100, 3), ("int8", 100, 6), ("int8", 535, 19)]
)
def test_as_many_decisions_may_change_as_chance_allows(precision, total, most):
    # sum over k >= most + 1 of C(total, k) p^k (1 - p)^(total - k) is the first below 1 %
    before = np.zeros(total, dtype=int)
    check_decisions("student.onnx", precision, before, np.arange(total) < most)
    with pytest.raises(ValueError, match=rf"student\.onnx changes {most + 1} of {total}"):
        check_decisions("student.onnx", precision, before, np.arange(total) < most + 1)


def test_many_changes_for_the_worse_are_refused_but_a_class_of_one_utterance_proves_nothing():
    truth = np.repeat([0, 1], 5000)
    worse = np.where(np.arange(10000) < 180, 1, truth)  # 1.8 % of all, all of them errors: 1.8 points of UA
    with pytest.raises(ValueError, match=r"loses 1\.8 points of UA"):
        check_decisions("student.onnx", "int8", truth, worse, truth)
    check_decisions("student.onnx", "int8", worse, truth, truth)  # all for the better
    truth = np.array([0] * 50 + [1] * 50 + [2] * 50 + [3])
    after = np.where(np.arange(151) == 150, 0, truth)  # the only one of class 3 is lost: 25 points of UA
    check_decisions("student.int8.onnx", "int8", truth, after, truth)


def test_the_loss_of_ua_and_its_error_by_hand():
    truth, before, after = [0, 0, 1, 1, 1, 1], [0, 1, 1, 1, 1, 1], [0, 0, 1, 1, 1, 0]
    loss, error = ua_loss(truth, before, after)  # d of class 0: 0, -1; of class 1: 0, 0, 0, 1
    assert loss == pytest.approx((-0.5 + 0.25) / 2)
    assert error == pytest.approx(np.sqrt(0.5 / 2 + 0.25 / 4) / 2)  # means of d squared: 1/2 and 1/4
