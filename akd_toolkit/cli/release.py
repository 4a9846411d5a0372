"""``akd release RUN --to FOLDER|owner/name``: a trained student with everything that others need, checked."""

import tempfile
from pathlib import Path
from typing import Annotated

from typer import Argument, Option

EPILOG = """examples:
  akd release results/akd/seed17/fold1/outer --to ./bundle
  akd release results/akd/compressed/seed17/fold1/1-prune --to ./small --precision int8
  akd release results/akd/seed17/fold1/outer --to me/emotion --private --licence apache-2.0
owner/name is a repository on the hub (HF_ENDPOINT, HF_TOKEN), unless a folder 'owner' lies here; begin the name of a
folder with ./ to be sure."""


def run(
    run_folder: Annotated[str, Argument(metavar="RUN", help="finished outer run, or a compressed student of one")],
    to: Annotated[str, Option(metavar="FOLDER|owner/name", help="where the bundle goes")],
    licence: Annotated[str | None, Option(metavar="NAME", help="of the student; else that of its corpora")] = None,
    precision: Annotated[list[str], Option(metavar="P...", help="exported files: fp32 fp16 int8")] = ("fp32",),
    no_weights: Annotated[bool, Option("--no-weights", help="only the exported file, in one precision")] = False,
    private: Annotated[bool, Option("--private", help="a repository made now is private")] = False,
    revision: Annotated[str | None, Option(metavar="BRANCH", help="of the repository; else the main one")] = None,
    no_sound: Annotated[bool, Option("--no-sound", help="audit: do not compare how recordings sound")] = False,
) -> None:
    from akd_toolkit.data.files import is_hub_name
    from akd_toolkit.deploy.release.release import release

    options = {"licence": licence, "precisions": tuple(precision), "sound": not no_sound, "weights": not no_weights}
    if not is_hub_name(to):
        if private or revision:
            raise ValueError(f"--private and --revision are for a repository, and {to} is a folder.")
        folder = release(run_folder, to, **options)
        print(f"released to {folder}; read {folder / 'README.md'} before you share it")
        return
    from akd_toolkit.inference.hub import upload

    with tempfile.TemporaryDirectory() as place:
        folder = release(run_folder, Path(place) / "bundle", source=to, **options)
        commit = upload(folder, to, private, revision)
    print(f"released to {to}; pin it with revision='{commit}'")
