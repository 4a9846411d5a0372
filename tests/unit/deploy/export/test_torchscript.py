"""TorchScript: the module's probabilities at every length, its labels inside, and nothing of the machine."""

import json
import zipfile

import numpy as np
import pytest
import torch

from akd_toolkit.deploy.export import check_parity
from akd_toolkit.deploy.export.parity import probe_waveforms
from akd_toolkit.deploy.export.torchscript import export_torchscript, load_torchscript
from akd_toolkit.inference.session import by_row, padded_batch
from akd_toolkit.models.base import Student
from akd_toolkit.outputs import ModelOutput
from tests.unit.deploy.export.conftest import LABELS, voices


class Branches(Student):
    """Branches on the length in Python, which a trace cannot follow."""

    def __init__(self):
        super().__init__(3)
        self.weight = torch.nn.Parameter(torch.tensor([1.0, 0.0, -1.0]))

    def forward(self, waveform, lengths=None):
        sign = 1.0 if waveform.shape[1] > 10000 else -1.0
        return ModelOutput(sign * waveform.abs().mean(dim=1, keepdim=True) * self.weight)


class Untraceable(Branches):
    def forward(self, waveform, lengths=None):
        if torch.jit.is_tracing():
            raise RuntimeError("no way")
        return super().forward(waveform, lengths)


@pytest.fixture(scope="module")
def scripted(micro, tmp_path_factory):
    path = tmp_path_factory.mktemp("script") / "student.torchscript.pt"
    export_torchscript(micro, path, {"label_order": LABELS, "window_s": 1.0, "corpus": "Toy"})
    return path


def test_it_computes_what_the_module_computes_at_other_lengths_than_the_traced_one(scripted, micro):
    report = check_parity(scripted, micro, probe_waveforms(lengths=(1601, 4800, 30011), batch_sizes=(2, 4)))
    assert report.num_waveforms == 18 and report.largest_difference < 1e-6
    answer, metadata = load_torchscript(scripted)
    batch, lengths = padded_batch([voice[: 16000 - 2880 * row] for row, voice in enumerate(voices())])
    assert "lengths" in metadata
    assert np.array_equal(answer(batch, lengths), by_row(answer, batch, lengths))
    assert np.array_equal(answer(batch, np.ones(len(batch))), answer(batch))
    assert np.array_equal(answer(batch, np.full(1, 0.5)), by_row(answer, batch, np.full(len(batch), 0.5)))


def test_metadata_lie_in_the_archive_and_nothing_of_the_machine(scripted):
    _, metadata = load_torchscript(scripted)
    assert metadata["label_order"] == list(LABELS) and metadata["window_s"] == 1.0 and metadata["corpus"] == "Toy"
    with zipfile.ZipFile(scripted) as archive:
        contents = {name: archive.read(name) for name in archive.namelist()}
    assert not any(name.endswith(".debug_pkl") for name in contents)
    assert not any(b"/home" in content or b"site-packages" in content for content in contents.values())
    assert all(name.startswith("student/") for name in contents)  # not the name of the temporary file


@pytest.mark.parametrize(("student", "message"), [(Branches(), "differ by"), (Untraceable(), "Untraceable .*no way")])
def test_a_student_that_cannot_be_traced_is_refused(student, message, tmp_path):
    with pytest.raises(ValueError, match=message):
        export_torchscript(student, tmp_path / "student.pt", {"label_order": LABELS})
    assert list(tmp_path.iterdir()) == []


def test_other_files_are_refused_by_name(scripted, tmp_path):
    path = tmp_path / "student.pt"
    with pytest.raises(FileNotFoundError, match=r"student\.pt"):
        load_torchscript(path)
    for write in (lambda: path.write_text("no archive"), lambda: torch.save({"a": 1}, path)):  # a pickle
        write()
        with pytest.raises(ValueError, match=r"student\.pt is not a TorchScript file"):
            load_torchscript(path)
    with zipfile.ZipFile(scripted) as archive, zipfile.ZipFile(path, "w") as bare:
        for name in archive.namelist():
            bare.writestr(name, json.dumps({}) if name.endswith("about.json") else archive.read(name))
    with pytest.raises(ValueError, match="label_order"):
        load_torchscript(path)
