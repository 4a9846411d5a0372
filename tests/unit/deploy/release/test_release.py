"""From a finished run to a bundle and a repository: what is written, what the card says, and what is refused."""

import json
import re
import shutil
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from ruamel.yaml import YAML

from akd_toolkit.cli import main
from akd_toolkit.deploy.release import facts
from akd_toolkit.deploy.release import release as release_module
from akd_toolkit.deploy.release.corpora import KNOWN, student_licence, terms_of
from akd_toolkit.deploy.release.facts import gather, private_names
from akd_toolkit.deploy.release.hyperparams import plain
from akd_toolkit.deploy.release.release import release
from akd_toolkit.evaluate.report.page import GENERATED
from akd_toolkit.experiment.stored import Experiment
from akd_toolkit.inference import EmotionRecognizer
from akd_toolkit.inference.bundle import check_bundle
from akd_toolkit.inference.engine import open_engine
from akd_toolkit.inference.hub import resolve_source, upload

RUN = "seed17/fold1/outer"
SOUND = np.random.default_rng(0).standard_normal((2, 9600)).astype(np.float32) * 0.1
# huggingface_hub hands files to its HTTP library in a way that this one calls old.
of_the_library = pytest.mark.filterwarnings("ignore:Use 'content=:DeprecationWarning")


@pytest.fixture
def no_export(monkeypatch, released):
    """Exporting takes seconds: the file that was exported once is copied."""

    def copy(run_folder, format, precision, to):
        name = "student.onnx" if precision == "fp32" else f"student.{precision}.onnx"
        shutil.copyfile(released / "student.onnx", to / name)
        (to / f"{name}.parity.json").write_text("{}")
        told = {"file": name, "utterances": 12, "changed_decisions": 3, "ua_before": 0.5, "ua_after": 0.25}
        return SimpleNamespace(file=to / name, as_dict=lambda: told)

    monkeypatch.setattr(release_module, "export_run", copy)


@pytest.fixture
def front_matter():
    def read(folder) -> dict:
        return YAML(typ="safe").load((Path(folder) / "README.md").read_text().split("---\n")[1])

    return read


def tree(folder) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in Path(folder).rglob("*") if path.is_file()}


def change_json(path, **changes):
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


def test_a_bundle_holds_the_student_and_answers_as_it_does(released):
    run = released.parent / "experiment" / RUN
    assert (released / "student.safetensors").read_bytes() == (run / "student.safetensors").read_bytes()
    expected = open_engine(run, "torch")(SOUND)
    np.testing.assert_array_equal(open_engine(released, "torch")(SOUND), expected)
    np.testing.assert_allclose(open_engine(released, "onnx")(SOUND), expected, atol=1e-5)
    about = json.loads((released / "student.json").read_text())
    assert about["student"]["name"] == "micro_cnn" and about["label_order"] == ["anger", "sadness", "neutral"]
    assert (about["train_speakers"], about["test_speakers"]) == (["C", "D"], ["A", "B"])
    assert (about["window_s"], about["test_overlap_s"], about["licence"]) == (1.0, 0.5, "apache-2.0")
    assert "seconds" not in about
    engine = open_engine(released)
    assert (engine.backend, engine.window_s, engine.overlap_s) == ("onnx", 1.0, 0.5)


def test_the_card_says_what_the_stored_scores_say(released, front_matter):
    card = (released / "README.md").read_text()
    assert "# EmoDB: 3 emotions in speech, 0.00 M parameters" in card
    # Anger is never right, sadness and neutral always: UA and WA 2/3, macro-F1 (0 + 2/3 + 1) / 3.
    row = "| **this student** (fold 1, seed 17) | 2 | 12 | 66.7 [66.7, 66.7] | 66.7 [66.7, 66.7] | 55.6 |"
    assert row in card
    assert "| its recipe: 2 folds, 1 seed | 4 | 24 | 66.7 [66.7, 66.7] | 66.7 [66.7, 66.7] | 55.6 |" in card
    assert "| anger | 0.0 | 0.0 |" in card and "| sadness | 100.0 | 100.0 |" in card
    assert "Trained on 2 speakers of EmoDB (C, D); scored on 2 (A, B)." in card
    assert "no leak found" in card and "CC0 1.0" in card and "commit 0a1b2c3" in card
    assert "NOT speaker-independent" not in card
    assert "optional input `lengths` [batch], float32" in card
    head = front_matter(released)
    assert (head["license"], head["pipeline_tag"], head["language"]) == ("apache-2.0", "audio-classification", "de")
    (entry,) = head["model-index"]
    (result,) = entry["results"]
    assert result["dataset"] == {"name": "EmoDB", "type": "emodb", "split": "fold 1: speakers A, B"}
    assert [(m["type"], m["value"]) for m in result["metrics"]] == [("accuracy", 66.67), ("recall", 66.67)]


