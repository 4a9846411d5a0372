from pathlib import Path

import numpy as np
import pytest

from akd_toolkit.deploy.bench import sources
from akd_toolkit.deploy.bench.backends import BACKENDS
from akd_toolkit.deploy.bench.sources import generated_signals, open_source, peer_rows, student_rows
from akd_toolkit.deploy.bench.worker import LOADERS
from akd_toolkit.models.storage import save_student
from akd_toolkit.registry import STUDENTS

SIGNALS = np.zeros((2, 3200), dtype=np.float32)


@pytest.fixture
def run_folder(tmp_path):
    student = STUDENTS.example("micro_cnn", num_classes=3)
    spec = {"name": "micro_cnn", **STUDENTS.get("micro_cnn").example_options}
    save_student(tmp_path / "run", student, spec, list("abc"), window_s=3.0)
    return tmp_path / "run"


def test_a_registered_student_is_built_the_same_every_time(tmp_path):
    built = [open_source("micro_cnn", tmp_path / name, SIGNALS) for name in "ab"]
    first, second = (Path(model.form("folder").path, "student.safetensors").read_bytes() for model in built)
    assert first == second
    assert built[0].title == "micro_cnn, fresh weights" and built[0].parameters > 1e5
    assert built[0].form("folder").gflops > 0


def test_missing_forms_of_a_run_are_exported_elsewhere_with_as_many_operations(run_folder, tmp_path):
    before = sorted(run_folder.iterdir())
    model = open_source(run_folder, tmp_path / "work", SIGNALS)
    backends = ["onnx", "onnx-fp16", "onnx-int8", "torch", "torchscript"]
    rows = student_rows(model, backends, [1, 2])
    assert sorted(run_folder.iterdir()) == before
    titles = [BACKENDS[name].title for name in backends]
    assert [(row.backend, row.threads) for row in rows] == [(title, count) for count in (1, 2) for title in titles]
    for row in rows:
        assert row.reason == "" and row.loader in LOADERS and row.megabytes > 0
        assert row.gflops == pytest.approx(model.form("folder").gflops, rel=0.01) and row.gflops > 1e-3
    assert [row.features and row.features[0] for row in rows[:5]] == ["onnx", "onnx", "onnx", "front_end", None]
    assert rows[2].note == "calibrated on generated voices"
    assert rows[0].megabytes == pytest.approx((tmp_path / "work" / "student.onnx").stat().st_size / 1e6)


@pytest.mark.parametrize(
    ("source", "files", "message"),
    [
        ("run", ["bundle.json", "student.torchscript.pt"], "student.torchscript.pt"),
        ("run", ["README.md"], "README.md .*bundle.json"),
        ("empty", [], r"empty holds neither .* nor student.onnx"),
        ("mikro_cnn", [], "mikro_cnn"),
    ],
)
def test_other_sources_are_refused_before_anything_of_them_is_run(source, files, message, run_folder, tmp_path):
    for file in files:
        (run_folder / file).write_text("{}")
    (tmp_path / "empty").mkdir()
    with pytest.raises(ValueError, match=message):
        open_source(source if source == "mikro_cnn" else tmp_path / source, tmp_path / "work", SIGNALS)


def test_an_exported_file_shows_what_cannot_be_run_of_it(tiny_file, tmp_path):
    import onnx

    model = open_source(tiny_file, tmp_path / "work", SIGNALS)
    assert model.title == "Tiny (tiny.onnx)" and model.parameters == 2
    file, module = student_rows(model, ["onnx", "torch"], [1])
    assert file.reason == "" and file.gflops == pytest.approx(4e-9)
    assert "tiny.onnx is an exported file in fp32" in module.reason
    features = onnx.load(model.form("fp32").features[1])
    assert [node.name for node in features.graph.node] == ["front_end/abs", "front_end/mean"]
    assert [value.name for value in features.graph.output] == ["mean"]


def test_what_cannot_be_exported_or_run_has_a_row_with_the_reason(run_folder, tmp_path, monkeypatch):
    def fails(*arguments, **options):
        raise RuntimeError("operator not there\ndetails")

    monkeypatch.setattr(sources, "export_saved", fails)
    rows = student_rows(open_source(run_folder, tmp_path / "a", SIGNALS), ["onnx", "onnx-int8", "torch"], [1])
    assert [row.reason for row in rows] == ["not exported: operator not there"] * 2 + [""]
    (run_folder / "student.onnx").write_bytes(b"no graph")
    file, module = student_rows(open_source(run_folder, tmp_path / "b", SIGNALS), ["onnx", "torch"], [1])
    assert file.reason.startswith("student.onnx cannot be run: ") and module.reason == ""


def test_peers(tmp_path):
    (row,) = peer_rows("opensmile", [1, 8], tmp_path, SIGNALS)
    assert row.threads == 1 and row.loader in LOADERS and row.path == "eGeMAPSv02"
    signals = generated_signals(2, window_s=0.3)
    assert signals.shape == (2, 4800) and 0.005 < np.sqrt((signals**2).mean()) < 0.3
    (row,) = peer_rows("light_sernet", [1], tmp_path, signals)
    assert row.reason == "" and row.model == "light_sernet, fresh weights"
