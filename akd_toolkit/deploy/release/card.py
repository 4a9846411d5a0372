"""The model card of a released student: what a stranger must know before using it, every number from stored scores."""

import inspect
from collections.abc import Sequence

from akd_toolkit import __version__
from akd_toolkit.audit import Finding, as_text
from akd_toolkit.data.verdicts import VERDICTS, counted, shortened
from akd_toolkit.data.watermark import WATERMARK, marked
from akd_toolkit.deploy.release.card_numbers import compression_in_words, protocol_section, scores_section
from akd_toolkit.deploy.release.corpora import IDENTIFIERS, UNKNOWN, terms_of
from akd_toolkit.evaluate.report.page import GENERATED
from akd_toolkit.experiment.stored import Experiment
from akd_toolkit.registry import STUDENTS

MAX_SPEAKERS = 40  # whose names are listed


def write_card(about: dict, facts: dict, experiment: Experiment, source: str, files: Sequence[tuple]) -> str:
    """Markdown with the hub's YAML at its head.

    Arguments
    ---------
    about
        What ``student.json`` of the bundle says.
    facts
        As ``facts.gather`` finds them.
    source
        What its user gives to load it: ``owner/name``, or a folder.
    files
        (name, bytes, what it is) of every file that is listed.
    """
    settings = experiment.settings
    corpus = marked(facts["corpus"], facts["speaker_independent"])
    labels = about["label_order"]
    size = f"{about['num_parameters'] / 1e6:.2f} M parameters"
    parts = [
        _front_matter(about, facts),
        f"# {corpus}: {len(labels)} emotions in speech, {size}",
        "" if facts["speaker_independent"] else WATERMARK,
        GENERATED if facts["generated"] else "",
        _what(about, facts, settings, size),
        _use(about, source),
        scores_section(facts),
        protocol_section(about, facts, settings),
        _heard(about, facts),
        _audit(about, facts),
        _limits(about, facts),
        _files(files, facts, experiment.environment),
    ]
    return "\n\n".join(part.strip() for part in parts if part) + "\n"


def _front_matter(about: dict, facts: dict) -> str:
    from huggingface_hub import EvalResult, ModelCardData

    corpus = facts["corpus"]
    licence = about["licence"]
    known = licence in IDENTIFIERS
    terms = terms_of(corpus)
    results = []
    if facts["speaker_independent"] and not facts["generated"]:  # other numbers are not to be quoted
        for metric, name, key in (("accuracy", "WA (accuracy)", "wa"), ("recall", "UA (mean recall of classes)", "ua")):
            results.append(
                EvalResult(
                    task_type="audio-classification",
                    task_name="Speech emotion recognition",
                    dataset_type=corpus.lower(),
                    dataset_name=corpus,
                    dataset_split=f"fold {facts['fold']}: speakers {_names(about['test_speakers'])}",
                    metric_type=metric,
                    metric_name=name,
                    metric_value=facts["this_student"][key]["pooled"],
                )
            )
    data = ModelCardData(
        license=licence if known else "other",
        license_name=None if known else licence,
        language=terms.language if terms and terms.language else None,
        library_name="akd_toolkit",
        pipeline_tag="audio-classification",
        tags=["audio", "speech-emotion-recognition", "knowledge-distillation", "onnx", about["student"]["name"]],
        metrics=["accuracy", "recall"],
        model_name=f"{about['student']['name']} ({facts['recipe']})" if results else None,
        eval_results=results or None,
    )
    return f"---\n{data.to_yaml().strip()}\n---"


