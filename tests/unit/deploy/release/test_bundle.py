"""Every file that is not part of a bundle, or not what its name says, is refused by name."""

import io
import json
import os
import pickle
import shutil
import time
import tracemalloc
import zipfile

import numpy as np
import onnx
import pytest
import torch
from safetensors.torch import load_file, save_file

from akd_toolkit.inference import EmotionRecognizer, contents, hub
from akd_toolkit.inference.bundle import ALLOWED, DamagedFile, check_bundle, check_folder, is_bundle, write_list
from akd_toolkit.inference.engine import open_engine
from akd_toolkit.inference.hub import resolve_source

SOUND = np.random.default_rng(0).standard_normal((1, 16000)).astype(np.float32) * 0.1


def refused(folder, key, error=ValueError, check=check_bundle):
    with pytest.raises(error, match=key) as caught:
        check(folder)
    assert "\n" not in str(caught.value)
    return caught.value


def put(folder, name, content):
    """A file with its right size and sum in bundle.json, so that only its content is wrong."""
    (folder / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    if is_bundle(folder):
        write_list(folder)


def change(folder, option=None, **settings):
    """Other settings, and other options of the student, in student.json."""
    content = {**json.loads((folder / "student.json").read_text()), **settings}
    content["student"] |= option or {}
    put(folder, "student.json", json.dumps(content))


def test_a_released_bundle_passes(released, tmp_path):
    bundle = check_bundle(released)
    assert bundle["format"] == 1 and is_bundle(released) and not is_bundle(tmp_path)
    assert set(bundle["files"]) == {path.name for path in released.iterdir()} - {"bundle.json"} <= set(ALLOWED)
    for folder in (tmp_path, tmp_path / "none"):
        refused(folder, "bundle.json", FileNotFoundError)


def test_other_files_folders_and_links_are_refused(bundle, tmp_path):
    for name in ("code.py", "model.pkl", "custom.yaml", "notes.txt", ".hidden", "student.onnx.data", "Student.json"):
        (bundle / name).write_bytes(b"anything")
        refused(bundle, f"holds {name}")
        (bundle / name).unlink()
    for name, key in (("more", "holds more"), ("LICENSE", "LICENSE is not a plain file")):
        (bundle / name).mkdir()
        refused(bundle, key)
        (bundle / name).rmdir()
    outside = tmp_path / "outside.json"
    shutil.move(bundle / "student.json", outside)
    (bundle / "student.json").symlink_to(outside)
    refused(bundle, "student.json is a symbolic link")
    check_bundle(bundle, links_into=tmp_path)  # as a download lies in its cache
    outside.unlink()
    with pytest.raises(DamagedFile, match="student.json"):
        check_bundle(bundle, links_into=tmp_path)


@pytest.mark.parametrize("name", ["student.safetensors", "student.json", "student.onnx"])
def test_missing_truncated_and_changed_files_are_named(bundle, name):
    content = (bundle / name).read_bytes()
    for damaged, key in (
        (content[:-1], f"{name} is truncated: {len(content) - 1} of {len(content)} bytes"),
        (content + b" ", f"{name} is too long"),
        (content[:-2] + bytes([content[-2] ^ 1]) + content[-1:], f"{name} .*SHA-256"),
    ):
        (bundle / name).write_bytes(damaged)
        assert refused(bundle, key, DamagedFile).name == name
    (bundle / name).unlink()
    refused(bundle, f"{name} is missing", DamagedFile)


@pytest.mark.parametrize(
    ("content", "key"),
    [
        ('{"format": 2, "files": {}}', "format 2"),
        ('{"format": 1, "files": {}}', "student.json"),
        ('{"format": 1, "files": {"../x": {"size": 1, "sha256": ""}}}', "allowed files"),
        ('{"format": 1, "files": {"student.json": {"size": "1", "sha256": ""}}}', "size and SHA-256"),
        ('{"format": 1, "files": []}', "size and SHA-256"),
        ("[]", "JSON"),
    ],
)
def test_a_wrong_list_is_refused(bundle, content, key):
    (bundle / "bundle.json").write_text(content)
    refused(bundle, f"bundle.json .*{key}")


class Runs:
    """Leaves a folder behind when unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return (os.mkdir, (str(self.path),))


@pytest.mark.parametrize(
    "name", ["student.safetensors", "student.json", "student.onnx", "README.md", "hyperparams.yaml"]
)
def test_a_pickle_or_a_program_under_another_name_is_refused_and_never_run(bundle, tmp_path, name):
    trap, archive = tmp_path / "ran", io.BytesIO()
    pickles = [pickle.dumps(Runs(trap), protocol) for protocol in (2, 4, 0)]
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr("data.pkl", pickles[0])
    contents = [archive.getvalue(), b"\x7fELF\0" + bytes(100), b"MZ\0" + bytes(100), *pickles, b"#!/bin/sh\nrest\n"]
    for content in contents[:-2] if name in ("README.md", "hyperparams.yaml") else contents:  # these may be any text
        put(bundle, name, content)
        refused(bundle, name)
    assert not trap.exists()


@pytest.mark.parametrize(
    ("name", "content", "key"),
    [
        ("hyperparams.yaml", "a: 1\nmodel: !new:os.system {command: date}\n", "!new:os.system in line 2"),
        ("hyperparams.yaml", "x: !!python/object/apply:os.system [date]\n", "python/object/apply:os.system in line 1"),
        ("hyperparams.yaml", "a: &x [1]\nb: *x\n", "anchor x in line 1"),
        ("hyperparams.yaml", "a: [1\n", "YAML"),
        ("hyperparams.yaml", b"\xff\xfe\xff", "UTF-8"),
        ("scores.json", '{"a": NaN}', "NaN"),
        ("scores.json", '{"a": 1, "a": 2}', "twice"),
        ("scores.json", "[" * 100_000, "JSON"),
        ("scores.json", '{"a": ' + "[" * 40 + "]" * 40 + "}", "deep"),
    ],
)
def test_yaml_that_calls_anything_and_json_that_is_not_plain_are_refused(bundle, name, content, key):
    put(bundle, name, content)
    refused(bundle, f"{name} .*{key}")


@pytest.mark.parametrize(
    ("changes", "key"),
    [
        ({"option": {"dim": 10**9}}, "dim is 1000000000"),
        ({"option": {"dim": 60_000}}, "larger than the [0-9]+ numbers"),
        ({"option": {"channels": [30_000, 30_000]}}, "larger than the [0-9]+ numbers"),
        ({"option": {"dilations": [1] * 65}}, "dilations has 65 entries"),
        ({"option": {"dim": 24}}, "fuse|blocks"),
        ({"option": {"dim": -1}}, "student.json"),
        ({"option": {"width": 3}}, "width"),
        ({"option": {"normalize": "/etc/passwd"}}, "normalize"),
        ({"option": {"name": "os.system"}}, "unknown student 'os.system'"),
        ({"option": {"source": "openai/whisper-tiny"}}, "source"),
        ({"label_order": ["a", "a", "b"]}, "label_order"),
        ({"label_order": ["a", "b\x1b[2J", "c"]}, "label_order"),
        ({"label_order": ["sadness", "anger", "neutral"]}, "student.onnx has label_order anger, sadness, neutral"),
        ({"label_order": ["a", "b", "c", "d"]}, r"classifier.*\[3"),
        ({"attributes": ["valence"]}, "regressor"),
        ({"sample_rate_hz": 8000}, "sample_rate_hz"),
        ({"window_s": 1e9}, "window_s"),
        ({"window_s": "3"}, "window_s"),
        ({"test_overlap_s": 1.0}, "test_overlap_s"),
        ({"student": {}}, "student"),
    ],
)
def test_wrong_settings_are_refused_and_a_wrong_student_is_not_built(bundle, changes, key):
    change(bundle, **changes)
    tracemalloc.start()
    begin = time.monotonic()
    refused(bundle, key)
    assert time.monotonic() - begin < 60 and tracemalloc.get_traced_memory()[1] < 200e6
    tracemalloc.stop()


def test_weights_are_checked_before_they_are_read(bundle):
    weights = bundle / "student.safetensors"
    save_file({**load_file(weights), "trojan": torch.zeros(2)}, weights)
    write_list(bundle)
    refused(bundle, "trojan")
    put(bundle, "student.safetensors", (2**40).to_bytes(8, "little") + b"{}")
    refused(bundle, "student.safetensors")


def test_an_exported_file_must_agree_with_the_settings(bundle):
    for key, value, found in (
        ("sample_rate_hz", "8000", "sample_rate_hz 8000, and student.json 16000"),
        ("window_s", "2.0", "window_s 2.0, and student.json 1.0"),
        ("test_overlap_s", "0.0", "test_overlap_s 0.0, and student.json 0.5"),
        ("label_order", "3", "metadata"),
    ):
        model = onnx.load(bundle / "student.onnx")
        (entry,) = (entry for entry in model.metadata_props if entry.key == key)
        before, entry.value = entry.value, value
        put(bundle, "student.onnx", model.SerializeToString())
        refused(bundle, f"student.onnx .*{found}")
        entry.value = before
        put(bundle, "student.onnx", model.SerializeToString())


def test_a_bundle_without_its_list_is_refused(bundle):
    (bundle / "bundle.json").unlink()
    (bundle / "student.py").write_text("raise SystemExit")
    for name in ("README.md", "hyperparams.yaml", "scores.json", "student.py"):
        refused(bundle, name, check=resolve_source)
        (bundle / name).unlink()
    assert resolve_source(bundle) == bundle  # as a run's folder


def test_the_student_of_a_run_is_checked_before_it_is_built(make_experiment, released):
    run = make_experiment() / "seed17/fold1/outer"
    expected = open_engine(run)(SOUND)
    for name in ("student.torchscript.pt", "step.json", ".DS_Store", "notes.txt"):  # which a run may hold
        (run / name).write_text("{}")
    np.testing.assert_array_equal(open_engine(resolve_source(run))(SOUND), expected)
    change(run, {"dim": 60_000})
    refused(run, "numbers", check=EmotionRecognizer.from_pretrained)
    shutil.copy(released / "student.onnx", run)
    assert EmotionRecognizer.from_pretrained(run).engine.backend == "onnx"  # without PyTorch
    with pytest.raises(ValueError, match="numbers"):
        EmotionRecognizer.from_pretrained(run, backend="torch")
    with (run / "student.json").open("r+b") as file:
        file.truncate(1 << 40)  # a sparse terabyte
    refused(run, f"student.json has {1 << 40} bytes", check=check_folder)


def test_the_student_in_the_package_is_the_default_and_its_exported_file_needs_no_pytorch(released, monkeypatch):
    monkeypatch.setattr(hub, "PRETRAINED", released)
    monkeypatch.delattr(contents, "_built")
    recognizer = EmotionRecognizer.from_pretrained()
    assert recognizer.engine.backend == "onnx"
    np.testing.assert_array_equal(recognizer.engine(SOUND), open_engine(released)(SOUND))
    with pytest.raises(NameError):
        EmotionRecognizer.from_pretrained(backend="torch")
