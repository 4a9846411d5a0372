"""The demo around its training: it generates the corpus, exports the student and classifies one utterance."""

from akd_toolkit.data.manifest import Manifest
from akd_toolkit.data.synthetic import prepare_generated
from akd_toolkit.deploy.export.run import export_run
from akd_toolkit.experiment.protocol import NestedCrossValidation
from akd_toolkit.inference import EmotionRecognizer


def prepare(data_folder: None, output_folder: str, label_order: list[str], **options) -> Manifest:
    """Generate the corpus in the output folder; there is no data folder."""
    print("This corpus is GENERATED: its scores say that the toolkit works, nothing about human speech.")
    return prepare_generated(output_folder, label_order=label_order, **options)


def show(protocol: NestedCrossValidation | None) -> None:
    """Export the first student, and print its prediction for an utterance of an unseen speaker and its scores.

    Does nothing in a process that only helped to train, and after ``--only_run``.
    """
    if protocol is None or protocol.config["only_run"]:
        return
    run, folder = protocol.outer_runs()[0], protocol.folder
    export = export_run(run.folder, to=folder, progress=False)
    difference = export.parity.largest_difference
    print(f"{export.file}: {export.size_bytes / 1000:.0f} kB, differs from the module by {difference:.1e}")
    utterance = run.test.utterances[0]
    result = EmotionRecognizer.from_pretrained(export.file)(utterance.wav)
    sure = f" with {result.probability:.2f}" if result.speech else ""
    print(f"{utterance.id}, an unseen speaker: {result.label}{sure}; true is {utterance.emotion}")
    report = protocol.experiment.paths.report
    print(report.read_text(encoding="utf-8").split("## Confusion")[0])
    print(f"report and confusion matrix: {report}")
