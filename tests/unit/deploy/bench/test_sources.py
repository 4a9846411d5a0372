import numpy as np
import pytest

from akd_toolkit.deploy.bench import models
from akd_toolkit.deploy.bench.sources import open_source, student_rows
from akd_toolkit.deploy.bench.voices import generated_voices
from akd_toolkit.deploy.bench.ways import WAYS, Way
from akd_toolkit.models.storage import save_student
from akd_toolkit.registry import STUDENTS

VOICES = np.zeros((2, 3200), dtype=np.float32)


@pytest.fixture
def run_folder(tmp_path):
    student = STUDENTS.example("micro_cnn", num_classes=3)
    spec = {"name": "micro_cnn", **STUDENTS.get("micro_cnn").example_options}
    save_student(tmp_path / "run", student, spec, list("abc"), window_s=3.0)
    return tmp_path / "run"


def test_a_registered_student_is_built_the_same_every_time(tmp_path):
    built = [open_source("micro_cnn", tmp_path / name, {"folder"}, VOICES) for name in "ab"]
    first, second = ((model.places["folder"] / "student.safetensors").read_bytes() for model in built)
    assert first == second
    assert built[0].title == "micro_cnn, fresh weights" and built[0].parameters > 1e5
    assert built[0].gflops["folder"] > 0


def test_the_folder_of_a_run_gives_its_student_and_nothing_is_written_into_it(
    run_folder, tiny_file, tmp_path, monkeypatch
):
    monkeypatch.setattr(models, "export_onnx", lambda student, path, labels, window_s: tiny_file.rename(path))
    before = sorted(run_folder.iterdir())
    model = open_source(run_folder, tmp_path / "work", {"folder", "fp32"}, VOICES)
    assert model.title == "micro_cnn" and model.places["fp32"] == tmp_path / "work" / "student.onnx"
    assert sorted(run_folder.iterdir()) == before
    rows = student_rows(model, ["onnx", "torch"], [1, 2])
    assert [(row.way, row.threads, row.reason) for row in rows] == [
        ("ONNX Runtime FP32", 1, ""),
        ("PyTorch", 1, ""),
        ("ONNX Runtime FP32", 2, ""),
        ("PyTorch", 2, ""),
    ]
    assert rows[0].megabytes == pytest.approx((tmp_path / "work" / "student.onnx").stat().st_size / 1e6)
    assert rows[0].features_place[0] == "onnx_file" and rows[1].features_place[0] == "torch_front_end"


def test_exported_files_in_the_folder_are_taken_as_they_are(run_folder, tiny_file, tmp_path):
    tiny_file.rename(run_folder / "student.onnx")
    model = open_source(run_folder, tmp_path / "work", {"fp32"}, VOICES)
    assert model.places["fp32"] == run_folder / "student.onnx" and model.notes["fp32"] == "file of run"


def test_a_bundle_is_checked_before_anything_of_it_is_run(run_folder, tmp_path):
    (run_folder / "bundle.json").write_text("{}")
    (run_folder / "student.torchscript.pt").write_bytes(b"anything")
    with pytest.raises(ValueError, match="student.torchscript.pt"):
        open_source(run_folder, tmp_path / "work", {"torchscript"}, VOICES)


def test_a_bundle_that_lost_its_list_is_not_run(run_folder, tmp_path):
    (run_folder / "README.md").write_text("# Student")
    (run_folder / "student.torchscript.pt").write_bytes(b"anything")
    with pytest.raises(ValueError, match="README.md"):
        open_source(run_folder, tmp_path / "work", {"torchscript"}, VOICES)


def test_an_exported_file_says_what_cannot_be_run_of_it(tiny_file, tmp_path):
    model = open_source(tiny_file, tmp_path / "work", {"fp32", "folder"}, VOICES)
    assert model.title == "Tiny (tiny.onnx)" and model.parameters == 2
    onnx, torch = student_rows(model, ["onnx", "torch"], [1])
    assert onnx.reason == "" and onnx.gflops == pytest.approx(4e-9)
    assert torch.reason == "tiny.onnx is an exported file in fp32; give the folder of a run"


