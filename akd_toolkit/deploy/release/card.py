"""The model card of a released student; its text is in ``card.md.jinja``, every number comes from stored scores."""

import inspect
import re
from collections.abc import Sequence
from pathlib import Path

from akd_toolkit import __version__
from akd_toolkit.audit import Finding, as_text
from akd_toolkit.data.manifest import WATERMARK, marked
from akd_toolkit.data.names import counted, some
from akd_toolkit.data.verdicts import VERDICTS, by_verdict
from akd_toolkit.deploy.release.metadata import IDENTIFIERS, UNKNOWN, terms_of
from akd_toolkit.evaluate.report.tables import GENERATED
from akd_toolkit.experiment.stored import Experiment
from akd_toolkit.registry import STUDENTS

PACKAGES = ("akd-toolkit", "torch", "speechbrain")  # whose versions it names
MAX_SPEAKERS = 40  # whose names are listed
QUANTIZED = "trained for 8-bit weights, its own are still 32-bit (quantize, {})"


def write_card(about: dict, metadata: dict, experiment: Experiment, source: str, files: Sequence[tuple]) -> str:
    """Markdown with the hub's YAML at its head.

    ``about`` is the content of the bundle's ``student.json``, ``metadata`` comes from ``gather``, ``source`` is what
    users give to load it ("" for the student in the package), ``files`` are (name, bytes, description).
    """
    import jinja2
    from huggingface_hub import ModelCard

    jinja = jinja2.Environment(undefined=jinja2.StrictUndefined, keep_trailing_newline=True)
    jinja.filters |= {
        "counted": counted,
        "number": "{:g}".format,
        "percent": lambda value: "-" if value is None else f"{value:.1f}",
        "interval": "{0[pooled]:.1f} [{0[low]:.1f}, {0[high]:.1f}]".format,
        "names": lambda names: f" ({some(names, MAX_SPEAKERS)})" if names else "",
        "listing": lambda names: " and ".join(", ".join(names).rsplit(", ", 1)),
    }
    template = jinja.from_string(Path(__file__).with_name("card.md.jinja").read_text(encoding="utf-8"))
    versions, independent = experiment.environment, metadata["speaker_independent"]
    text = template.render(
        **metadata,
        **_scores(about, metadata, experiment.settings),
        **_training_data(about, metadata),
        **_audit(metadata),
        about=about,
        akd_toolkit=__version__,
        card_data=_card_data(about, metadata).to_yaml().strip(),
        environment={"commit": None, **versions},
        files=files,
        generated_note=GENERATED if metadata["generated"] else "",
        kind=_kind(about["student"]["name"]),
        size=f"{about['num_parameters'] / 1e6:.2f} M parameters",
        source=source,
        studies=_studies(experiment),
        steps=_compression_steps(about),
        title=marked(metadata["corpus"], independent),
        unit="speaker" if independent else "utterance",
        versions=", ".join(f"{name} {versions[name]}" for name in PACKAGES if name in versions),
        watermark="" if independent else WATERMARK,
    )
    return str(ModelCard(re.sub(r"\n{3,}", "\n\n", text).strip() + "\n"))


def _studies(experiment: Experiment) -> dict[str, list[str]]:
    """Title -> lines of the table of every study of the experiment."""
    found = {}
    for path in sorted(experiment.folder.glob("studies/*/table.md")):
        lines = path.read_text(encoding="utf-8").partition("\n## ")[0].splitlines()
        found[lines[0].lstrip("# ")] = [line for line in lines if line.startswith("|")]
    return found


def _card_data(about: dict, metadata: dict):
    from huggingface_hub import EvalResult, ModelCardData

    corpus, licence, terms = metadata["corpus"], about["licence"], terms_of(metadata["corpus"])
    names = {"wa": ("accuracy", "WA (accuracy)"), "ua": ("recall", "UA (mean recall of classes)")}
    results = [
        EvalResult(
            task_type="audio-classification",
            task_name="Speech emotion recognition",
            dataset_type=corpus.lower(),
            dataset_name=corpus,
            dataset_split=f"fold {metadata['fold']}: speakers {', '.join(about['test_speakers'][:MAX_SPEAKERS])}",
            metric_type=kind,
            metric_name=name,
            metric_value=metadata["this_student"][score]["pooled"],
        )
        for score, (kind, name) in names.items()
        if metadata["speaker_independent"] and not metadata["generated"]  # other numbers are not comparable
    ]
    return ModelCardData(
        license=licence if licence in IDENTIFIERS else "other",
        license_name=None if licence in IDENTIFIERS else licence,
        language=terms.language if terms and terms.language else None,
        library_name="akd_toolkit",
        pipeline_tag="audio-classification",
        tags=["audio", "speech-emotion-recognition", "knowledge-distillation", "onnx", about["student"]["name"]],
        metrics=["accuracy", "recall"],
        model_name=f"{about['student']['name']} ({metadata['recipe']})" if results else None,
        eval_results=results or None,
    )


