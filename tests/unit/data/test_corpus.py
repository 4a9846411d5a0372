import numpy as np
import pytest
import soundfile

from akd_toolkit.data.importers.corpus import Source, find_utterances, prepare_table
from akd_toolkit.data.manifest import Manifest

COLUMNS = {"path": "path", "speaker": "speaker", "emotion": "emotion"}
PATTERN = Source(pattern="{speaker}_{emotion}_*")


@pytest.fixture
def corpus(tmp_path, tone):
    """A folder of tones: ``corpus("anna_joy_1", "x/bert_fear_1", ...)``, each of another pitch, 0.5 s."""

    def make(*names):
        folder = tmp_path / "corpus"
        for index, name in enumerate(names):
            path = folder / f"{name}.wav"
            path.parent.mkdir(parents=True, exist_ok=True)
            soundfile.write(path, tone(0.5, hz=200.0 + 10 * index), 16000)
        return folder

    return make


def test_names_become_rows_in_the_order_of_ids(corpus, tmp_path):
    folder = corpus("b/bert_fear_1", "a/anna_joy_1")
    manifest = prepare_table(folder, tmp_path / "out", ["fear", "joy"], "Mine", PATTERN, {"fear": 1, "joy": 1})
    assert manifest.corpus == "Mine" and manifest.label_order == ("fear", "joy")
    assert manifest.ids == ("anna_joy_1", "bert_fear_1") and manifest.speakers == ("anna", "bert")
    row = manifest.utterances[0]
    assert (row.start, row.stop, row.duration, row.emotion) == (0, 8000, 0.5, "joy")
    assert Manifest.read(tmp_path / "out/manifest.csv") == manifest


def test_repeated_names_get_their_folders_as_a_part_sexes_are_unified_and_texts_kept(corpus):
    source = Source(pattern="{speaker}/{emotion}/*")
    rows, _ = find_utterances(corpus("anna/joy/1", "anna/fear/1", "Jörg B/joy/1"), source)
    assert [row.id for row in rows] == ["Jörg B/joy/1", "anna/fear/1", "anna/joy/1"]
    assert [row.speaker for row in rows] == ["Jörg B", "anna", "anna"]
    for name in ("anna_F_joy_t1", "bert_man_joy_t2", "kim_x_joy_t1"):
        corpus(f"more/{name}")
    rows, _ = find_utterances(corpus() / "more", Source("{speaker}_{sex}_{emotion}_{text}"))
    assert [(row.sex, row.text) for row in rows] == [("female", "t1"), ("male", "t2"), ("x", "t1")]


def test_codes_become_labels_are_left_out_or_stay(corpus, caplog):
    caplog.set_level("INFO")
    labels = {"W": "anger", "F": "joy", "X": "-", "w": "awe"}
    folder = corpus("anna_W_1", "anna_F_1", "bert_X_1", "bert_fear_1")
    rows, _ = find_utterances(folder, Source(pattern=PATTERN.pattern, labels=labels))
    assert [row.emotion for row in rows] == ["joy", "anger", "fear"]
    assert "left out: 1 of X." in caplog.text
    assert "labels name w, which no utterance has; codes are F, W, X, fear." in caplog.text


def test_a_table_cuts_parts_out_of_long_files(tmp_path, tone):
    soundfile.write(tmp_path / "talk.wav", np.concatenate([tone(1.0, 8000), tone(1.0, 8000, 700.0)]), 8000)
    lines = "path,speaker,emotion,start,stop", "talk.wav,08,joy,0.25,1", "talk.wav,9,fear,1,", "talk.wav,9,joy,,0.5"
    (tmp_path / "talk.csv").write_text("\n".join(lines))
    source = Source(table="talk.csv", columns={**COLUMNS, "start": "start", "stop": "stop"})
    manifest = prepare_table(tmp_path, tmp_path / "out", ["joy", "fear"], "Talk", source)
    assert {row.id: (row.speaker, row.start, row.stop, row.duration) for row in manifest} == {
        "talk-0.25-1": ("08", 2000, 8000, 0.75),
        "talk-1": ("9", 8000, 16000, 1.0),
        "talk-0.5": ("9", 0, 4000, 0.5),
    }
    assert len({row.sha256 for row in manifest}) == 3


