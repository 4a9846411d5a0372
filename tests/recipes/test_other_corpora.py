"""``akd new-recipe`` on small trees with the public names and tables of corpora: a right recipe, or what to do."""

from itertools import count, product

import numpy as np
import pytest
import soundfile

from akd_toolkit.cli import main

PEOPLE, EMOTIONS = ("Ann", "Bob", "Cem"), ("joy", "fear")
TURNS = list(product(PEOPLE, EMOTIONS, "12"))
RIGHT = "12 utterances, 3 speakers, 2 classes"


@pytest.fixture
def corpus(tmp_path):
    """A folder of sounds that all differ: ``corpus(paths, {table: text})``."""
    rng, numbers = np.random.default_rng(3), count(1)

    def make(paths, tables=()):
        for path in (tmp_path / "corpus" / path for path in paths):
            path.parent.mkdir(parents=True, exist_ok=True)
            soundfile.write(path, 0.1 * rng.standard_normal(4000 + 3 * next(numbers)), 16000)
        for name, text in dict(tables).items():
            (tmp_path / "corpus" / name).write_bytes(text if isinstance(text, bytes) else text.encode())
        return tmp_path / "corpus"

    return make


@pytest.fixture
def new_recipe(tmp_path, capfd, caplog):
    """Exit code of the command, and everything that it said."""

    def call(folder, *options):
        options = [option.replace("CORPUS", str(folder)) for option in options]
        code = main(["new-recipe", "Mine", "--data_folder", str(folder), "--to", str(tmp_path / "to"), *options])
        assert (tmp_path / "to/Mine/train.py").is_file() == (code == 0)
        said = capfd.readouterr()
        return code, said.out + said.err + caplog.text

    return call


