"""TorchScript: the same answers at every length, its labels inside, and nothing of the machine."""

import json
import zipfile

import numpy as np
import pytest
import torch

from akd_toolkit.deploy.export import check_parity
from akd_toolkit.deploy.export.parity import probe_waveforms
from akd_toolkit.deploy.export.torchscript import export_torchscript, load_torchscript
from akd_toolkit.models.base import Student
from akd_toolkit.outputs import ModelOutput
from tests.unit.deploy.export.conftest import LABELS


class ByLength(Student):
    """Answers otherwise when a waveform is long, and asks in Python: no trace can follow it."""

    def __init__(self):
        super().__init__(3)
        self.weight = torch.nn.Parameter(torch.tensor([1.0, 0.0, -1.0]))

    def forward(self, waveform, lengths=None):
        sign = 1.0 if waveform.shape[1] > 10000 else -1.0
        return ModelOutput(sign * waveform.abs().mean(dim=1, keepdim=True) * self.weight)


class Unreachable(ByLength):
    """Leaves the graph."""

    def forward(self, waveform, lengths=None):
        if torch.jit.is_tracing():
            raise RuntimeError("no way")
        return super().forward(waveform, lengths)


@pytest.fixture(scope="module")
def scripted(micro, tmp_path_factory):
    path = tmp_path_factory.mktemp("script") / "student.torchscript.pt"
    report = export_torchscript(micro, path, LABELS, window_s=1.0, about={"test_overlap_s": 0.5, "corpus": "Toy"})
    return path, report


def test_it_answers_as_the_module_at_lengths_it_was_not_traced_at(scripted, micro):
    assert scripted[1].largest_difference < 1e-6 and len(scripted[1].lengths) == 3
    batches = probe_waveforms(lengths=(1601, 4800, 30011), batch_sizes=(2, 4))
    assert check_parity(scripted[0], micro, batches).num_waveforms == 18


def test_its_metadata_lie_in_the_archive(scripted):
    answer, metadata = load_torchscript(scripted[0])
    assert metadata["label_order"] == list(LABELS) and metadata["window_s"] == 1.0 and metadata["corpus"] == "Toy"
    assert answer(np.zeros((2, 1600))).shape == (2, 3)


def test_it_tells_nothing_of_the_machine(scripted):
    with zipfile.ZipFile(scripted[0]) as archive:
        contents = {name: archive.read(name) for name in archive.namelist()}
    assert not any(name.endswith(".debug_pkl") for name in contents)
    assert not any(b"/home" in content or b"site-packages" in content for content in contents.values())
    assert all(name.startswith("student/") for name in contents)  # not the name of the file written aside


def test_a_student_that_decides_by_length_in_python_is_found_out(tmp_path):
    with pytest.raises(ValueError, match="and the module differ by"):
        export_torchscript(ByLength(), tmp_path / "student.pt", LABELS)
    assert list(tmp_path.iterdir()) == []


def test_a_student_that_cannot_be_traced_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r"Unreachable cannot be traced for TorchScript \(no way\)"):
        export_torchscript(Unreachable(), tmp_path / "student.pt", LABELS)
    assert list(tmp_path.iterdir()) == []


def test_other_files_are_refused_by_name(tmp_path):
    path = tmp_path / "student.pt"
    with pytest.raises(FileNotFoundError, match=r"student\.pt does not exist"):
        load_torchscript(path)
    path.write_text("no archive")
    with pytest.raises(ValueError, match=r"student\.pt is not a TorchScript file"):
        load_torchscript(path)
    torch.save({"a": 1}, path)  # a pickle
    with pytest.raises(ValueError, match=r"student\.pt is not a TorchScript file"):
        load_torchscript(path)


def test_a_script_without_labels_is_refused(scripted, tmp_path):
    path = tmp_path / "bare.pt"
    with zipfile.ZipFile(scripted[0]) as archive, zipfile.ZipFile(path, "w") as bare:
        for name in archive.namelist():
            bare.writestr(name, json.dumps({}) if name.endswith("about.json") else archive.read(name))
    with pytest.raises(ValueError, match="does not say what it needs"):
        load_torchscript(path)
