"""From a finished run to a bundle and a repository: what is written, what the card says, and what is refused."""

import json
import shutil
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from akd_toolkit.cli import main
from akd_toolkit.deploy.release import release as release_module
from akd_toolkit.deploy.release.metadata import KNOWN, gather, student_licence, without_paths
from akd_toolkit.deploy.release.release import plain, release
from akd_toolkit.experiment.stored import Experiment
from akd_toolkit.inference.bundle import check_bundle
from akd_toolkit.inference.engine import open_engine
from akd_toolkit.inference.hub import resolve_source, upload
from akd_toolkit.inference.released import ReleasedStudent

RUN = "seed17/fold1/outer"
SOUND = np.random.default_rng(0).standard_normal((2, 9600)).astype(np.float32) * 0.1


@pytest.fixture
def no_export(monkeypatch, released):
    """Exporting takes seconds: the file that was exported once is copied."""

    def copy(run_folder, format, precision, to):
        name = "student.onnx" if precision == "fp32" else f"student.{precision}.onnx"
        shutil.copyfile(released / "student.onnx", to / name)
        (to / f"{name}.parity.json").write_text("{}")
        report = {"file": name, "utterances": 12, "changed_decisions": 3, "ua_before": 0.5, "ua_after": 0.25}
        return SimpleNamespace(file=to / name, as_dict=lambda: report)

    monkeypatch.setattr(release_module, "export_run", copy)


@pytest.fixture
def token(monkeypatch):
    monkeypatch.setenv("HF_TOKEN", "hf_a_token_of_the_tests")


def card_data(folder):
    from huggingface_hub import ModelCard

    return ModelCard.load(folder / "README.md").data


def tree(folder) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in Path(folder).rglob("*") if path.is_file()}


def change_json(path, **changes):
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


def test_a_bundle_holds_the_student_with_its_results(released):
    run = released.parent / "experiment" / RUN
    assert (released / "student.safetensors").read_bytes() == (run / "student.safetensors").read_bytes()
    expected = open_engine(run, "torch")(SOUND)
    np.testing.assert_array_equal(open_engine(released, "torch")(SOUND), expected)
    np.testing.assert_allclose(open_engine(released, "onnx")(SOUND), expected, atol=1e-5)
    about = json.loads((released / "student.json").read_text())
    assert about["student"]["name"] == "micro_cnn" and about["label_order"] == ["anger", "sadness", "neutral"]
    assert (about["train_speakers"], about["test_speakers"]) == (["C", "D"], ["A", "B"])
    assert (about["window_s"], about["test_overlap_s"]) == (1.0, 0.5) and "seconds" not in about
    scores = json.loads((released / "scores.json").read_text())
    assert scores["this_student"]["ua"]["pooled"] == 66.67 and scores["experiment"]["folds"] == 2
    assert scores["runs"] == {"done": 2, "planned": 2} and scores["licence"] == "apache-2.0"
    assert {one["verdict"] for one in scores["audit"]} == {"proved", "not_proved"}
    parity = scores["exported"]["fp32"]
    assert (parity["utterances"], parity["changed_decisions"]) == (12, 0)
    assert parity["parity"]["largest_difference"] < 1e-4


def test_the_card_shows_the_stored_scores(released):
    card = (released / "README.md").read_text()
    # Anger is never right, sadness and neutral always: UA and WA 2/3, macro-F1 (0 + 2/3 + 1) / 3.
    assert card.count("66.7 [66.7, 66.7] | 66.7 [66.7, 66.7] | 55.6 |") == 2  # this student, and its recipe
    for key in ("| anger | 0.0 | 0.0 |", "(C, D); scored on 2 (A, B)", "no leak found", "CC0 1.0", "commit 0a1b2c3"):
        assert key in card
    assert "NOT speaker-independent" not in card and "compress" not in card
    data = card_data(released)
    assert (data.license, data.pipeline_tag, data.language) == ("apache-2.0", "audio-classification", "de")
    metrics = [(one.dataset_split, one.metric_type, one.metric_value) for one in data.eval_results]
    assert metrics == [("fold 1: speakers A, B", name, 66.67) for name in ("accuracy", "recall")]