def test_parts_outside_their_file_and_bad_files_are_named_at_once(tmp_path, tone):
    soundfile.write(tmp_path / "a.wav", tone(1.0), 16000)
    (tmp_path / "b.wav").write_bytes(b"no sound at all")
    (tmp_path / "t.csv").write_text("path,speaker,emotion,start,stop\na.wav,1,joy,0.5,3\nb.wav,1,joy,0,1\n")
    source = Source(table="t.csv", columns={**COLUMNS, "start": "start", "stop": "stop"})
    with pytest.raises(ValueError, match=r"2 of 2 files.*start=- stop=-(.|\n)*8000 to 48000 (.|\n)*b\.wav cannot"):
        prepare_table(tmp_path, tmp_path / "out", ["joy"], "Talk", source)


def test_several_tables_are_joined_and_files_that_they_do_not_name_counted(corpus, caplog):
    folder = corpus("train/a", "test/a", "test/b", "other/c")
    for part in ("train", "test"):
        (folder / part / "metadata.csv").write_text(f"path,speaker,emotion\na.wav,{part[-1]},joy\n")
    rows, _ = find_utterances(folder, Source(table="*/metadata.csv", columns=COLUMNS))
    assert [(row.id, row.speaker) for row in rows] == [("test/a", "t"), ("train/a", "n")]
    assert "2 sound files" in caplog.text and "(other/c.wav, test/b.wav)" in caplog.text
    with pytest.raises(FileNotFoundError, match=r"\*\.tsv"):
        find_utterances(folder, Source(table="*.tsv", columns=COLUMNS))


def test_utterances_of_unknown_speakers_are_left_out(corpus, caplog):
    rows, _ = find_utterances(corpus("anna_joy_1", "unknown_joy_2", "Unknown_fear_3"), PATTERN)
    assert [row.speaker for row in rows] == ["anna"] and "2 of 3 utterances have no known speaker" in caplog.text
    (corpus() / "anna_joy_1.wav").unlink()
    with pytest.raises(ValueError, match="2 of 2 .*--no-speakers"):
        find_utterances(corpus(), PATTERN)


def test_without_speakers_every_utterance_stands_for_its_own_and_the_title_carries_the_mark(corpus, tmp_path):
    source = Source(pattern="{emotion}/*", speakers=False)
    manifest = prepare_table(corpus("joy/1", "joy/2", "fear/3"), tmp_path / "out", ["fear", "joy"], "Mine", source)
    assert (manifest.corpus, manifest.speakers_known) == ("Mine", False)
    assert manifest.title == "Mine (NOT speaker-independent)"
    assert all(row.speaker == row.id for row in manifest) and len(manifest.speakers) == 3


def test_other_counts_than_expected_are_refused_or_logged_and_a_trial_keeps_the_first(corpus, tmp_path, caplog):
    folder = corpus("anna_joy_2", "anna_joy_1", "anna_fear_1", "bert_joy_1")

    def prepare(**options):
        given = {"counts": {"fear": 1, "joy": 4}, **options}
        return prepare_table(folder, tmp_path / "out", ["fear", "joy"], "Mine", PATTERN, **given)

    with pytest.raises(ValueError, match=r"the Mine that this recipe was made for .*class joy 3 instead of 4"):
        prepare()
    prepare(expect_official=False)
    assert "class joy 3 instead of 4" in caplog.text
    assert prepare(at_most=1).ids == ("anna_fear_1", "anna_joy_1", "bert_joy_1")
    with pytest.raises(ValueError, match="at_most must be a count from 1"):
        prepare(at_most=0)


