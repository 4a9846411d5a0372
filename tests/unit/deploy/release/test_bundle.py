"""What a bundle may hold: every other file, and every file that is not what its name says, is refused by name."""

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

from akd_toolkit.deploy.release import DamagedFile, check_bundle, is_bundle
from akd_toolkit.inference.bundle import ALLOWED, write_list


class Runs:
    """Leaves a file behind when unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return (os.mkdir, (str(self.path),))


def refused(folder, match, error=ValueError):
    with pytest.raises(error, match=match) as caught:
        check_bundle(folder)
    assert "\n" not in str(caught.value)
    return caught.value


def put(folder, name, content):
    """A file with its right size and sum in bundle.json, so that only its content is wrong."""
    (folder / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    write_list(folder)


def put_settings(folder, **changes):
    settings = json.loads((folder / "student.json").read_text())
    put(folder, "student.json", json.dumps({**settings, **changes}))


def put_option(folder, **options):
    settings = json.loads((folder / "student.json").read_text())
    put_settings(folder, student={**settings["student"], **options})


def test_what_release_wrote_passes(released):
    told = check_bundle(released)
    assert told["format"] == 1 and is_bundle(released)
    assert set(told["files"]) == {path.name for path in released.iterdir()} - {"bundle.json"} <= set(ALLOWED)


def test_a_folder_that_is_no_bundle_is_told_apart(tmp_path):
    assert not is_bundle(tmp_path)
    refused(tmp_path, r"is no bundle \(bundle.json is missing\)", FileNotFoundError)
    refused(tmp_path / "none", "is no bundle", FileNotFoundError)


@pytest.mark.parametrize(
    "name",
    [
        "code.py",
        "notebook.ipynb",
        "model.pkl",
        "model.pt",
        "pytorch_model.bin",
        "lib.so",
        "custom.yaml",
        "run.sh",
        "a.npy",
    ],
)
def test_a_kind_of_file_that_may_run_is_refused_by_name(bundle, name):
    (bundle / name).write_bytes(b"anything")
    refused(bundle, f"holds {name}, and no bundle holds a kind of file that may run code")


@pytest.mark.parametrize("name", ["notes.txt", ".hidden", "student.onnx.data", "Student.json", "student.json "])
def test_any_other_file_is_refused_by_name(bundle, name):
    (bundle / name).write_bytes(b"anything")
    refused(bundle, f"holds (hidden file )?{name}, which is no part of a bundle")


def test_a_hidden_file_that_the_system_put_there_is_to_be_deleted(bundle):
    (bundle / ".DS_Store").write_bytes(b"anything")
    refused(bundle, r"holds hidden file .DS_Store, which is no part of a bundle \(.*\); delete it\.$")


def test_a_folder_in_a_bundle_is_refused(bundle):
    (bundle / "more").mkdir()
    refused(bundle, "holds more, which is no part of a bundle")
    shutil.rmtree(bundle / "more")
    (bundle / "LICENSE").mkdir()
    refused(bundle, "LICENSE is no plain file")


def test_links_out_of_a_bundle_are_refused(bundle, tmp_path):
    outside = tmp_path / "outside.json"
    shutil.move(bundle / "student.json", outside)
    (bundle / "student.json").symlink_to(outside)
    refused(bundle, "student.json is a symbolic link to .*outside.json, and a bundle holds none")
    check_bundle(bundle, links_into=tmp_path)  # as a download lies in its cache
    outside.unlink()
    with pytest.raises(DamagedFile, match="student.json leads to a file that is not there"):
        check_bundle(bundle, links_into=tmp_path)


@pytest.mark.parametrize("name", ["student.safetensors", "student.json", "student.onnx", "scores.json"])
def test_missing_truncated_and_changed_files_are_named(bundle, name):
    content = (bundle / name).read_bytes()
    (bundle / name).write_bytes(content[:-1])
    assert refused(bundle, f"{name} is truncated: {len(content) - 1} of {len(content)} bytes", DamagedFile).name == name
    (bundle / name).write_bytes(content + b" ")
    refused(bundle, f"{name} is too long", DamagedFile)
    (bundle / name).write_bytes(content[:-2] + bytes([content[-2] ^ 1]) + content[-1:])
    refused(bundle, f"{name} has SHA-256", DamagedFile)
    (bundle / name).unlink()
    refused(bundle, f"{name} is missing, though bundle.json lists it", DamagedFile)


def test_the_card_may_be_mended_and_a_licence_added(bundle):
    (bundle / "README.md").write_text("# Mended\n")
    (bundle / "LICENSE").write_text("Do what you like.\n")
    check_bundle(bundle)
    (bundle / "README.md").unlink()
    check_bundle(bundle)


def test_a_file_that_the_list_does_not_know_is_refused(bundle):
    shutil.copy(bundle / "student.onnx", bundle / "student.int8.onnx")
    refused(bundle, "holds student.int8.onnx, which its bundle.json does not list")


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (
            '{"format": 2, "files": {}}',
            r"has format 2, and this toolkit \(.*\) reads format 1; install the akd_toolkit",
        ),
        ('{"files": {}}', "has format None"),
        ('{"format": 1, "files": {}}', "does not list student.json, without which there is no student"),
        ('{"format": 1, "files": {"../x": {"size": 1, "sha256": ""}}}', "does not list size and SHA-256 of allowed"),
        ('{"format": 1, "files": {"student.json": {"size": "1", "sha256": ""}}}', "does not list size and SHA-256"),
        ('{"format": 1, "files": []}', "does not list size and SHA-256 of allowed files"),
        ("[]", "is no plain JSON .it holds no names and values"),
        ("{", "is no plain JSON"),
    ],
)
def test_a_list_that_is_no_list_is_refused(bundle, content, told):
    (bundle / "bundle.json").write_text(content)
    refused(bundle, f"bundle.json {told}")


@pytest.mark.parametrize(
    "name", ["student.safetensors", "student.json", "student.onnx", "README.md", "hyperparams.yaml"]
)
def test_a_pickle_or_a_program_under_another_name_is_refused_and_never_run(bundle, tmp_path, name):
    trap, archive = tmp_path / "ran", tmp_path / "archive.zip"
    torch.save({"weights": torch.zeros(2)}, archive)
    with zipfile.ZipFile(archive) as opened:
        assert any(entry.endswith(".pkl") for entry in opened.namelist())
    for protocol in (2, 4):
        put(bundle, name, pickle.dumps(Runs(trap), protocol=protocol))
        refused(bundle, f"{name} is a Python pickle, not what its name says")
    put(bundle, name, archive.read_bytes())
    refused(bundle, f"{name} is a ZIP archive, as PyTorch's pickles are, not what its name says")
    for begin, what in ((b"\x7fELF", "a program"), (b"MZ", "a program"), (b"#!/bin/sh\n", "a script")):
        put(bundle, name, begin + b"rest of it")
        refused(bundle, f"{name} is {what}, not what its name says")
    if name not in ("README.md", "hyperparams.yaml"):  # which may hold any plain text, and are never read
        put(bundle, name, pickle.dumps(Runs(trap), protocol=0))
        refused(bundle, f"{name} is (no plain JSON|no safetensors file|not an ONNX file)")
    assert not trap.exists()


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("a: 1\nmodel: !new:os.system {command: date}\n", "calls !new:os.system in line 2"),
        ("!apply:os.system [date]\n", "calls !apply:os.system in line 1"),
        ("x: !name:torch.nn.Linear\n", "calls !name:torch.nn.Linear in line 1"),
        (
            "x: !!python/object/apply:os.system [date]\n",
            "calls tag:yaml.org,2002:python/object/apply:os.system in line 1",
        ),
        ("x: !include:/etc/passwd\n", "calls !include:/etc/passwd in line 1"),
        ("x: !ref <y>\n", "calls !ref in line 1"),
        ("a: &x [1]\nb: *x\n", "names the anchor x in line 1"),
        ("[" * 100 + "]" * 100, "is nested more than 32 deep"),
        ("a: [1\n", "is no plain YAML"),
        ("a: 1\0", "is no text, as it holds null bytes"),
        (b"\xff\xfe\xff", "is no text in UTF-8"),
    ],
)
def test_yaml_that_calls_anything_is_refused_by_name(bundle, text, told):
    put(bundle, "hyperparams.yaml", text)
    refused(bundle, f"hyperparams.yaml {told}")


def test_the_head_of_a_card_is_held_to_the_same(bundle):
    put(bundle, "README.md", "---\nlicense: !new:os.system {}\n---\n# Student\n")
    refused(bundle, "README.md calls !new:os.system in line 1")
    put(bundle, "README.md", "---\nlicense: mit\n---\nHyperPyYAML writes !new:os.system here.\n")
    check_bundle(bundle)


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ('{"a": NaN}', "NaN is no JSON"),
        ('{"a": 1, "a": 2}', "a name appears twice"),
        ("[" * 100_000, "is nested more than 32 deep|is no plain JSON"),
        ('{"a": ' + "[" * 40 + "]" * 40 + "}", "is nested more than 32 deep"),
        ("", "is no plain JSON"),
    ],
)
def test_json_that_is_not_plain_is_refused(bundle, content, told):
    put(bundle, "scores.json", content)
    refused(bundle, f"scores.json .*({told})")


def test_a_huge_file_is_refused_before_it_is_read(bundle):
    with (bundle / "student.json").open("r+b") as file:
        file.truncate(1 << 40)  # a sparse terabyte
    begin = time.monotonic()
    refused(bundle, f"student.json has {1 << 40} bytes, and at most 1048576 are allowed")
    assert time.monotonic() - begin < 60


@pytest.mark.parametrize(
    ("option", "told"),
    [
        ({"dim": 10**9}, "dim is 1000000000, more than 65536"),
        ({"dim": 60_000}, "asks for a student of more numbers than the [0-9]+ that student.safetensors holds"),
        ({"channels": [30_000, 30_000]}, "asks for a student of more numbers than"),
        ({"num_mels": 65_536}, r"holds input_norm.running_mean as \[64\]"),
        ({"dilations": [1] * 65}, "dilations has 65 entries, at most 64 are allowed"),
        ({"dilations": [1] * 64}, "student.safetensors does not hold blocks.10"),
        ({"dim": 24}, r"student.safetensors holds fuse.weight as \[16, 128\], and the student"),
        ({"dim": "16"}, "describes no student that this toolkit builds"),
        ({"dim": -1}, "describes no student that this toolkit builds"),
        ({"dim": None}, "describes no student that this toolkit builds"),
        ({"width": 3}, "student 'micro_cnn': got an unexpected keyword argument 'width'"),
        ({"num_classes": 3}, "describes no student that this toolkit builds"),
        ({"normalize": "/etc/passwd"}, "normalize '/etc/passwd' names a place, and a bundle reads no other"),
        ({"name": "os.system"}, "unknown student 'os.system'"),
        ({"name": "micro_cmn"}, "Did you mean 'micro_cnn'"),
        ({"source": "openai/whisper-tiny"}, "begins from openai/whisper-tiny, and a bundle holds all of its student"),
    ],
)
def test_a_student_that_cannot_be_is_refused_without_building_it(bundle, option, told):
    put_option(bundle, **option)
    tracemalloc.start()
    begin = time.monotonic()
    refused(bundle, f"student.(json|safetensors) .*({told})|{told}")
    assert time.monotonic() - begin < 60
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 200e6


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"label_order": ["anger"]}, "label_order must be a list of 2 to 1000 different names"),
        ({"label_order": ["a", "a", "b"]}, "label_order must be a list of 2 to 1000 different names"),
        ({"label_order": ["a", "b\x1b[2J", "c"]}, "label_order must be a list of 2 to 1000 different names"),
        ({"label_order": "abc"}, "label_order must be a list"),
        ({"label_order": ["sadness", "anger", "neutral"]}, "student.onnx has label_order anger, sadness, neutral, and"),
        ({"label_order": ["a", "b", "c", "d"]}, r"student.safetensors holds classifier.* as \[3"),
        ({"attributes": [1]}, "attributes must be a list of 0 to 1000 different names"),
        ({"attributes": ["valence"]}, "student.safetensors does not hold regressor"),
        ({"sample_rate_hz": 8000}, "sample_rate_hz must be 16000, got 8000"),
        ({"window_s": 1e9}, "window_s must be from 0.1 to 60"),
        ({"window_s": "3"}, "window_s must be a number of seconds, got 3"),
        ({"test_overlap_s": 1.0}, "test_overlap_s from 0 to less than that, got 1.0 and 1.0"),
        ({"student": "micro_cnn"}, "names no student"),
        ({"student": {}}, "names no student"),
    ],
)
def test_settings_that_cannot_be_are_refused(bundle, changes, told):
    put_settings(bundle, **changes)
    refused(bundle, told)


def test_weights_are_looked_at_before_they_are_read(bundle):
    weights = bundle / "student.safetensors"
    tensors = load_file(weights)
    save_file({**tensors, "trojan": torch.zeros(2)}, weights)
    write_list(bundle)
    refused(bundle, "student.safetensors also holds trojan, unlike the student of student.json")
    save_file({f"t{number}": torch.zeros(1) for number in range(10_001)}, weights)
    write_list(bundle)
    refused(bundle, "holds 10001 tensors, and at most 10000 are allowed")
    put(bundle, "student.safetensors", (2**40).to_bytes(8, "little") + b"{}")
    refused(bundle, "student.safetensors is no safetensors file")


def test_an_exported_file_that_reads_another_is_refused(bundle):
    path = bundle / "student.onnx"
    model = onnx.load(path)
    tensor = model.graph.initializer[0]
    tensor.ClearField("raw_data")
    tensor.data_location = onnx.TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="../../etc/passwd")
    onnx.save(model, path)
    write_list(bundle)
    refused(bundle, "student.onnx keeps weights in other files")


def test_a_tensor_of_another_file_is_found_inside_a_branch_too(bundle):
    outside = onnx.helper.make_tensor("far", onnx.TensorProto.FLOAT, [1], np.zeros(1, np.float32).tobytes(), raw=True)
    outside.data_location = onnx.TensorProto.EXTERNAL
    inner = onnx.helper.make_graph([onnx.helper.make_node("Constant", [], ["y"], value=outside)], "inner", [], [])
    model = onnx.load(bundle / "student.onnx")
    model.graph.node.append(onnx.helper.make_node("If", ["waveform"], ["z"], then_branch=inner, else_branch=inner))
    put(bundle, "student.onnx", model.SerializeToString())
    refused(bundle, "student.onnx keeps weights in other files")


def test_an_operator_that_is_no_standard_is_refused(bundle):
    model = onnx.load(bundle / "student.onnx")
    model.graph.node[0].domain = "com.evil"
    put(bundle, "student.onnx", model.SerializeToString())
    refused(bundle, "student.onnx calls .* of 'com.evil', which is not of the ONNX standard")


@pytest.mark.parametrize(
    ("key", "value", "told"),
    [
        ("label_order", '["sadness", "anger", "neutral"]', "has label_order sadness, anger, neutral, and student.json"),
        ("sample_rate_hz", "8000", "has sample_rate_hz 8000, and student.json 16000"),
        ("sample_rate_hz", "1", "does not say what it needs .*at 1 Hz"),
        ("window_s", "2.0", "has window_s 2.0, and student.json 1.0"),
        ("test_overlap_s", "0.0", "has test_overlap_s 0.0, and student.json 0.5"),
        ("window_s", "nan", "does not say what it needs"),
        ("label_order", "3", "does not say what it needs"),
    ],
)
def test_an_exported_file_says_the_same_as_the_settings(bundle, key, value, told):
    model = onnx.load(bundle / "student.onnx")
    (entry,) = (entry for entry in model.metadata_props if entry.key == key)
    entry.value = value
    put(bundle, "student.onnx", model.SerializeToString())
    refused(bundle, f"student.onnx {told}")


def test_an_onnx_file_of_others_is_refused(bundle):
    node = onnx.helper.make_node("Relu", ["x"], ["y"])
    model = onnx.helper.make_model(onnx.helper.make_graph([node], "g", [], []))
    put(bundle, "student.onnx", model.SerializeToString())
    refused(bundle, "student.onnx does not say what it needs .*it was not written by export_onnx")
    put(bundle, "student.onnx", b"")
    refused(bundle, r"student.onnx is no ONNX file \(it holds no graph\)")