def test_speechbrain_s_own_pretrained_loads_a_bundle(released, tmp_path):
    from speechbrain.inference.interfaces import Pretrained

    loaded = Pretrained.from_hparams(source=str(released), savedir=str(tmp_path / "saved"))
    logits = loaded.mods.student(torch.from_numpy(SOUND)).logits
    expected = open_engine(released, "torch")(SOUND)
    np.testing.assert_allclose(logits.softmax(-1).numpy(), expected, atol=1e-6)
    assert loaded.hparams.label_order == ["anger", "sadness", "neutral"] and loaded.hparams.sample_rate == 16000
    assert loaded.hparams.opt_class == {"class": "torch.optim.AdamW", "lr": 0.1}
    assert plain(("a", {"!new:x.Y": None, "z": 1})) == ["a", {"!new:x.Y": None, "z": 1}]  # not only a call


def test_a_student_is_pushed_to_the_hub_and_comes_back(hub, token, released, tmp_path):
    commit = ReleasedStudent.from_pretrained(released).push_to_hub("me/emotion", private=True)
    assert hub.repositories["me/emotion"].private
    student = ReleasedStudent.from_pretrained("me/emotion", revision=commit, cache_folder=tmp_path / "kept")
    assert tree(student.folder) == tree(released) and student.about["label_order"] == ["anger", "sadness", "neutral"]
    student.push_to_hub("me/copy")
    assert "student.onnx" in hub.repositories["me/copy"].commits[hub.repositories["me/copy"].at("main")]
    assert upload(released, "me/emotion", revision="next") == hub.repositories["me/emotion"].refs["next"]


def test_no_path_of_this_machine_is_in_a_bundle(make_experiment, no_export, tmp_path):
    teachers = {"big": {"name": "transformers_encoder", "source": "/home/somebody/models/big"}}
    noise = [{"name": "noise", "folder": "/home/somebody/noise"}]
    candidates = [{"teachers.big.source": "/home/somebody/models/big2"}]
    folder = make_experiment(teachers=teachers, augment=noise, candidates=candidates)
    for path in folder.glob("seed17/*/outer/student.json"):
        change_json(path, candidate=candidates[0])
    before = tree(folder)
    bundle = release(folder / RUN, tmp_path / "out", sound=False)
    assert tree(folder) == before
    texts = {name: text.decode() for name, text in tree(bundle).items() if name.endswith((".json", ".md", ".yaml"))}
    assert not any("somebody" in text or str(tmp_path) in text for text in texts.values())
    assert json.loads(texts["student.json"])["candidate"] == {"teachers.big.source": "big2"}
    assert "source: big2" in texts["hyperparams.yaml"] and "teachers.big" not in texts["hyperparams.yaml"]
    assert "teacher big (`big`)" in texts["README.md"]
    text = f"/home/somebody/models/big2 and {folder.resolve()}/x"  # the longer of two paths first
    assert without_paths(text, Experiment.read(folder)) == f"big2 and {folder.name}/x"


def test_the_package_s_own_student_is_loaded_without_a_name_and_its_card_has_the_tables_of_studies(
    make_experiment, no_export, tmp_path, monkeypatch
):
    monkeypatch.setattr(release_module, "PRETRAINED", tmp_path / "out")
    folder = make_experiment(corpus="EmoDB+RAVDESS")
    (folder / "studies/noise").mkdir(parents=True)
    page = "# In noise\n\nProtocol.\n\n| a | b |\n|---|--:|\n| c | 1 |\n\n## More\n\n| x |\n"
    (folder / "studies/noise/table.md").write_text(page)
    options = {"precisions": ("int8",), "weights": False, "sound": False}
    bundle = release(folder / RUN, tmp_path / "out", **options)
    assert sorted(tree(bundle)) == ["README.md", "bundle.json", "scores.json", "student.json", "student.onnx"]
    card = (bundle / "README.md").read_text()
    assert "### In noise\n\n| a | b |\n|---|--:|\n| c | 1 |\n\n#" in card and "With SpeechBrain" not in card
    assert "| the student, with labels | RAVDESS |" in card and card_data(bundle).license == "cc-by-nc-sa-4.0"
    assert "from_pretrained()" in card and "`akd predict speech.wav`" in card and "path/to" not in card
    with pytest.raises(ValueError, match="fp32 int8"):
        release(folder / RUN, tmp_path / "two", **options | {"precisions": ("fp32", "int8")})