def test_a_manifest_is_used_again_until_files_or_source_change(corpus, tmp_path, caplog):
    folder = corpus("anna_joy_1", "bert_fear_1")

    def prepare(source=PATTERN):
        caplog.clear()
        with caplog.at_level("INFO"):
            prepare_table(folder, tmp_path / "out", ["fear", "joy"], "Mine", source)
        return caplog.text

    assert "wrote" in prepare() and "reused" in prepare()
    assert "contents, source changed" in prepare(Source(pattern="{speaker}_{emotion}_{text}"))
    corpus("carl_joy_1")
    assert "contents, files, source changed" in prepare()


def test_file_names_that_are_not_utf_8_are_named(tmp_path, tone):
    with (tmp_path / "gr\udcfc\udcdf_joy.wav").open("wb") as file:  # Latin-1
        soundfile.write(file, tone(1.0), 16000, format="WAV")
    with pytest.raises(ValueError, match=r"gr\\udcfc\\udcdf_joy\.wav.*UTF-8"):
        prepare_table(tmp_path, tmp_path / "out", ["joy"], "Talk", Source(pattern="{speaker}_{emotion}"))


@pytest.mark.parametrize(
    "options, token",
    [
        ({}, "by a pattern of names or from a table"),
        ({"pattern": "{speaker}_{emotion}", "table": "a.csv"}, "by a pattern of names or from a table"),
        ({"pattern": "{emotion}/*"}, "does not say who speaks.*--no-speakers"),
        ({"table": "a.csv", "columns": {"path": "p", "emotion": "e"}}, "a.csv does not say who speaks"),
        ({"pattern": "{speaker}_{emotion}", "speakers": False}, "omit --no-speakers"),
    ],
)
def test_a_source_that_contradicts_itself_is_refused(options, token):
    with pytest.raises(ValueError, match=token):
        Source(**options)


@pytest.mark.parametrize(
    "names, options, token",
    [
        (["train/joy/1", "test/fear/2"], {"pattern": "{speaker}/{emotion}/*"}, "parts of a split and not speakers"),
        (["fold1/anna_1", "fold2/bert_2"], {"pattern": "{emotion}/{speaker}_*"}, "parts of a split and not emotions"),
        (["anna_a-b_1"], {"pattern": PATTERN.pattern, "labels": {"a-b": "a/b"}}, "'a/b' .* must not hold a '/'"),
        (["anna_", "bert_joy"], {"pattern": r"(?P<speaker>\w+?)_(?P<emotion>joy)?"}, "anna_.wav: no emotion"),
        (["a"], {"table": "../t.csv", "columns": COLUMNS}, r"a \(lines 2, 3\)"),
    ],
)
def test_speakers_labels_and_rows_that_cannot_be_used_are_refused(corpus, tmp_path, names, options, token):
    (tmp_path / "t.csv").write_text("path,speaker,emotion\ncorpus/a.wav,1,joy\ncorpus/a.wav,2,fear\n")
    folder = corpus(*names)
    if "table" in options:
        folder, options = tmp_path, {**options, "table": "t.csv"}
    with pytest.raises(ValueError, match=token):
        find_utterances(folder, Source(**options))


def test_the_text_of_a_table_is_a_transcript_and_that_of_a_name_is_not(tmp_path):
    for name in ("a_joy_t1", "b_joy_t2"):
        soundfile.write(tmp_path / f"{name}.wav", np.full(3200, 0.1), 16000)
    lines = "path,speaker,emotion,transcript", "a_joy_t1.wav,1,joy,How nice", "b_joy_t2.wav,2,joy,"
    (tmp_path / "t.csv").write_text("\n".join(lines))
    rows, _ = find_utterances(tmp_path, Source(table="t.csv", columns={**COLUMNS, "text": "transcript"}))
    assert [(row.text, row.transcript) for row in rows] == [("How nice", "How nice"), ("", "")]
    rows, _ = find_utterances(tmp_path, Source("{speaker}_{emotion}_{text}"))
    assert [(row.text, row.transcript) for row in rows] == [("t1", ""), ("t2", "")]