def _what(about: dict, facts: dict, settings: dict, size: str) -> str:
    teachers = [one["title"] for one in facts["teachers"]]
    taught = (
        f", distilled from {_and(teachers)}" if teachers and (settings.get("objective") or {}).get("distill") else ""
    )
    return (
        f"Tells which of {len(about['label_order'])} emotions a voice carries: **{', '.join(about['label_order'])}**. "
        f"It is a `{about['student']['name']}` ({_kind(about)}) of {size}{taught}, trained with akd_toolkit on "
        f"{_corpus_in_words(facts)}. Sound goes in, probabilities come out: the features are part of the model."
        f"{_compressed(about)}"
        + (
            f" It also estimates {_and(about['attributes'])}; its exported files do not."
            if about.get("attributes")
            else ""
        )
    )


def _compressed(about: dict) -> str:
    told = compression_in_words(about)
    return f" After its training it was compressed: {'; '.join(told)}." if told else ""


def _kind(about: dict) -> str:
    line = (inspect.getdoc(STUDENTS.get(about["student"]["name"])) or "").splitlines()[0]
    return (line[:1].lower() + line[1:]).partition(" (")[0].rstrip(".")


def _corpus_in_words(facts: dict) -> str:
    corpus = facts["corpus"]
    terms = terms_of(corpus)
    return f"{corpus}: {terms.speech}" if terms and terms.speech else corpus


def _use(about: dict, source: str) -> str:
    code = f"""```python
from akd_toolkit.inference import EmotionRecognizer

recognizer = EmotionRecognizer.from_pretrained("{source}")
print(recognizer("speech.wav"))  # a label, the probability of every emotion, and a timeline
```"""
    alone = (
        f"or `akd predict speech.wav --model {source}`. Recordings of any length, rate and number of channels are "
        "taken; one without speech has the label `no speech` instead of an emotion. The file `student.onnx` also runs "
        "by itself, in ONNX Runtime: input `waveform` [batch, samples], 16 kHz mono float32 in [-1, 1], at least 0.1 "
        f"s; output `probabilities` [batch, {len(about['label_order'])}] in the order above. To answer recordings "
        "of several lengths at once, pad them with zeros and give the optional input `lengths` [batch], float32: the "
        "share of each row that is speech, in (0, 1]; without it the zeros count as speech. It gives every sound an "
        "emotion, silence and noise too, so find the speech first. It was trained on windows of "
        f"{about['window_s']:g} s: of a longer recording, average the answers to such windows, which overlap by "
        f"{about['test_overlap_s']:g} s in the scores below."
    )
    return f"## Use\n\nWith `akd_toolkit` installed:\n\n{code}\n\n{alone}"


def _heard(about: dict, facts: dict) -> str:
    named = facts["speaker_independent"]
    word, (heard, tested) = "speaker" if named else "utterance", facts["trained_and_tested_on"]
    apart = "To compare it with other models, use the latter alone." if named else "Nobody knows who speaks in them."
    corpus, unlabelled = facts["corpus"], facts["unlabelled"]
    rows = [("the student, with labels", corpus, _terms(corpus))]
    if unlabelled is not None:
        rows.append(("the student, without labels", unlabelled or "not known", _terms(unlabelled)))
    for teacher in facts["teachers"]:
        who = f"teacher {teacher['title']} (`{teacher['model']}`)"
        rows += [(who, name, _terms(name)) for name in teacher["heard"] or ()]
        if teacher["heard"] is None or not teacher["complete"]:
            rows.append((who, "more, not published" if teacher["heard"] else "not published", teacher["source"]))
    table = ["| heard by | corpus | its terms |", "|---|---|---|", *(f"| {' | '.join(row)} |" for row in rows)]
    return "\n\n".join(
        [
            "## What it has heard",
            f"Trained on {counted(heard, word)} of {corpus}{_listed(about['train_speakers'])}; scored on {tested}"
            f"{_listed(about['test_speakers'])}. {apart}",
            "\n".join(table),
            f"The student itself is released as **{about['licence']}**. Whether the terms of recordings bind what was "
            "learned from them is not settled; read them before you use it for money or pass it on.",
        ]
    )