def test_a_leak_is_not_released(make_experiment, no_export, tmp_path):
    folder = make_experiment()
    change_json(folder / "seed17/fold2/outer/student.json", train_speakers=["A", "B", "C"])
    with pytest.raises(ValueError, match="leak.*fold2.*speaker C") as caught:
        release(folder / RUN, tmp_path / "out", sound=False)
    assert "\n" not in str(caught.value) and [path.name for path in tmp_path.iterdir()] == ["experiment"]


def test_scores_without_known_speakers_are_marked(make_experiment, no_export, tmp_path):
    run = make_experiment(speaker_independent=False, corpus="EmoDB") / RUN
    folder = release(run, tmp_path / "out", sound=False)
    card = (folder / "README.md").read_text()
    assert "# EmoDB (NOT speaker-independent): 3 emotions" in card and "> **NOT speaker-independent.**" in card
    assert "12 utterances of EmoDB" in card and card_data(folder).eval_results is None
    about = json.loads((folder / "student.json").read_text())
    assert about["corpus"] == "EmoDB (NOT speaker-independent)" and about["train_speakers"] == []


def test_unknown_terms_need_a_licence(make_experiment, no_export, tmp_path):
    run = make_experiment(corpus="Our calls") / RUN
    with pytest.raises(ValueError, match="Our calls .*--licence"):
        release(run, tmp_path / "out", sound=False)
    folder = release(run, tmp_path / "out", licence="our-company-1.0", sound=False)
    assert (card_data(folder).license, card_data(folder).license_name) == ("other", "our-company-1.0")
    with pytest.raises(ValueError, match="do what you like!"):
        release(run, tmp_path / "out", licence="do what you like!", sound=False)
    with pytest.raises(ValueError, match="IEMOCAP .*https://sail.usc.edu/iemocap.*--licence"):
        student_licence(["EmoDB", "IEMOCAP"])
    assert student_licence(["EmoDB", "CREMA-D", "RAVDESS"]) == "cc-by-nc-sa-4.0"
    for corpus, terms in KNOWN.items():
        assert terms.licence and terms.source and (not terms.student or student_licence([corpus]) == terms.student)


def test_speech_without_labels_counts_as_training_data(make_experiment):
    folder = make_experiment(unlabelled_hash={"unlabelled": "0123456789ab"})
    change_json(folder / "plan.json", recipe="akd+RAVDESS")
    assert gather(*Experiment.of_run(folder / RUN), [])["unlabelled"] == ["RAVDESS"]
    change_json(folder / "plan.json", recipe="akd")
    with pytest.raises(ValueError, match="without labels"):
        release(folder / RUN, folder.parent / "out", sound=False)


def compressed(folder, steps) -> Path:
    """Students of both folds as ``akd compress`` leaves them; the first one."""
    for fold in (1, 2):
        step = folder / f"compressed/seed17/fold{fold}/1-{steps[0]['name']}"
        shutil.copytree(folder / f"seed17/fold{fold}/outer", step)
        change_json(step / "student.json", compressed_by=steps)
        for name in ("metrics.csv", "audit.json"):
            (step / name).unlink()
    return folder / f"compressed/seed17/fold1/1-{steps[0]['name']}"


def test_a_compressed_student_is_described(make_experiment, no_export, tmp_path):
    folder = make_experiment()
    steps = [{"name": "prune", "share": 0.25, "epochs": 12}]
    run = compressed(folder, steps)
    out = release(run, tmp_path / "out", sound=False)
    card, settings = ((out / name).read_text() for name in ("README.md", "hyperparams.yaml"))
    assert "prune (share 0.25, epochs 12)." in card and "compressed_by" in settings
    assert json.loads((out / "student.json").read_text())["compressed_by"] == steps
    other = [{"name": "prune", "share": 0.5}]
    change_json(folder / "compressed/seed17/fold2/1-prune/student.json", compressed_by=other)
    with pytest.raises(ValueError, match="fold2/1-prune"):
        release(run, out, sound=False)
    shutil.rmtree(folder / "compressed/seed17/fold2")
    card = (release(run, out, sound=False) / "README.md").read_text()
    assert "1 of 2 students are compressed like it" in card and "its recipe" not in card


