"""IEMOCAP on a tree of the real layout with the real number of labels; its sound is generated or one tone."""

import importlib.util
import os
import shutil
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import soundfile
from programs import run_python

from akd_toolkit.data.manifest import Manifest
from akd_toolkit.data.synthetic import generate_corpus
from akd_toolkit.experiment.scores_file import read_scores
from akd_toolkit.registry import CORPORA

RECIPE = Path(__file__).resolve().parents[2] / "recipes/IEMOCAP"
LABELS = ["ang", "hap", "sad", "neu"]
SESSIONS = [1085, 1023, 1151, 1031, 1241]  # published: turns by session
COUNTS = {  # published: category -> turns by session
    "ang": (229, 137, 240, 327, 170),
    "hap": (135, 117, 135, 65, 143),
    "exc": (143, 210, 151, 238, 299),
    "sad": (194, 197, 305, 143, 245),
    "neu": (384, 362, 320, 258, 384),
}
IMPROVISED = {"ang": 289, "hap": 284, "exc": 663, "sad": 608, "neu": 1099}
OTHERS = {"xxx": 2507, "fru": 1849, "sur": 107, "fea": 40, "oth": 3, "dis": 2}
OPINIONS = (
    "C-E2:\tAnger;\t()\nC-F1:\tOther; Anger;\t(tired)\nA-E3:\tval 2; act 4; dom  4;\t()\n"
    "A-M1:\tval 1; act 3; dom  ;\t()\n"
)