def _terms(corpus: str) -> str:
    terms = terms_of(corpus)
    return UNKNOWN if terms is None else f"{terms.licence} ({terms.source})"


def _audit(about: dict, facts: dict) -> str:
    findings = [Finding(**one) for one in facts["audit"]]
    verdict = as_text("", findings).splitlines()[-1]
    lines = [
        f"- *{word.lower()}*, {one.check}: {one.sentence}"
        for name, word in VERDICTS.items()
        for one in shortened(findings)
        if one.verdict == name
    ]
    of_what = "how these numbers came about, from the stored runs of all folds and seeds"
    if about.get("compressed_by"):
        of_what = "the runs that it was compressed from, of all folds and seeds (their compression was not audited)"
    return (
        f"## Audit\n\nWhat the toolkit could prove of {of_what}, and what it could not; **{verdict}**\n\n"
        + "\n".join(lines)
    )


def _limits(about: dict, facts: dict) -> str:
    terms = terms_of(facts["corpus"])
    acted = terms is not None and "act" in terms.speech
    lines = [
        "For research, teaching and trying out: how small models learn from large ones, what a device can compute.",
        "**Not for decisions about people**: not for hiring, schooling, credit, police, insurance or health, nor to "
        "watch people who did not ask for it. The European Union's AI Act (Regulation 2024/1689, article 5) forbids "
        "such use at work and in schools, but for medical or safety reasons.",
        "It hears how something is said, and knows nothing of what the speaker feels."
        + (" Its speech was acted: people who feel something sound otherwise, mostly less clear." if acted else ""),
        f"Known: {_corpus_in_words(facts)}. Other languages, ages, microphones, rooms and noise were not scored here; "
        "expect much less on them.",
        "It always names one of its emotions, for music and silence too: look at the probabilities. The recogniser's "
        "timeline leaves silence out; a single answer does not.",
    ]
    one = facts["this_student"]
    known = {label: share for label, share in one["recalls"].items() if share is not None}
    worst = min(known, key=known.get)
    lines.append(f"Its weakest emotion is {worst}: {known[worst]:.0f} % of it was recognised in the test.")
    return "## Intended use and limits\n\n" + "\n".join(f"- {line}" for line in lines)


def _files(files: Sequence[tuple], facts: dict, environment: dict) -> str:
    rows = "\n".join(f"| `{name}` | {_bytes(size)} | {what} |" for name, size, what in files)
    versions = ", ".join(
        f"{name} {environment[name]}" for name in ("akd-toolkit", "torch", "speechbrain") if name in environment
    )
    exported = "".join(
        f" In {precision}, {one['changed_decisions']} of {one['utterances']} utterances of the test are decided "
        f"otherwise than by the trained module (UA {100 * one['ua_before']:.1f} -> {100 * one['ua_after']:.1f})."
        for precision, one in facts["exported"].items()
    )
    commit = f", commit {environment['commit']}" if environment.get("commit") else ""
    return (
        f"## Files\n\n| file | size | what |\n|---|--:|---|\n{rows}\n\n`bundle.json` holds size and SHA-256 of every "
        f"file; a download is checked against it, and nothing in it is executed.{exported} How fast it is on your "
        f"machine: `akd bench`.\n\nTrained with {versions or 'unknown versions'}{commit}; released by akd_toolkit "
        f"{__version__}."
    )


def _bytes(size: int) -> str:
    return f"{size / 1e6:.2f} MB" if size >= 1e5 else f"{size / 1e3:.1f} kB"


def _and(names: Sequence[str]) -> str:
    return " and ".join(", ".join(names).rsplit(", ", 1))


def _names(names: Sequence[str]) -> str:
    more = f" and {len(names) - MAX_SPEAKERS} more" if len(names) > MAX_SPEAKERS else ""
    return ", ".join(names[:MAX_SPEAKERS]) + more


def _listed(names: Sequence[str]) -> str:
    return f" ({_names(names)})" if names else ""