def sheet(head, line, turns=TURNS):
    """A table with a line for each turn: speaker s, emotion e, number n, its wav, and number u among n's."""
    fields = [{"s": s, "e": e, "n": n, "wav": wav(s, e, n)} for s, e, n in turns]
    return "\n".join([head, *(line.format(u=index // 2, **named) for index, named in enumerate(fields)), ""])


def wav(speaker, emotion, number):
    return f"wav/{speaker}/{emotion}{number}.wav"


WAVS = [wav(*turn) for turn in TURNS]
RAVDESS = [f"Actor_{a}/03-01-{e}-01-01-0{n}-{a}.wav" for a, e, n in product(("01", "02", "03"), ("01", "03"), "12")]
RAVDESS_PATTERN = "*-*-{emotion}-*-*-*-{speaker}"


@pytest.mark.parametrize(
    "paths, pattern, said",
    [
        (RAVDESS, RAVDESS_PATTERN, [RIGHT, "classes are numbers (01, 03)"]),
        ([f"{'train' if s == 'Ann' else 'dev'}/{s}/{e}/{n}.flac" for s, e, n in TURNS], None, [RIGHT]),
        ([f"set/{e}/{s}/{n}.aiff" for s, e, n in TURNS], None, [RIGHT]),
    ],
)
def test_names_and_folders_of_known_corpora_are_read_right(corpus, new_recipe, paths, pattern, said):
    code, text = new_recipe(corpus(paths), *(["--pattern", pattern] if pattern else []))
    assert code == 0 and all(part in text for part in said), text


@pytest.mark.parametrize(
    "paths, options, token",
    [
        (RAVDESS, [], "Actor_01, Actor_02, Actor_03"),
        (RAVDESS, ["--no-speakers"], "Actor_01, Actor_02, Actor_03"),  # speakers are not emotions
        ([f"train/{e}/{s}{n}.wav" for s, e, n in TURNS], [], "--no-speakers"),  # Hugging Face's audiofolder
        ([f"fold{n}/{e}/{s}.wav" for s, e, n in TURNS], ["--pattern", "{speaker}/{emotion}/*"], "fold1, fold2"),
        ([f"{s}/{e}/{n}.wav" for s, e, n in TURNS], ["--no-speakers"], "{speaker}"),
    ],
)
def test_names_that_do_not_say_enough_are_refused_with_what_to_do(corpus, new_recipe, paths, options, token):
    code, text = new_recipe(corpus(paths), *options)
    assert code == 1 and token in text.splitlines()[-1], text


UNKNOWN = [*TURNS, ("Unknown", "joy", "1")]
PLAIN = sheet("path,speaker,emotion", "{wav},{s},{e}")
EXCEL = sheet("path;speaker;emotion;start;end;valence", "{wav};{s};{e};0,05;0,2;3,5")
MELD = sheet(
    "Utterance,Speaker,Emotion,Dialogue_ID,Utterance_ID,StartTime", '"Hey, you",{s},{e},{n},{u},"00:16:16,059"'
)
MSP = sheet("FileName,EmoClass,EmoVal,SpkrID,Split_Set", "MSP-PODCAST_{s}{e}{n}.wav,{e},3.5,{s},Train", UNKNOWN)
IEMOCAP = sheet("start_time,end_time,wav_file,emotion,speaker", "6.2,8.2,{wav},{e},{s}").replace(".wav", "")
JSON = sheet("", '{{"file_name": "{wav}", "speaker": "{s}", "emotion": "{e}"}}')
SPLIT = {part: sheet("file_name,speaker_id,label", f"{{wav}},{part}{{s}},{{e}}") for part in ("train", "test")}


@pytest.mark.parametrize(
    "paths, tables, options, said",
    [
        (WAVS, {"t.csv": PLAIN}, [], [RIGHT]),
        (WAVS, {"t.csv": EXCEL.encode("utf-8-sig")}, [], [RIGHT, "valence is valence", "0.15 s"]),
        (WAVS, {"df_iemocap.csv": IEMOCAP}, ["--columns", "start=-", "stop=-"], [RIGHT]),
        (WAVS, {"metadata.jsonl": JSON.lstrip()}, [], [RIGHT]),
        (
            [f"train_splits/dia{n}_utt{u}.wav" for u in range(6) for n in "12"],
            {"train_sent_emo.csv": MELD},
            ["--columns", "path=dia{Dialogue_ID}_utt{Utterance_ID}.mp4"],
            [RIGHT, "text is Utterance"],
        ),
        (
            [f"Audios/MSP-PODCAST_{s}{e}{n}.wav" for s, e, n in UNKNOWN],
            {"labels_consensus.csv": MSP},
            ["--columns", "valence=EmoVal"],
            [RIGHT, "1 of 13 utterances have no known speaker"],
        ),
        (
            [f"{part}/{name}" for part, name in product(SPLIT, WAVS)],
            {f"{part}/metadata.csv": table for part, table in SPLIT.items()},
            ["--table", "*/metadata.csv"],
            ["24 utterances, 6 speakers, 2 classes"],
        ),
    ],
)
def test_tables_of_other_people_are_read_right(corpus, new_recipe, paths, tables, options, said):
    code, text = new_recipe(corpus(paths, tables), "--layout", "csv", *options)
    assert code == 0 and all(part in text for part in said), text


@pytest.mark.parametrize(
    "text, token",
    [
        (PLAIN.replace("Ann,", "train,").replace("Bob,", "dev,").replace("Cem,", "test,"), "dev, test, train"),
        (PLAIN.replace(",Ann,", ",n/a,").replace(",Bob,", ",Unknown,").replace(",Cem,", ",?,"), "--no-speakers"),
        (PLAIN + PLAIN.partition("\n")[2], "(lines 2, 14)"),
        (PLAIN.replace("wav/Ann/", "").replace("wav/Bob/", "").replace("wav/Cem/", ""), "wav/Ann and in wav/Bob"),
        (sheet("path,speaker,emotion,start,end", "{wav},{s},{e},6.2,8.2"), "start=-"),
    ],
)
def test_tables_that_cannot_be_right_are_refused_with_what_to_do(corpus, new_recipe, text, token):
    code, said = new_recipe(corpus(WAVS, {"t.csv": text}), "--layout", "csv")
    assert code == 1 and token in said, said


def test_unlisted_recordings_and_a_missing_table_are_reported(corpus, new_recipe):
    folder = corpus([*WAVS, "more/1.wav"], {"t.csv": PLAIN})
    code, text = new_recipe(folder)
    assert code == 1 and "--table t.csv" in text
    code, text = new_recipe(folder, "--table", "t.csv")
    assert code == 0 and "1 sound files" in text and "more/1.wav" in text


@pytest.mark.parametrize(
    "name, seconds", [("audformat", "1.20 to 1.20 s"), ("audformat_nat", "1.43"), ("trailing", "1.43")]
)
def test_the_collected_tables_are_read_right(shared_folder, new_recipe, name, seconds):
    table = shared_folder / f"cases/tables/{name}.csv"
    code, text = new_recipe(shared_folder / "data/EmoDB", "--table", str(table))
    assert code == 0 and "48 utterances, 6 speakers, 4 classes" in text and f"last {seconds}" in text
