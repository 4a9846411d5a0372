"""On which corpora models were trained."""

import pytest

from akd_toolkit.teachers.provenance import names_corpus, provenance_of


def known(source, **options):
    return provenance_of({"name": "transformers_encoder", "source": str(source)}, **options)


@pytest.mark.parametrize(
    ("source", "corpus"),
    [
        ("superb/wav2vec2-base-superb-er", "IEMOCAP"),
        ("speechbrain/emotion-recognition-wav2vec2-IEMOCAP", "IEMOCAP"),
        ("audeering/wav2vec2-large-robust-12-ft-emotion-msp-dim", "MSP-Podcast"),
        ("ehcalabres/wav2vec2-lg-xlsr-en-speech-emotion-recognition", "RAVDESS"),
        ("facebook/wav2vec2-large", "LibriSpeech"),
        ("microsoft/wavlm-large", "VoxPopuli"),
    ],
)
def test_known_models_name_their_corpora(source, corpus):
    assert names_corpus(known(source).corpora, corpus) and not names_corpus(known(source).corpora, "EmoDB")


@pytest.mark.parametrize(
    "source", ["openai/whisper-large-v3", "facebook/wav2vec2-base-10k-voxpopuli", "someone/unknown"]
)
def test_nothing_is_claimed_of_others(source):
    assert known(source).corpora is None


def test_a_list_that_may_not_be_complete_says_so():
    plus = known("emotion2vec/emotion2vec_plus_large")
    assert all(names_corpus(plus.corpora, name) for name in ("EmoDB", "IEMOCAP", "RAVDESS", "CREMA-D"))
    assert not plus.complete and known("facebook/wav2vec2-large").complete


def test_formulas_have_learned_nothing():
    assert provenance_of({"name": "logmel_statistics"}).corpora == ()


@pytest.mark.parametrize(
    ("name", "card", "config", "corpora", "complete"),
    [
        ("hubert-large-ll60k", "", "", ("Libri-Light",), True),  # the name of a folder
        ("whisper-base-encoder", "", "", None, True),
        ("mine", "", '{"_name_or_path": "facebook/wav2vec2-large"}', ("LibriSpeech",), False),
        ("mine", "---\ndatasets: [me/crema_d]\nbase_model: facebook/wav2vec2-base\n---\n", "", ..., False),
        ("mine", "---\ndatasets: crema_d\n---\n", "{", ("crema_d",), False),
        ("wav2vec2-base", "---\ndatasets: [ravdess]\n---\n", "", ("ravdess",), False),  # tuned further
        ("mine", "---\n: [\n---\n", "", None, True),
        ("mine", "Trained on nothing that it names.", "", None, True),
    ],
)
def test_a_local_folder_is_known_by_its_name_its_card_and_its_config(name, card, config, corpora, complete, tmp_path):
    folder = tmp_path / "models" / name
    folder.mkdir(parents=True)
    (folder / "README.md").write_text(card)
    (folder / "config.json").write_text(config)
    found = known(f"models/{name}", near=tmp_path / "results" / "akd")
    assert found.corpora == (("me/crema_d", "LibriSpeech") if corpora is ... else corpora)
    assert found.complete == complete and found == known(folder)


@pytest.mark.parametrize("spelling", ["CREMA-D", "crema_d", "CREMAD", "crema d"])
def test_spellings_of_a_corpus_are_one(spelling):
    assert names_corpus([spelling], "CREMA-D") and names_corpus(["CREMA-D"], spelling)
    assert not names_corpus(["My Calls"], spelling)