@pytest.fixture(scope="module")
def iemocap():
    """The recipe's prepare.py; the registry is left as it was found."""
    owner = CORPORA._plugins.pop("iemocap", None)
    spec = importlib.util.spec_from_file_location("recipe_iemocap_prepare", RECIPE / "prepare.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    assert CORPORA.get("iemocap") is module.prepare_iemocap
    yield module
    CORPORA._plugins.pop("iemocap")
    if owner is not None:
        CORPORA._plugins["iemocap"] = owner


def labelled_tree(folder: Path, sound: bool) -> Path:
    """The 10039 labels of the corpus in its own layout; with ``sound`` every turn has a recording, else only one."""
    turns = []  # (session, kind, category)
    for category, counts in COUNTS.items():
        sessions = [session for session, count in enumerate(counts, start=1) for _ in range(count)]
        turns += [(s, "impro" if i < IMPROVISED[category] else "script", category) for i, s in enumerate(sessions)]
    others = [category for category, count in OTHERS.items() for _ in range(count)]
    turns += [(1 + i % 5, ("impro", "script")[i % 2], category) for i, category in enumerate(others)]
    tone = folder / "tone.wav"
    folder.mkdir(parents=True)
    soundfile.write(tone, 0.1 * np.sin(np.arange(1600)), 16000, subtype="PCM_16")
    labels, words, place = {}, {}, Counter()
    for session, kind, category in turns:
        index = place[session, kind]
        place[session, kind] += 1
        part = "impro01" if kind == "impro" else "script01_1"
        dialogue = f"Ses0{session}{'FM'[index // 400 % 2]}_{part}{'abcd'[index // 800]}"
        name = f"{dialogue}_{'FM'[index % 2]}{index % 400 // 2:03d}"
        line = f"[{index}.0000 - {index + 1}.5000]\t{name}\t{category}\t[2.5000, 3.0000, 3.3333]\n{OPINIONS}\n"
        labels[session, dialogue] = labels.get((session, dialogue), "") + line
        words[session, dialogue] = (
            words.get((session, dialogue), "") + f"{name} [{index:03d}.0-{index + 1:03d}.5]: Well,  I said {index}.\n"
        )
        wav = folder / f"Session{session}/sentences/wav/{dialogue}/{name}.wav"
        if sound or name == "Ses01F_impro01a_F000":
            wav.parent.mkdir(parents=True, exist_ok=True)
            os.link(tone, wav)
    for kind, texts in (("EmoEvaluation", labels), ("transcriptions", words)):
        for (session, dialogue), text in texts.items():
            path = folder / f"Session{session}/dialog/{kind}/{dialogue}.txt"
            path.parent.mkdir(parents=True, exist_ok=True)
            head = (
                "% [START_TIME - END_TIME] TURN_NAME EMOTION [V, A, D]\n\n" if kind == "EmoEvaluation" else "M: Hm.\n"
            )
            path.write_text(head + text)
            path.with_name(f"._{path.name}").write_bytes(b"\x00\x05\x16\x07[Mac OS X")  # what macOS leaves behind
    (folder / "Session1/dialog/EmoEvaluation/Categorical").mkdir()  # as in the release
    return folder


@pytest.fixture(scope="module")
def release(tmp_path_factory):
    """The whole corpus with a tone for every turn."""
    return labelled_tree(tmp_path_factory.mktemp("release") / "IEMOCAP_full_release", sound=True)


@pytest.fixture(scope="module")
def manifest(iemocap, release, tmp_path_factory):
    wav = release / "Session1/sentences/wav/Ses01F_impro01a"
    (wav / "._Ses01F_impro01a_F000.wav").write_bytes(b"\x00\x05\x16\x07")
    save = tmp_path_factory.mktemp("save")
    made = iemocap.prepare_iemocap(release.parent, save, LABELS)  # the folder above is understood
    assert Manifest.read(save / "manifest.csv") == made
    return made


@pytest.fixture
def labels_only(tmp_path):
    """All labels, one recording: enough for whatever is refused before sound is read."""
    return labelled_tree(tmp_path / "labels", sound=False)


@pytest.fixture(scope="module")
def spoken(tmp_path_factory):
    """Generated speech of two sessions: 4 speakers, 4 classes and exc, an improvised and a scripted turn of each."""
    folder = tmp_path_factory.mktemp("spoken") / "IEMOCAP"
    return generate_corpus(folder, 4, [*LABELS, "exc"], 2, layout="iemocap", progress=False)


@pytest.fixture
def copy(spoken, tmp_path):
    return Path(shutil.copytree(spoken, tmp_path / "copy"))


def test_the_5531_turns_have_the_published_counts_by_class_and_session(manifest):
    assert len(manifest) == 5531
    assert np.bincount(manifest.labels).tolist() == [1103, 1636, 1084, 1708]
    cells = Counter((row.speaker[:5], row.emotion) for row in manifest)
    names = [f"Ses0{n}" for n in range(1, 6)]
    assert [sum(cells[name, label] for label in LABELS) for name in names] == SESSIONS
    assert tuple(cells[name, "ang"] for name in names) == COUNTS["ang"]
    assert [cells[name, "hap"] for name in names] == [278, 327, 286, 303, 442]
    assert manifest.speakers == tuple(f"Ses0{n}{sex}" for n in range(1, 6) for sex in "FM")
    assert {row.sex for row in manifest if row.speaker.endswith("F")} == {"female"}


def test_the_speaker_is_in_the_last_field_and_not_who_wears_the_markers(manifest):
    of = {row.id: row for row in manifest}
    row = of["Ses01F_impro01a_M003"]
    assert (row.speaker, row.sex) == ("Ses01M", "male")
    assert all(row.speaker == row.id[:5] + row.id.split("_")[-1][0] for row in manifest)
    assert sum(row.speaker != row.id[:6] for row in manifest) > 2000  # how often the first field would be wrong


def test_values_of_listeners_and_words_are_in_the_rows(manifest):
    row = manifest.by_id["Ses01F_impro01a_M003"]
    assert row.attributes == {"valence": 2.5, "arousal": 3.0, "dominance": 3.3333}
    assert row.text == "Well, I said 7." and manifest.attribute_names == ("arousal", "dominance", "valence")
    assert row.duration == pytest.approx(0.1) and Path(row.wav).is_absolute()


def test_improvised_or_scripted_alone(iemocap, release, tmp_path, caplog, monkeypatch):
    monkeypatch.setattr(iemocap, "measure", lambda rows, corpus: [measured(row) for row in rows])
    caplog.set_level("INFO")
    improvised = iemocap.prepare_iemocap(release, tmp_path / "i", LABELS, use="improvised")
    assert len(improvised) == 2943 and all("_impro" in row.id for row in improvised)
    assert np.bincount(improvised.labels).tolist() == [289, 947, 608, 1099]
    assert "kept 2943 of 10039 labelled turns; left out: 2588 scripted, 2507 xxx, 1849 fru, 107 sur" in caplog.text
    scripted = iemocap.prepare_iemocap(release, tmp_path / "s", LABELS, use="scripted")
    assert len(scripted) == 2588 and not set(scripted.ids) & set(improvised.ids)


def measured(row):
    return type(row)(**{**vars(row), "stop": 1600, "duration": 0.1})


def test_excited_turns_are_happy_or_left_out_or_a_class(iemocap, release, tmp_path, monkeypatch):
    monkeypatch.setattr(iemocap, "measure", lambda rows, corpus: [measured(row) for row in rows])
    left_out = iemocap.prepare_iemocap(release, tmp_path / "a", LABELS, merge_excitement=False, attributes=False)
    assert np.bincount(left_out.labels).tolist() == [1103, 595, 1084, 1708]
    five = iemocap.prepare_iemocap(release, tmp_path / "b", [*LABELS, "exc"], merge_excitement=False)
    assert np.bincount(five.labels).tolist() == [1103, 595, 1084, 1708, 1041]
    assert left_out.attribute_names == () and five.attribute_names == ("arousal", "dominance", "valence")


def evaluation(folder, session, dialogue):
    return folder / f"Session{session}/dialog/EmoEvaluation/{dialogue}.txt"


def test_other_counts_are_refused_with_class_and_session(iemocap, labels_only, tmp_path):
    path = evaluation(labels_only, 3, "Ses03F_script01_1a")
    path.write_text(path.read_text().replace("\tang\t", "\tfru\t", 2).replace("\tsad\t", "\tneu\t", 1))
    with pytest.raises(ValueError, match="differs from the official IEMOCAP") as info:
        iemocap.prepare_iemocap(labels_only, tmp_path / "save", LABELS)
    message = str(info.value)
    for part in (
        "turns 5529 instead of 5531",
        "class ang 1101 instead of 1103",
        "class neu 1709 instead of 1708",
        "class sad 1083 instead of 1084",
        "session 3 1149 instead of 1151",
        "session 3 ang 238 instead of 240",
        "session 3 neu 321 instead of 320",
        "set expect_official: False to use it as it is.",
    ):
        assert part in message
    assert "hap" not in message and "session 1" not in message and not (tmp_path / "save").exists()


def test_a_missing_session_is_told(iemocap, labels_only, tmp_path):
    shutil.rmtree(labels_only / "Session5")
    told = "turns 4290 instead of 5531; .*session 5 0 instead of 1241; session 5 ang 0 instead of 170"
    with pytest.raises(ValueError, match=told):
        iemocap.prepare_iemocap(labels_only, tmp_path / "save", LABELS)


def test_missing_recordings_are_named(iemocap, labels_only, tmp_path):
    with pytest.raises(ValueError, match="5530 of 5531 turns of IEMOCAP cannot be used") as info:
        iemocap.prepare_iemocap(labels_only, tmp_path / "save", LABELS)
    assert "Ses01F_impro01a_M000 is labelled ang and has no recording; restore its .wav file." in str(info.value)
    assert "... and 5520 more" in str(info.value)


def test_generated_speech_is_read_as_the_corpus_is(iemocap, copy, tmp_path, caplog):
    made = iemocap.prepare_iemocap(copy, tmp_path / "save", LABELS, expect_official=False)
    assert len(made) == 40 and made.speakers == ("Ses01F", "Ses01M", "Ses02F", "Ses02M")
    assert np.bincount(made.labels).tolist() == [8, 16, 8, 8] and "turns 40 instead of 5531" in caplog.text
    angry, sad = ([row.attributes["arousal"] for row in made if row.emotion == name] for name in ("ang", "sad"))
    assert min(angry) > max(sad)
    assert made.by_id["Ses02M_script01_1_F001"].text == "Generated sentence number 1."


def test_a_manifest_is_reused_until_labels_or_options_change(iemocap, copy, tmp_path, caplog):
    caplog.set_level("INFO")

    def prepare(**options):
        caplog.clear()
        return iemocap.prepare_iemocap(copy, tmp_path / "save", LABELS, expect_official=False, **options)

    first = prepare()
    assert prepare() == first and "reused" in caplog.text
    assert len(prepare(use="scripted")) == 20 and "use changed" in caplog.text
    path = evaluation(copy, 1, "Ses01F_impro01")
    path.write_text(path.read_text().replace("\tang\t", "\txxx\t", 1))
    assert len(prepare()) == 39 and "files, use changed" in caplog.text
    assert prepare().hash != first.hash


def test_turns_without_words_are_told_and_kept(iemocap, copy, tmp_path, caplog):
    shutil.rmtree(copy / "Session2/dialog/transcriptions")
    made = iemocap.prepare_iemocap(copy, tmp_path / "save", LABELS, expect_official=False)
    assert len(made) == 40 and sum(not row.text for row in made) == 20
    assert "no words are known of 20 turns: Ses02F_impro01_F000, " in caplog.text


def test_lines_of_an_unknown_kind_are_passed_over_and_told(iemocap, copy, tmp_path, caplog):
    path = evaluation(copy, 1, "Ses01F_impro01")
    path.write_text(path.read_text() + f"{OPINIONS}\nlorem ipsum\n")
    assert len(iemocap.prepare_iemocap(copy, tmp_path / "save", LABELS, expect_official=False)) == 40
    assert "passed over lines of an unknown kind: Ses01F_impro01.txt line" in caplog.text


def test_unknown_values_are_left_out(iemocap, copy, tmp_path):
    path = evaluation(copy, 1, "Ses01F_impro01")
    lines = path.read_text().splitlines()
    lines[2] = lines[2][: lines[2].index("[", 1)] + "[nan, 5.5000, 0.5000]"
    path.write_text("\n".join(lines))
    made = iemocap.prepare_iemocap(copy, tmp_path / "save", LABELS, expect_official=False)
    assert made.by_id["Ses01F_impro01_F000"].attributes == {"arousal": 5.5, "dominance": 0.5}


GOOD = "[0.0000 - 1.0000]\tSes01F_impro01_F900\tang\t[2.5, 2.5, 2.5]"


@pytest.mark.parametrize(
    "line, message",
    [
        (GOOD[:30], r"Ses01F_impro01\.txt, line \d+: '\[0\.0000 - 1\.0000\].*' is not '\[start - end\] turn emotion"),
        (GOOD.replace("2.5,", "", 1), r"has \[ 2\.5, 2\.5\] where valence, activation and dominance are needed"),
        (GOOD.replace("2.5,", "high,", 1), r"has \[high, 2\.5, 2\.5\] where valence"),
        (
            GOOD.replace("\tang", "\tjoy"),
            r"has the emotion 'joy'; IEMOCAP knows ang hap exc sad neu fru fea sur dis oth",
        ),
        (GOOD.replace("_F900", ""), r"'Ses01F_impro01' is not named as a turn is, like Ses01F_impro01_M003"),
        (GOOD.replace("Ses01F", "Ses02F"), r"Ses02F_impro01_F900 is a turn of session 2 and lies in Session1; move it"),
        (GOOD.replace("F900", "F000"), r"turn Ses01F_impro01_F000 is labelled twice; keep one"),
        (GOOD, r"1 of 41 turns of IEMOCAP cannot be used:\s+Ses01F_impro01_F900 is labelled ang and has no recording"),
    ],
)
def test_a_bad_label_is_named_and_nothing_is_written(iemocap, copy, tmp_path, line, message):
    path = evaluation(copy, 1, "Ses01F_impro01")
    path.write_text(path.read_text() + line + "\n")
    with pytest.raises(ValueError, match=message):
        iemocap.prepare_iemocap(copy, tmp_path / "save", LABELS, expect_official=False)
    assert not (tmp_path / "save").exists()


@pytest.mark.parametrize("gone", ["Session2/dialog/EmoEvaluation", "Session2/dialog"])
def test_a_session_without_labels_is_named(iemocap, copy, tmp_path, gone):
    shutil.rmtree(copy / gone)
    with pytest.raises(FileNotFoundError, match=r"Session2/dialog/EmoEvaluation holds no \.txt file; it must hold the"):
        iemocap.prepare_iemocap(copy, tmp_path / "save", LABELS, expect_official=False)


def test_a_bad_recording_is_named(iemocap, copy, tmp_path):
    path = copy / "Session1/sentences/wav/Ses01F_impro01/Ses01F_impro01_F000.wav"
    path.write_bytes(path.read_bytes()[:300])
    with pytest.raises(
        ValueError, match=r"1 of 40 files of IEMOCAP cannot be used:\s+.*Ses01F_impro01_F000\.wav is trunc"
    ):
        iemocap.prepare_iemocap(copy, tmp_path / "save", LABELS, expect_official=False)


def test_other_folders_are_refused(iemocap, tmp_path):
    with pytest.raises(FileNotFoundError, match=r"nowhere is not a folder; it must hold IEMOCAP's folders Session1 to"):
        iemocap.prepare_iemocap(tmp_path / "nowhere", tmp_path / "save", LABELS)
    with pytest.raises(ValueError, match=r"holds no sound file .*; it must hold IEMOCAP's folders Session1 to"):
        iemocap.prepare_iemocap(tmp_path, tmp_path / "save", LABELS)


@pytest.mark.parametrize(
    "options, message",
    [
        ({"label_order": LABELS[:3]}, r"IEMOCAP has exactly ang, hap, sad, neu, and .* Name each once"),
        ({"label_order": [*LABELS, "exc"]}, r"is \[.*'exc'\]; IEMOCAP has exactly ang, hap, sad, neu, and exc with"),
        ({"label_order": [*LABELS, "fru"], "merge_excitement": False}, "and exc with merge_excitement: False if you"),
        ({"use": "scripts"}, "use must be improvised, scripted or both, got 'scripts'"),
    ],
)
def test_impossible_options_are_refused(iemocap, tmp_path, options, message):
    with pytest.raises(ValueError, match=message):
        iemocap.prepare_iemocap(tmp_path, tmp_path / "save", **{"label_order": LABELS, **options})


def test_a_choice_that_leaves_nothing_is_refused(iemocap, copy, tmp_path):
    for path in copy.rglob("*impro*.txt"):
        path.unlink()
    with pytest.raises(
        ValueError, match="no turn is ang or hap or sad or neu and improvised; 20 turns are labelled in"
    ):
        iemocap.prepare_iemocap(copy, tmp_path / "save", LABELS, expect_official=False, use="improvised")


def test_the_recipe_runs_with_debug_and_leaves_what_it_promises(tmp_path):
    done = run_python(
        *("train.py", "hparams/akd.yaml", "--debug", "--unlabelled=null", "--number_of_epochs=1"),
        *("--teachers={log-mel: {name: logmel_statistics}, second: {name: logmel_statistics}}",),
        *(f"--output_folder={tmp_path}", f"--store_folder={tmp_path}/store"),
        cwd=RECIPE,
    )
    assert done.returncode == 0, done.stderr
    scores = read_scores(tmp_path / "scores.csv")
    assert set(scores["speaker"]) == {"Ses01F", "Ses01M"} and len(scores) == 16
    assert "generated by the toolkit" in (tmp_path / "report.md").read_text()
    assert (tmp_path / "seed17/fold1/outer/record.json").is_file() and "unseen speakers" in done.stderr