def _scores(about: dict, metadata: dict, settings: dict) -> dict:
    """Rows of the table of scores, and how they were made."""
    rows = [(f"**this student** (fold {metadata['fold']}, seed {metadata['seed']})", metadata["this_student"])]
    if (experiment := metadata["experiment"]) is not None:
        like = ", compressed like it" if metadata["compressed_by"] else ""
        name = f"its recipe{like}: {counted(experiment['folds'], 'fold')}, {counted(experiment['seeds'], 'seed')}"
        rows.append((name, experiment))
    sizes = sorted({len(fold) for fold in settings["outer_folds"]})
    size = str(sizes[0]) if len(sizes) == 1 else f"{sizes[0]} to {sizes[-1]}"
    unit = "speakers" if metadata["speaker_independent"] else "utterances"
    recalls = {label: share for label, share in metadata["this_student"]["recalls"].items() if share is not None}
    return {
        "score_rows": rows,
        "weakest": min(recalls.items(), key=lambda pair: pair[1]),
        "scored_teachers": [teacher for teacher in metadata["teachers"] if teacher["ua"] is not None],
        "fold_sizes": f"{len(settings['outer_folds'])} folds of {size} {unit}",
        "epochs": {**settings, **(about.get("candidate") or {})}.get("number_of_epochs"),
        "num_candidates": len(settings.get("candidates") or [{}]),
        "trimmed": (settings.get("prepare") or {}).get("trim"),
        "distilled": (settings.get("objective") or {}).get("distill"),
    }


def _training_data(about: dict, metadata: dict) -> dict:
    corpus, unlabelled = metadata["corpus"], metadata["unlabelled"]
    rows = [("the student, with labels", one, _licence(one)) for one in corpus.split("+")]
    rows += [("the student, without labels", other or "not known", _licence(other)) for other in unlabelled]
    for teacher in metadata["teachers"]:
        user = f"teacher {teacher['title']} (`{teacher['model']}`)"
        rows += [(user, name, _licence(name)) for name in teacher["heard"] or ()]
        if teacher["heard"] is None or not teacher["complete"]:
            rows.append((user, "more, not published" if teacher["heard"] else "not published", teacher["source"]))
    speech = terms.speech if (terms := terms_of(corpus)) else ""
    description = f"{corpus}: {speech}" if speech else corpus
    return {"data_rows": rows, "corpus_description": description, "acted": "act" in speech}


def _licence(corpus: str) -> str:
    terms = terms_of(corpus)
    return UNKNOWN if terms is None else f"{terms.licence} ({terms.source})"


def _audit(metadata: dict) -> dict:
    findings = [Finding(**finding) for finding in metadata["audit"]]
    rows = [(VERDICTS[verdict].lower(), one) for verdict, found in by_verdict(findings).items() for one in found]
    return {"findings": rows, "verdict": as_text("", findings).splitlines()[-1]}


def _compression_steps(about: dict) -> list[str]:
    """
    Example
    -------
    >>> _compression_steps({"compressed_by": [{"name": "prune", "share": 0.25}]})
    ['prune (share 0.25)']
    """
    found = []
    for step in about.get("compressed_by") or ():
        options = ", ".join(f"{key} {value}" for key, value in step.items() if key != "name")
        found.append(QUANTIZED.format(options) if step["name"] == "quantize" else f"{step['name']} ({options})")
    return found


def _kind(student: str) -> str:
    """The first line of a student's docstring."""
    line = (inspect.getdoc(STUDENTS.get(student)) or "").splitlines()[0]
    return (line[:1].lower() + line[1:]).partition(" (")[0].rstrip(".")