def test_the_hub_understands_the_head_of_the_card(released):
    from huggingface_hub import ModelCard

    card = ModelCard.load(released / "README.md")
    assert card.data.license == "apache-2.0" and len(card.data.eval_results) == 2


def test_the_code_on_the_card_loads_this_student(released):
    card = (released / "README.md").read_text()
    (source,) = re.findall(r'from_pretrained\("(.*)"\)', card)
    assert source == "path/to/bundle" and "akd predict speech.wav --model path/to/bundle" in card


def test_scores_are_there_as_data(released):
    told = json.loads((released / "scores.json").read_text())
    assert told["this_student"]["ua"]["pooled"] == 66.67 and told["experiment"]["folds"] == 2
    assert told["runs"] == {"done": 2, "planned": 2} and told["licence"] == "apache-2.0"
    assert {one["verdict"] for one in told["audit"]} == {"proved", "not_proved"}


def test_the_yaml_is_to_read_and_calls_nothing(released):
    text = (released / "hyperparams.yaml").read_text()
    told = YAML(typ="safe").load(text)
    assert told["opt_class"] == {"class": "torch.optim.AdamW", "lr": 0.1} and told["sample_rate"] == 16000
    assert "!" not in text and text.startswith("# How this student was trained")
    assert plain(("a", {"!new:x.Y": None, "z": 1})) == ["a", {"!new:x.Y": None, "z": 1}]  # not a call alone


def test_no_path_of_this_machine_is_in_a_bundle(make_experiment, no_export, tmp_path):
    teachers = {"big": {"name": "transformers_encoder", "source": "/home/somebody/models/big"}}
    noise = [{"name": "noise", "folder": "/home/somebody/noise"}]
    candidates = [{"teachers.big.source": "/home/somebody/models/big2"}]
    folder = make_experiment(teachers=teachers, augment=noise, candidates=candidates)
    for path in folder.glob("seed17/*/outer/student.json"):
        change_json(path, candidate=candidates[0])
    run = folder / RUN
    folder = release(run, tmp_path / "out", sound=False)
    texts = {name: content for name, content in tree(folder).items() if not name.endswith((".onnx", ".safetensors"))}
    assert not any(b"somebody" in content or str(tmp_path).encode() in content for content in texts.values())
    assert json.loads(texts["student.json"])["candidate"] == {"teachers.big.source": "big2"}
    assert (
        "source: big2" in texts["hyperparams.yaml"].decode()
        and "teachers.big" not in texts["hyperparams.yaml"].decode()
    )
    assert "teacher big (`big`)" in texts["README.md"].decode()


def test_a_leak_is_named_and_nothing_is_released(make_experiment, no_export, tmp_path):
    folder = make_experiment()
    change_json(folder / "seed17/fold2/outer/student.json", train_speakers=["A", "B", "C"])
    with pytest.raises(ValueError, match=r"has a leak, so its student is not released: .*fold2.*speaker C") as caught:
        release(folder / RUN, tmp_path / "out", sound=False)
    assert "\n" not in str(caught.value) and not (tmp_path / "out").exists()
    assert not list(tmp_path.glob(".out*"))


def test_scores_without_named_speakers_carry_the_mark(make_experiment, no_export, tmp_path, front_matter):
    run = make_experiment(speaker_independent=False, corpus="EmoDB") / RUN
    folder = release(run, tmp_path / "out", sound=False)
    card = (folder / "README.md").read_text()
    assert "# EmoDB (NOT speaker-independent): 3 emotions" in card and "> **NOT speaker-independent.**" in card
    assert "model-index" not in front_matter(folder)  # such numbers are not to be compared
    about = json.loads((folder / "student.json").read_text())
    assert "Trained on 12 utterances of EmoDB; scored on 12. Nobody knows who speaks in them." in card
    assert about["corpus"] == "EmoDB (NOT speaker-independent)" and about["train_speakers"] == []


def test_generated_speech_is_called_that(make_experiment, no_export, tmp_path, front_matter):
    folder = release(make_experiment(corpus="generated") / RUN, tmp_path / "out", sound=False)
    card = (folder / "README.md").read_text()
    assert GENERATED in card and "tones and noise, not speech" in card and "model-index" not in front_matter(folder)