def test_only_a_bundle_is_replaced(make_experiment, no_export, tmp_path):
    run, out = make_experiment() / RUN, tmp_path / "out"
    out.mkdir()
    for _ in range(2):  # without and with a bundle beside it
        (out / "thesis.txt").write_text("years of work")
        with pytest.raises(FileExistsError, match="out holds"):
            release(run, out, sound=False)
        assert (out / "thesis.txt").read_text() == "years of work"
        (out / "thesis.txt").unlink()
        release(run, out, licence="mit", sound=False)
    assert json.loads((out / "student.json").read_text())["licence"] == "mit"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["experiment", "out"]


@pytest.mark.parametrize("stopped_at", ["export_run", "check_bundle"])
@pytest.mark.parametrize("stop", [KeyboardInterrupt, ValueError])
def test_a_stopped_release_changes_nothing(
    make_experiment, no_export, released, tmp_path, monkeypatch, stopped_at, stop
):
    run, out = make_experiment() / RUN, shutil.copytree(released, tmp_path / "out")
    before = tree(out)

    def stops(*args, **options):
        raise stop("stopped")

    monkeypatch.setattr(release_module, stopped_at, stops)
    with pytest.raises(stop):
        release(run, out, sound=False)
    assert tree(out) == before and sorted(path.name for path in tmp_path.iterdir()) == ["experiment", "out"]


def test_an_upload_replaces_a_bundle_and_nothing_else(hub, token, released, bundle, tmp_path):
    hub.put("me/emotion", released)
    repository = hub.repositories["me/emotion"]
    repository.commit({**repository.commits[repository.at("main")], "student.int8.onnx": b"of an older release"})
    upload(released, "me/emotion")
    assert "student.int8.onnx" not in repository.commits[repository.at("main")]
    resolve_source("me/emotion", cache_folder=tmp_path / "kept")
    repository.commit({"model.gguf": b"somebody's work"})
    with pytest.raises(ValueError, match="me/emotion holds model.gguf"):
        upload(released, "me/emotion")
    assert set(repository.commits[repository.at("main")]) == {"model.gguf"}
    hub.requests.clear()
    (bundle / "student.onnx").unlink()
    with pytest.raises(ValueError, match="student.onnx is missing"):
        upload(bundle, "me/emotion")
    assert hub.requests == []


def test_an_upload_that_fails_is_explained_in_one_sentence(hub, released, monkeypatch):
    from huggingface_hub import constants

    with pytest.raises(PermissionError, match="me/emotion .*HF_TOKEN"):
        upload(released, "me/emotion")
    monkeypatch.setenv("HF_TOKEN", "hf_a_token_of_the_tests")
    hub.faults["api"] = 500
    with pytest.raises(ConnectionError, match="500 for me/emotion"):
        upload(released, "me/emotion")
    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(ConnectionError, match="http://127.0.0.1:9 .*me/emotion"):
        upload(released, "me/emotion")


def test_the_command_releases_to_a_folder_and_to_the_hub(
    hub, token, make_experiment, no_export, tmp_path, monkeypatch, capsys
):
    run = str(make_experiment() / RUN)
    monkeypatch.chdir(tmp_path)
    assert main(["release", run, "--to", "./a/bundle", "--no-sound"]) == 0
    check_bundle("a/bundle")
    assert main(["release", run, "--to", "me/emotion", "--no-sound", "--private", "--licence", "mit"]) == 0
    commit = hub.repositories["me/emotion"].at("main")
    assert commit in capsys.readouterr().out
    card = hub.repositories["me/emotion"].commits[commit]["README.md"].decode()
    assert 'from_pretrained("me/emotion")' in card and "license: mit" in card
    for words, key in ((["--private"], "--private"), (["--precision", "int4"], "int4")):
        assert main(["release", run, "--to", "./b", *words]) == 1
        assert key in capsys.readouterr().err
