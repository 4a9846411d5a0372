"""Folders on this disk: without its list a bundle is refused, and no student asks for more than its weights."""

import json
import shutil
import time

import numpy as np
import pytest

from akd_toolkit.deploy.release import check_folder, resolve_source
from akd_toolkit.inference import EmotionRecognizer
from akd_toolkit.inference.engine import open_engine

SOUND = np.random.default_rng(0).standard_normal((1, 16000)).astype(np.float32) * 0.1


def refused(folder, match, **options):
    with pytest.raises(ValueError, match=match) as caught:
        resolve_source(folder, **options)
    assert "\n" not in str(caught.value)


def change(folder, **options):
    path = folder / "student.json"
    told = json.loads(path.read_text())
    path.write_text(json.dumps({**told, "student": {**told["student"], **options}}))


def test_a_bundle_without_its_list_is_refused_until_nothing_tells_it_from_a_run(bundle):
    (bundle / "bundle.json").unlink()
    (bundle / "student.py").write_text("raise SystemExit")
    for name in ("README.md", "hyperparams.yaml", "scores.json"):  # the first by name, each time
        refused(bundle, f"bundle holds {name} as a bundle does, but no bundle.json, by which a bundle is checked; copy")
        (bundle / name).unlink()
    refused(bundle, "holds student.py, and no run leaves code beside its student; move it away if it is yours")
    (bundle / "student.py").unlink()
    assert resolve_source(bundle) == bundle


@pytest.mark.parametrize("options", [{"dim": 60_000}, {"dim": 10**6}, {"source": "owner/other"}, {"name": "os.system"}])
def test_a_student_of_a_run_is_held_to_its_weights_before_it_is_built(make_experiment, options):
    run = make_experiment() / "seed17/fold1/outer"
    change(run, **options)
    begin = time.monotonic()
    with pytest.raises(ValueError, match=r"student.json|unknown student"):
        EmotionRecognizer.from_pretrained(run)
    assert time.monotonic() - begin < 60


def test_a_student_that_is_not_built_is_not_looked_at(make_experiment, released):
    run = make_experiment() / "seed17/fold1/outer"
    shutil.copy(released / "student.onnx", run)
    change(run, dim=60_000)
    assert EmotionRecognizer.from_pretrained(run).engine.backend == "onnx"  # which brings no PyTorch
    refused(run, "asks for a student of more numbers than")
    with pytest.raises(ValueError, match="asks for a student of more numbers than"):
        EmotionRecognizer.from_pretrained(run, backend="torch")


def test_a_huge_file_of_a_run_is_refused_before_it_is_read(make_experiment):
    run = make_experiment() / "seed17/fold1/outer"
    with (run / "student.json").open("r+b") as file:
        file.truncate(1 << 40)  # a sparse terabyte
    refused(run, f"student.json has {1 << 40} bytes, and at most 1048576 are allowed")


def test_a_run_with_all_that_is_ever_left_in_it_passes(make_experiment, released):
    run = make_experiment() / "seed17/fold1/outer"
    expected = open_engine(run)(SOUND)
    for name in ("student.torchscript.pt", "step.json", "running.json", ".DS_Store", "notes.txt"):
        (run / name).write_text("{}")
    (run / "heads").mkdir()
    check_folder(run)
    np.testing.assert_array_equal(open_engine(resolve_source(run))(SOUND), expected)
