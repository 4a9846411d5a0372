"""``akd demo``: a web page that recognises emotions in the browser, from its microphone or a file."""

import tempfile
from typing import Annotated

from typer import Option

from akd_toolkit.cli.command import Model, Revision

EPILOG = """examples:
  akd demo
  akd demo --model owner/name --folder site
The page needs no server program: put the folder on any https host. Sound never leaves the browser."""


def run(
    model: Model = None,
    revision: Revision = None,
    folder: Annotated[str | None, Option(metavar="OUT", help="write the page there for a web host and end")] = None,
    port: Annotated[int, Option(metavar="N", min=0, max=65535, help="of this machine; 0: any free one")] = 8000,
    hop_s: Annotated[float | None, Option("--hop_s", metavar="S", help="seconds between predictions (1)")] = None,
) -> int:
    from akd_toolkit.inference.demo import page_server, write_page
    from akd_toolkit.inference.hub import find_student

    student = find_student(model, revision=revision, with_torch=False)
    if folder is not None:
        print(f"the page is in {write_page(folder, student, hop_s)}; put the folder on a web host with https.")
        return 0
    with tempfile.TemporaryDirectory() as place, page_server(write_page(place, student, hop_s), port) as server:
        print(f"open http://localhost:{server.server_port} in a browser of this machine; Ctrl-C ends it.", flush=True)
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            return 0
    return 0