def test_terms_that_are_not_known_need_a_licence(make_experiment, no_export, tmp_path, front_matter):
    run = make_experiment(corpus="Our calls") / RUN
    with pytest.raises(
        ValueError, match="under which terms Our calls may be used is unknown: ask its owner, then name"
    ):
        release(run, tmp_path / "out", sound=False)
    folder = release(run, tmp_path / "out", licence="our-company-1.0", sound=False)
    head = front_matter(folder)
    assert (head["license"], head["license_name"]) == ("other", "our-company-1.0")
    assert "| the student, with labels | Our calls | unknown: ask its owner |" in (folder / "README.md").read_text()
    with pytest.raises(ValueError, match="licence must be an identifier such as apache-2.0"):
        release(run, tmp_path / "out", licence="do what you like!", sound=False)


def test_an_agreement_is_to_be_read_by_who_signed_it(make_experiment, tmp_path):
    run = make_experiment(corpus="IEMOCAP") / RUN
    with pytest.raises(ValueError, match="IEMOCAP comes under an agreement .*https://sail.usc.edu/iemocap.*--licence"):
        release(run, tmp_path / "out", sound=False)


def test_speech_without_labels_counts_as_well(make_experiment):
    folder = make_experiment(unlabelled_hash="0123456789ab")
    change_json(folder / "plan.json", recipe="akd+RAVDESS")
    experiment, run = Experiment.of_run(folder / RUN)
    facts = gather(experiment, run, [])
    assert facts["unlabelled"] == "RAVDESS"
    with pytest.raises(ValueError, match="under which terms the speech without labels"):
        change_json(folder / "plan.json", recipe="akd")
        release(folder / RUN, folder.parent / "out", sound=False)


def test_the_least_free_terms_count():
    assert student_licence(["EmoDB", "CREMA-D", "RAVDESS"]) == "cc-by-nc-sa-4.0"
    assert student_licence(["EmoDB", "CREMA-D"]) == "odbl"
    assert terms_of("Berlin EmoDB") == KNOWN["EmoDB"] or terms_of("emo_db") == KNOWN["EmoDB"]
    assert all(terms.licence and terms.source for terms in KNOWN.values())
    for corpus, terms in KNOWN.items():
        if terms.student is not None:
            assert student_licence([corpus]) == terms.student


def test_an_unfinished_experiment_says_so(make_experiment, no_export, tmp_path):
    folder = make_experiment()
    shutil.rmtree(folder / "seed17/fold2")
    card = (release(folder / RUN, tmp_path / "out", sound=False) / "README.md").read_text()
    assert "Of its experiment, 1 of 2 trainings are done" in card and "its recipe:" not in card


def compressed(folder, steps) -> Path:
    """Students of both folds as ``akd compress`` leaves them; the first one."""
    for fold in (1, 2):
        step = folder / f"compressed/seed17/fold{fold}/1-{steps[0]['name']}"
        shutil.copytree(folder / f"seed17/fold{fold}/outer", step)
        change_json(step / "student.json", compressed_by=steps)
        for name in ("metrics.csv", "audit.json"):
            (step / name).unlink()
    return folder / f"compressed/seed17/fold1/1-{steps[0]['name']}"


def test_the_card_of_a_compressed_student_tells_what_is_of_it_and_what_of_its_origin(
    make_experiment, no_export, tmp_path
):
    folder = make_experiment()
    run = compressed(folder, [{"name": "prune", "share": 0.25, "epochs": 12}])
    out = release(run, tmp_path / "out", sound=False)
    card, settings = ((out / name).read_text() for name in ("README.md", "hyperparams.yaml"))
    assert "After its training it was compressed: prune (share 0.25, epochs 12)." in card
    assert "| its recipe, compressed like it: 2 folds, 1 seed |" in card
    assert "prove of the runs that it was compressed from, of all folds and seeds" in card
    assert "- 2 epochs, set beforehand" in card and "prune took 12 epochs more, on the same training speakers" in card
    told = YAML(typ="safe").load(settings)
    assert (told["compressed_by"], told["number_of_epochs"]) == ([{"name": "prune", "share": 0.25, "epochs": 12}], 2)
    assert "number_of_epochs is of its training before" in settings
    assert json.loads((out / "student.json").read_text())["compressed_by"][0]["name"] == "prune"
    shutil.rmtree(folder / "compressed/seed17/fold2")
    card = (release(run, out, sound=False) / "README.md").read_text()
    assert "Of its experiment, 1 of 2 students are there, compressed like it, so that no seed is scored" in card
    assert "its recipe" not in card


