"""``akd release RUN --to FOLDER|owner/name``: a trained student with everything that others need, checked."""

import argparse
import logging
import tempfile
from pathlib import Path

EPILOG = """examples:
  akd release results/akd/seed17/fold1/outer --to ./bundle
  akd release results/akd/compressed/seed17/fold1/1-prune --to ./small --precision int8
  akd release results/akd/seed17/fold1/outer --to me/emotion --private --licence apache-2.0
owner/name is a repository on the hub (HF_ENDPOINT, HF_TOKEN), unless a folder 'owner' lies here; begin the name of a
folder with ./ to be sure."""


def add_parser(commands) -> None:
    about = "bundle a finished run: weights, settings, ONNX, scores, model card; upload it on demand"
    parser = commands.add_parser(
        "release", help=about, description=about, epilog=EPILOG, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("run_folder", metavar="RUN", help="finished outer run, or a compressed student of one")
    parser.add_argument("--to", required=True, metavar="FOLDER|owner/name", help="where the bundle goes")
    parser.add_argument("--licence", help="identifier of the student's licence; default: that of its corpora")
    parser.add_argument("--precision", nargs="+", default=["fp32"], metavar="P", help="exported files: fp32 fp16 int8")
    parser.add_argument("--private", action="store_true", help="a repository made now is private")
    parser.add_argument("--revision", metavar="BRANCH", help="branch of the repository (default: the main one)")
    parser.add_argument("--no-sound", action="store_true", help="audit: do not compare how recordings sound")
    parser.set_defaults(run=run)


def run(arguments) -> int:
    logging.getLogger("speechbrain").setLevel(logging.WARNING)  # it greets whoever imports it
    from akd_toolkit.hub.release import release  # here, because torch comes with it

    options = {
        "licence": arguments.licence,
        "precisions": tuple(arguments.precision),
        "sound": not arguments.no_sound,
    }
    if not names_repository(arguments.to):
        if arguments.private or arguments.revision:
            raise ValueError(f"--private and --revision are for a repository, and {arguments.to} is a folder.")
        folder = release(arguments.run_folder, arguments.to, **options)
        print(f"released to {folder}; read {folder / 'README.md'} as a stranger would before you pass it on")
        return 0
    from akd_toolkit.hub.upload import upload

    with tempfile.TemporaryDirectory() as place:
        folder = release(arguments.run_folder, Path(place) / "bundle", source=arguments.to, **options)
        commit = upload(folder, arguments.to, arguments.private, arguments.revision)
    print(f"released to {arguments.to}; pin it with revision='{commit}'")
    return 0


def names_repository(to: str) -> bool:
    """Whether ``--to`` names a repository on the hub and no folder here.

    Example
    -------
    >>> names_repository("me/emotion"), names_repository("./me/emotion"), names_repository("bundle")
    (True, False, False)
    """
    from akd_toolkit.hub.download import NAME

    return NAME.fullmatch(to) is not None and not to.startswith(".") and not Path(to).parent.exists()