def test_the_front_end_is_cut_out_by_the_names_of_its_nodes(tiny_file, tmp_path):
    import onnx

    model = open_source(tiny_file, tmp_path / "work", {"fp32"}, VOICES)
    features = onnx.load(model.places["features/fp32"])
    assert [node.name for node in features.graph.node] == ["front_end/abs", "front_end/mean"]
    assert [value.name for value in features.graph.output] == ["mean"]


def test_every_file_is_made_of_a_trained_student_and_counts_as_many_operations(run_folder, tmp_path):
    model = open_source(run_folder, tmp_path / "work", {"folder", "fp32", "fp16", "int8", "torchscript"}, VOICES)
    assert model.reasons == {}
    assert set(model.places) > {"folder", "fp32", "fp16", "int8", "torchscript", "features/int8"}
    assert model.gflops["folder"] > 1e-3
    for part in ("fp32", "fp16", "int8"):
        assert model.gflops[part] == pytest.approx(model.gflops["folder"], rel=0.01), part
    assert model.notes["int8"] == "calibrated on generated voices"


def test_what_fails_to_export_leaves_a_row_with_its_reason(run_folder, tmp_path, monkeypatch):
    def fails(*arguments, **options):
        raise RuntimeError("operator not there\ndetails")

    monkeypatch.setattr(models, "export_onnx", fails)
    model = open_source(run_folder, tmp_path / "work", {"fp32", "int8", "folder"}, VOICES)
    rows = student_rows(model, ["onnx", "onnx-int8", "torch"], [1])
    assert [row.reason for row in rows] == ["not exported: operator not there"] * 2 + [""]


def test_an_exported_file_that_cannot_be_run_has_its_reason(run_folder, tmp_path):
    (run_folder / "student.onnx").write_bytes(b"no graph")
    model = open_source(run_folder, tmp_path / "work", {"fp32", "folder"}, VOICES)
    onnx, torch = student_rows(model, ["onnx", "torch"], [1])
    assert onnx.reason.startswith("student.onnx cannot be run: ") and torch.reason == ""


def test_a_way_that_the_machine_lacks_has_its_reason(run_folder, tmp_path, monkeypatch):
    monkeypatch.setitem(WAYS, "other", Way("Other", "other", "folder", lambda: "no such thing here", on_gpu=True))
    model = open_source(run_folder, tmp_path / "work", {"folder"}, VOICES)
    rows = student_rows(model, ["other", "torch"], [2, 4])
    assert [(row.way, row.threads, row.reason) for row in rows] == [
        ("Other", 1, "no such thing here"),
        ("PyTorch", 2, ""),
        ("PyTorch", 4, ""),
    ]


def test_an_engine_is_built_of_the_file_in_its_precision(tiny_file, tmp_path, monkeypatch):
    from akd_toolkit.deploy.export import tensorrt

    built = []

    def build(source, target):
        built.append(source)
        target.write_bytes(b"plan")

    monkeypatch.setattr(tensorrt, "build_engine", build)
    model = open_source(tiny_file, tmp_path / "work", {"fp32.plan"}, VOICES)
    assert built == [tiny_file] and model.places["fp32.plan"].read_bytes() == b"plan"
    assert model.megabytes("fp32.plan") == pytest.approx(4e-6)


def test_without_a_compiler_torch_compile_says_so(monkeypatch):
    monkeypatch.setenv("CXX", "no-such-compiler")
    assert WAYS["compile"].missing() == "needs a C++ compiler, and no-such-compiler is not there"


def test_an_unknown_source_is_refused(tmp_path):
    with pytest.raises(ValueError, match="'mikro_cnn' is neither a file, nor a folder, nor a registered student; give"):
        open_source("mikro_cnn", tmp_path / "work", {"fp32"}, VOICES)


def test_a_folder_without_a_student_is_refused(tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(ValueError, match="holds neither a saved student .* nor student.onnx; give the folder of"):
        open_source(tmp_path / "empty", tmp_path / "work", {"fp32"}, VOICES)


def test_generated_voices_are_speech_of_that_length_and_always_the_same():
    voices = generated_voices(2, window_s=0.3)
    assert voices.shape == (2, 4800) and voices.dtype == np.float32
    assert 0.005 < np.sqrt((voices**2).mean()) < 0.3 and abs(voices).max() <= 1
    assert (voices == generated_voices(2, window_s=0.3)).all() and (voices[0] != voices[1]).any()
