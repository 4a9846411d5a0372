"""The page that recognises emotions in a browser: its files in one folder, and a server for this machine."""

import json
import shutil
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from akd_toolkit.data.files import ONNX_FILE
from akd_toolkit.data.reader import MAX_PEAK
from akd_toolkit.inference.activity import SILERO, SileroActivity
from akd_toolkit.inference.engine import open_engine
from akd_toolkit.inference.recognizer import EmotionRecognizer
from akd_toolkit.inference.streaming import SPEECH_SHARE

PAGE = Path(__file__).with_name("page")
RUNTIME = ("ort/ort.wasm.bundle.min.mjs", "ort/ort-wasm-simd-threaded.wasm")  # onnxruntime-web, copied by make page
OF_SILERO = ("frame", "context", "frame_s", "threshold", "low_threshold", "bridged_s")


def write_page(folder: str | Path, student: str | Path, hop_s: float | None = None) -> Path:
    """Write the page into ``folder``, for any static web host; files of the same names are replaced.

    ``student`` is a checked folder or file, see ``find_student``; ``hop_s`` as ``StreamingRecognizer``.
    FileNotFoundError if the student was not exported, or this package was built without ONNX Runtime for browsers.
    """
    folder, student = Path(folder), Path(student)
    file = student / ONNX_FILE if student.is_dir() else student
    settings = page_settings(EmotionRecognizer(open_engine(file, "onnx")), hop_s)
    for name in RUNTIME:
        if not (PAGE / name).is_file():
            raise FileNotFoundError(
                f"{PAGE / name} is missing; run make page in a checkout of the toolkit, or install a complete wheel."
            )
    shutil.copytree(PAGE, folder, dirs_exist_ok=True)
    shutil.copyfile(file, folder / ONNX_FILE)
    shutil.copyfile(SILERO, folder / "silero.onnx")
    (folder / "settings.json").write_text(json.dumps(settings, indent=2) + "\n", encoding="utf-8")
    return folder


def page_settings(recognizer: EmotionRecognizer, hop_s: float | None = None) -> dict:
    """The student's labels and windows, and every constant of the streaming recogniser."""
    engine = recognizer.engine
    stream = recognizer.stream(**({} if hop_s is None else {"hop_s": hop_s}))
    corpus, parameters = (engine.about.get(key, "unknown") for key in ("corpus", "num_parameters"))
    return {
        "label_order": engine.label_order,
        "sample_rate_hz": engine.sample_rate_hz,
        "window_s": engine.window_s,
        **stream.options,
        "speech_share": SPEECH_SHARE,
        "max_peak": MAX_PEAK,
        "silero": {name: getattr(SileroActivity, name) for name in OF_SILERO},
        "about": f"Model: {engine.about.get('student', 'student')}, {parameters} parameters, trained on {corpus}.",
    }


class _Handler(SimpleHTTPRequestHandler):
    # The system's table of types, which Python reads, may lack these.
    extensions_map = {".mjs": "text/javascript", ".js": "text/javascript", ".wasm": "application/wasm"}
    extensions_map = {**SimpleHTTPRequestHandler.extensions_map, **extensions_map}

    def log_message(self, *arguments) -> None:
        """No line for each request."""


def page_server(folder: str | Path, port: int) -> ThreadingHTTPServer:
    """A server of the folder for this machine alone; ``port`` 0 is any free one. ValueError if it cannot be used."""
    try:
        return ThreadingHTTPServer(("127.0.0.1", port), partial(_Handler, directory=str(folder)))
    except OSError as error:
        raise ValueError(f"port {port} cannot be used ({error.strerror}); give another --port.") from None