def test_a_student_trained_for_8_bits_is_not_called_one_of_8_bits(make_experiment, no_export, tmp_path):
    run = compressed(make_experiment(), [{"name": "quantize", "mode": "qat", "epochs": 4}])
    (run / "student.int8.onnx").write_text("of the step; a release makes its own")
    card = (release(run, tmp_path / "out", sound=False) / "README.md").read_text()
    assert "trained for weights of 8 bits, with its own still in 32 (quantize, mode qat, epochs 4)." in card
    assert "quantize took 4 epochs more" in card and "student.int8.onnx" not in card


def test_students_that_were_compressed_otherwise_are_not_pooled(make_experiment, no_export, tmp_path):
    folder = make_experiment()
    run = compressed(folder, [{"name": "prune", "share": 0.25}])
    change_json(
        folder / "compressed/seed17/fold2/1-prune/student.json", compressed_by=[{"name": "prune", "share": 0.5}]
    )
    with pytest.raises(ValueError, match="fold2/1-prune was compressed otherwise than .*fold1/1-prune; compress both"):
        release(run, tmp_path / "out", sound=False)


def test_a_student_without_compression_says_nothing_of_it(released):
    for name in ("README.md", "hyperparams.yaml"):
        assert "compress" not in (released / name).read_text()


def test_files_of_other_precisions_come_with_their_parity(make_experiment, no_export, tmp_path):
    folder = release(make_experiment() / RUN, tmp_path / "out", precisions=("int8", "fp16"), sound=False)
    listed = check_bundle(folder)["files"]
    assert {"student.onnx", "student.fp16.onnx", "student.int8.onnx"} <= set(listed)
    told = json.loads((folder / "scores.json").read_text())["exported"]
    assert list(told) == ["fp32", "fp16", "int8"] and told["int8"]["changed_decisions"] == 3
    sentence = (
        "In int8, 3 of 12 utterances of the test are decided otherwise than by the trained module (UA 50.0 -> 25.0)"
    )
    assert sentence in (folder / "README.md").read_text()


def test_every_file_was_compared_with_the_module(released):
    told = json.loads((released / "scores.json").read_text())["exported"]["fp32"]
    assert (told["utterances"], told["changed_decisions"]) == (12, 0)
    assert told["parity"]["largest_difference"] < 1e-4


def test_only_a_finished_run_is_released(make_experiment, tmp_path):
    folder = make_experiment()
    with pytest.raises(FileNotFoundError, match="is not a finished run"):
        release(folder, tmp_path / "out")
    (folder / RUN / "scores.csv").unlink()
    with pytest.raises(FileNotFoundError, match="is not a finished run"):
        release(folder / RUN, tmp_path / "out")


def test_what_is_no_bundle_is_not_replaced_and_a_bundle_is(make_experiment, no_export, tmp_path):
    run, out = make_experiment() / RUN, tmp_path / "out"
    out.mkdir()
    (out / "thesis.txt").write_text("years of work")
    with pytest.raises(FileExistsError, match="out holds something that is no bundle; give another folder"):
        release(run, out, sound=False)
    assert (out / "thesis.txt").read_text() == "years of work"
    (out / "thesis.txt").unlink()
    release(run, out, sound=False)  # an empty folder may be filled
    (out / "thesis.txt").write_text("years of work")
    with pytest.raises(FileExistsError, match="out holds thesis.txt beside a bundle, and would be replaced; move it"):
        release(run, out, sound=False)
    (out / "thesis.txt").unlink()
    release(run, out, licence="mit", sound=False)
    assert json.loads((out / "student.json").read_text())["licence"] == "mit"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["experiment", "out"]


