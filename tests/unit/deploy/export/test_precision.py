"""Fewer bits: what becomes small, what stays in 32 bits, and that the results stay close."""

import numpy as np
import pytest

from akd_toolkit.deploy.export import check_parity, read_metadata
from akd_toolkit.deploy.export.parity import speech_batches
from akd_toolkit.deploy.export.precision import to_fp16, to_int8
from tests.unit.deploy.export.conftest import LABELS, voices


@pytest.mark.parametrize(
    ("name", "calibration"),
    [("fp16", None), ("static", "minmax over 6 windows"), ("dynamic", "none")],
)
def test_results_stay_close_the_file_is_smaller_and_metadata_are_kept(name, calibration, files, micro):
    half = name == "fp16"
    batches = speech_batches(voices(), lengths=(1600, 16000, 20001), batch_sizes=(1, 3))
    report = check_parity(files[name], micro, batches, tolerance=1e-3 if half else 0.02)
    assert report.largest_difference > 0 and report.largest_logit_difference < 0.1
    assert files[name].stat().st_size < (0.75 if half else 0.6) * files["fp32"].stat().st_size
    metadata = read_metadata(files[name])
    assert metadata["label_order"] == list(LABELS) and metadata["test_overlap_s"] == 0.5 and metadata["corpus"] == "Toy"
    assert metadata["precision"] == ("fp16" if half else "int8") and metadata.get("calibration") == calibration
    assert b"/tmp" not in files[name].read_bytes()
    assert [each.name for each in files[name].parent.glob("*inferred*")] == []


def test_in_half_precision_loud_speech_stays_finite(files, micro):
    loud = [np.sign(np.sin(2 * np.pi * 200 * np.arange(160000) / 16000)).astype(np.float32)[None]]
    assert np.isfinite(check_parity(files["fp16"], micro, loud, tolerance=1e-2).largest_logit_difference)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"mode": "half"}, "mode must be one of static, dynamic"),
        ({}, "calibrate"),
        ({"calibration": [np.zeros(100)]}, r"calibration .*\[100\]"),
        ({"calibration": [np.full(16000, np.nan)]}, "calibration .*finite"),
    ],
)
def test_what_cannot_be_quantised_is_refused(options, message, micro_file, tmp_path):
    with pytest.raises(ValueError, match=message):
        to_int8(micro_file, tmp_path / "student.int8.onnx", **options)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("convert", "name"), [(to_fp16, "static"), (to_int8, "fp16")])
def test_a_file_in_fewer_bits_is_not_converted_again(convert, name, files, tmp_path):
    with pytest.raises(ValueError, match=r"give an exported file in fp32"):
        convert(files[name], tmp_path / "again.onnx")