@pytest.mark.parametrize("stopped_at", ["export_run", "write_card", "write_list", "check_bundle"])
@pytest.mark.parametrize("stop", [KeyboardInterrupt, ValueError])
def test_a_stopped_release_leaves_what_was_there(
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


def test_the_run_is_only_read(make_experiment, no_export, tmp_path):
    folder = make_experiment()
    before = tree(folder)
    release(folder / RUN, tmp_path / "out", sound=False)
    assert tree(folder) == before


@of_the_library
def test_uploaded_and_downloaded_it_gives_identical_answers(hub, released, tmp_path, monkeypatch):
    monkeypatch.setenv("HF_TOKEN", "hf_a_token_of_the_tests")
    commit = upload(released, "me/emotion", private=True)
    assert hub.repositories["me/emotion"].private
    folder = resolve_source("me/emotion", revision=commit, cache_folder=tmp_path / "kept")
    assert tree(folder) == tree(released)
    for backend in ("torch", "onnx"):
        np.testing.assert_array_equal(open_engine(folder, backend)(SOUND), open_engine(released, backend)(SOUND))
    assert upload(released, "me/emotion", revision="next") == hub.repositories["me/emotion"].refs["next"]


@of_the_library
def test_an_upload_replaces_the_bundle_that_was_there(hub, released, tmp_path, monkeypatch):
    monkeypatch.setenv("HF_TOKEN", "hf_a_token_of_the_tests")
    hub.put("me/emotion", released)
    repository = hub.repositories["me/emotion"]
    files = {**repository.commits[repository.at("main")], "student.int8.onnx": b"of an older release"}
    repository.commit(files)
    upload(released, "me/emotion")
    assert "student.int8.onnx" not in repository.commits[repository.at("main")]
    check_bundle(resolve_source("me/emotion", cache_folder=tmp_path / "kept"), links_into=tmp_path)


def test_a_repository_that_holds_other_things_is_left_alone(hub, released, monkeypatch):
    monkeypatch.setenv("HF_TOKEN", "hf_a_token_of_the_tests")
    hub.put("me/other", released)
    repository = hub.repositories["me/other"]
    repository.commit({"model.gguf": b"somebody's work"})
    with pytest.raises(ValueError, match="me/other holds model.gguf"):
        upload(released, "me/other")
    assert set(repository.commits[repository.at("main")]) == {"model.gguf"}


def test_an_upload_without_a_token_or_a_hub_is_told_in_one_sentence(hub, released, monkeypatch):
    from huggingface_hub import constants

    with pytest.raises(PermissionError, match="me/emotion .* set HF_TOKEN"):
        upload(released, "me/emotion")
    monkeypatch.setenv("HF_TOKEN", "hf_a_token_of_the_tests")
    hub.faults["api"] = 500
    with pytest.raises(ConnectionError, match="500 for me/emotion"):
        upload(released, "me/emotion")
    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(ConnectionError, match="http://127.0.0.1:9 cannot be reached for me/emotion"):
        upload(released, "me/emotion")


def test_a_broken_bundle_is_not_uploaded(hub, bundle):
    (bundle / "student.onnx").unlink()
    with pytest.raises(ValueError, match="student.onnx is missing"):
        upload(bundle, "me/emotion")
    assert hub.requests == []


@of_the_library
def test_the_command_releases_to_a_folder_and_to_the_hub(
    hub, make_experiment, no_export, tmp_path, monkeypatch, capsys
):
    monkeypatch.setenv("HF_TOKEN", "hf_a_token_of_the_tests")
    run = str(make_experiment() / RUN)
    monkeypatch.chdir(tmp_path)
    assert main(["release", run, "--to", "./a/bundle", "--no-sound"]) == 0
    check_bundle("a/bundle")
    assert main(["release", run, "--to", "me/emotion", "--no-sound", "--private", "--licence", "mit"]) == 0
    commit = hub.repositories["me/emotion"].at("main")
    assert f"released to me/emotion; pin it with revision='{commit}'" in capsys.readouterr().out
    card = hub.repositories["me/emotion"].commits[commit]["README.md"].decode()
    assert 'from_pretrained("me/emotion")' in card and "license: mit" in card
    assert main(["release", run, "--to", "./b", "--private"]) == 1
    assert "--private and --revision are for a repository, and ./b is a folder." in capsys.readouterr().err
    assert main(["release", run, "--to", "./b", "--precision", "int4"]) == 1
    assert "precision must be one of fp32, fp16, int8, got 'int4'." in capsys.readouterr().err


def test_a_recogniser_comes_by_name(hub, released, tmp_path):
    hub.put("me/emotion", released)
    recognizer = EmotionRecognizer.from_pretrained("me/emotion", cache_folder=tmp_path / "kept", activity="off")
    told = recognizer(SOUND[0], 16000)
    expected = open_engine(released).posterior(SOUND[0])
    np.testing.assert_allclose([told.probabilities[label] for label in recognizer.label_order], expected, atol=1e-6)


def test_private_names_are_the_longest_first(make_experiment):
    folder = make_experiment(
        teachers={"t": {"name": "x", "source": "../models/t"}, "hub": {"name": "x", "source": "a/b"}}
    )
    names = private_names(Experiment.read(folder))
    assert names["../models/t"] == "t" and "a/b" not in names
    assert [len(name) for name in names] == sorted((len(name) for name in names), reverse=True)


def test_a_class_that_the_test_lacks_has_no_recall(make_experiment):
    run = Experiment.of_run(make_experiment() / RUN)[1]
    scores = run.scores()
    recalls = facts._summary(scores[scores["truth"] != "neutral"], run.label_order)["recalls"]
    assert recalls == {"anger": 0.0, "sadness": 100.0, "neutral": None}
