"""``akd demo``: its page in a real browser, compared with Python on the same samples."""

import base64
import importlib.util
import json
import shutil
import threading

import numpy as np
import pytest
import soundfile
import torch

from akd_toolkit.cli import main
from akd_toolkit.deploy.export import export_onnx
from akd_toolkit.inference import EmotionRecognizer, demo
from akd_toolkit.models.storage import load_student

CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
RATE, HOP_S = 16000, 0.25
MISSING = (
    "playwright (pip install playwright)" if importlib.util.find_spec("playwright") is None
    else "Chromium (apt install chromium)" if CHROMIUM is None
    else "ONNX Runtime for browsers (make page)" if not all((demo.PAGE / name).is_file() for name in demo.RUNTIME)
    else ""
)  # fmt: skip
in_browser = pytest.mark.skipif(bool(MISSING), reason=f"needs {MISSING}")
COLLECT = "() => { window.got = []; addEventListener('moment', ({ detail }) => window.got.push(detail)); }"
RECORD = """async () => {
    const { StreamingRecognizer } = await import("./stream.js");
    const push = StreamingRecognizer.prototype.push;
    window.samples = [];
    StreamingRecognizer.prototype.push = function (samples) {
        window.samples.push(...samples);
        return push.call(this, samples);
    };
}"""


@pytest.fixture(scope="module")
def student(student_folder, talk, tmp_path_factory):
    """An exported student whose label differs from window to window."""
    student, about = load_student(student_folder)
    linear = [module for module in student.modules() if isinstance(module, torch.nn.Linear)][-1]
    with torch.no_grad():
        windows = torch.from_numpy(talk[: 8 * RATE].reshape(8, RATE)).float()
        linear.bias -= student(windows).logits.mean(dim=0)
        scale = 2.0 / student(windows).logits.std(dim=0).mean()
        linear.weight *= scale
        linear.bias *= scale
    file = tmp_path_factory.mktemp("exported") / "student.onnx"
    export_onnx(student, file, about["label_order"], window_s=about["window_s"])
    return file


@pytest.fixture(scope="module")
def sound(talk, tmp_path_factory):
    """A file with speech, a short and a long pause, and noise; its length is no multiple of a hop."""
    noise = np.random.default_rng(0).normal(0, 0.001, 3 * RATE)
    samples = np.concatenate([talk[:60000], noise[:6000], talk[60000:90000], noise, talk[90000:121234]])
    file = tmp_path_factory.mktemp("sound") / "talk.wav"
    soundfile.write(file, samples.clip(-1, 1), RATE)
    return file


@pytest.fixture(scope="module")
def address(student, tmp_path_factory):
    folder = demo.write_page(tmp_path_factory.mktemp("page"), student, HOP_S)
    with demo.page_server(folder, 0) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://localhost:{server.server_port}/"
        server.shutdown()
        thread.join()


@pytest.fixture(scope="module")
def chromium(sound):
    """``chromium(*flags)`` starts a browser."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        yield lambda *flags: playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", *flags])


@pytest.fixture(scope="module")
def browser(chromium, sound):
    """One whose microphone plays ``sound``."""
    fake = ("--use-fake-ui-for-media-stream", "--use-fake-device-for-media-stream")
    browser = chromium(*fake, f"--use-file-for-fake-audio-capture={sound}")
    yield browser
    browser.close()


@pytest.fixture
def opened(browser, address):
    """``opened(**options)`` is the page, ready; it must not ask another host, nor fail."""
    pages, wrong = [], []

    def open_page(script: str = "", **options):
        page = browser.new_page(**options)
        page.on("request", lambda request: None if request.url.startswith(address) else wrong.append(request.url))
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.add_init_script(script)
        page.goto(address)
        wait(page, "Ready.")
        page.evaluate(COLLECT)
        pages.append(page)
        return page

    yield open_page
    for page in pages:
        page.close()
    assert not wrong


def wait(page, text: str):
    from playwright.sync_api import expect

    expect(page.get_by_role("status")).to_contain_text(text, timeout=60_000)


def assert_equal_to_python(student, samples, moments):
    stream = EmotionRecognizer.from_pretrained(student).stream(hop_s=HOP_S)
    expected = [*stream.push(samples), *stream.finish()]
    assert len(moments) == len(expected)
    for found, moment in zip(moments, expected):
        assert (found["start_s"], found["time_s"]) == pytest.approx((moment.start_s, moment.time_s))
        assert (found["speaking"], found["label"]) == (moment.speaking, moment.label)
        for name in ("raw", "smoothed"):
            values = getattr(moment, name)
            assert found[name] == (values and pytest.approx(list(values.values()), abs=1e-4))
    return expected


@in_browser
def test_a_file_gets_the_moments_and_spans_of_python(opened, student, sound, tmp_path):
    page = opened()
    samples = soundfile.read(sound, dtype="float32")[0]
    soundfile.write(tmp_path / "exact.wav", samples, RATE, subtype="FLOAT")  # browsers differ in reading 16 bits
    page.set_input_files("#file", tmp_path / "exact.wav")
    wait(page, "read.")
    moments = [detail["moment"] for detail in page.evaluate("() => window.got")]
    expected = assert_equal_to_python(student, samples, moments)
    assert len({moment.label for moment in expected}) > 2 and not all(moment.speaking for moment in expected)
    spans = EmotionRecognizer.from_pretrained(student, stream_options={"hop_s": HOP_S})(sound).timeline
    rows = page.locator("#spans li").all_inner_texts()
    assert [row.split("\n")[1] for row in reversed(rows)] == [span.label for span in spans]


@in_browser
def test_a_dropped_file_is_read_and_words_are_refused(opened, sound):
    page = opened()
    drop = """([content, name]) => {
        const data = new DataTransfer();
        data.items.add(new File([Uint8Array.from(atob(content), (letter) => letter.charCodeAt(0))], name));
        dispatchEvent(new DragEvent("drop", { dataTransfer: data, cancelable: true }));
    }"""
    page.evaluate(drop, [base64.b64encode(b"these are words").decode(), "words.wav"])
    wait(page, "words.wav cannot be read")
    page.evaluate(drop, [base64.b64encode(sound.read_bytes()).decode(), "talk.wav"])
    wait(page, "talk.wav: 0:")


@in_browser
def test_the_microphone_gets_the_moments_of_python_at_once(opened, student):
    page = opened()
    page.evaluate(RECORD)
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")  # the keyboard alone starts and stops it
    wait(page, "Listening")
    page.wait_for_timeout(5000)
    page.keyboard.press("Enter")
    wait(page, "Stopped")
    details = page.evaluate("() => window.got")
    samples = np.float32(page.evaluate("() => window.samples"))
    assert len(samples) > 4 * RATE and len(details) > 4 / HOP_S
    expected = assert_equal_to_python(student, samples, [detail["moment"] for detail in details])
    assert any(moment.label for moment in expected)
    latencies = sorted(detail["latency_ms"] for detail in details if detail.get("latency_ms") is not None)
    assert len(latencies) > 4 / HOP_S and latencies[len(latencies) // 2] <= 50
    assert "after the end of its window" in page.inner_text("#latency")


@in_browser
@pytest.mark.parametrize("rate", [8000, 44100, 48000])
def test_resampling_keeps_speech_and_removes_what_is_too_high(opened, rate):
    code = """async ([samples, rate]) => {
        const { Resampler } = await import("./resample.js");
        const [whole, parts] = [new Resampler(rate, 16000), new Resampler(rate, 16000)];
        const pieces = [];
        for (let at = 0; at < samples.length; at += 128) pieces.push(...parts.push(samples.slice(at, at + 128)));
        return [Array.from(whole.push(samples)), pieces];
    }"""
    page, seconds = opened(), np.arange(rate) / rate
    for hz, level in ((440, 1.0), (0.38 * min(rate, RATE), 1.0), *(((9500, 0.0),) if rate > 20000 else ())):
        whole, pieces = page.evaluate(code, [(0.5 * np.sin(2 * np.pi * hz * seconds)).tolist(), rate])
        assert whole == pieces and len(whole) > 0.98 * RATE
        expected = 0.5 * level * np.sin(2 * np.pi * hz * np.arange(len(whole)) / RATE)
        np.testing.assert_allclose(whole[200:-200], expected[200:-200], atol=2e-3)


@in_browser
def test_ten_minutes_take_no_more_memory_than_two(opened):
    page = opened()
    code = """async (minutes) => {
        const ort = await import("./ort/ort.wasm.bundle.min.mjs");
        const { Silero, StreamingRecognizer, Timeline } = await import("./stream.js");
        const settings = { ...(await (await fetch("settings.json")).json()), hop_s: 1 };
        const open = async (name) => ort.InferenceSession.create(await (await fetch(name)).arrayBuffer());
        window.stream ??= new StreamingRecognizer(
            ort, await open("student.onnx"), new Silero(ort, await open("silero.onnx"), settings.silero), settings,
        );
        window.timeline_ ??= new Timeline();
        const second = Float32Array.from({ length: 16000 }, (_, t) => 0.3 * Math.sin(t / 20) * Math.sin(t / 900));
        for (let k = 0; k < 60 * minutes; k++) for (const moment of await stream.push(second)) timeline_.add(moment);
        return stream.position / 16000;
    }"""
    session = page.context.new_cdp_session(page)

    def used_mb() -> float:
        session.send("HeapProfiler.collectGarbage")
        found = session.send("Runtime.getHeapUsage")
        return (found["usedSize"] + found.get("embedderHeapUsedSize", 0) + found.get("backingStorageSize", 0)) / 1e6

    assert page.evaluate(code, 2) == 120
    before = used_mb()
    assert page.evaluate(code, 8) == 600
    assert used_mb() < before + 1


@in_browser
def test_without_a_microphone_the_reason_is_said(chromium, opened, address):
    browser = chromium("--use-fake-device-for-media-stream", "--deny-permission-prompts")
    page = browser.new_page()
    page.goto(address)
    wait(page, "Ready.")
    page.get_by_role("button", name="Start microphone").click()
    wait(page, "not allowed")
    assert page.get_by_role("button", name="Start microphone").is_enabled()
    browser.close()
    page = opened("Object.defineProperty(navigator, 'mediaDevices', { value: undefined });")
    page.get_by_role("button", name="Start microphone").click()
    wait(page, "https")


@in_browser
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_page_fits_a_phone_and_has_names_for_screen_readers(opened, sound, scheme):
    page = opened(viewport={"width": 320, "height": 640}, color_scheme=scheme)
    page.set_input_files("#file", sound)
    wait(page, "read.")
    assert page.evaluate("() => document.documentElement.scrollWidth") == 320
    assert page.get_by_role("list", name="Probability of each emotion").get_by_role("listitem").count() == 4
    assert page.get_by_role("list", name="Decisions").is_visible() and page.get_by_label("sound file").count() == 1
    ink, ground = (
        page.evaluate(f"() => getComputedStyle(document.body).{name}") for name in ("color", "backgroundColor")
    )
    light = [sum(map(int, text[4:-1].split(","))) for text in (ink, ground)]
    assert abs(light[0] - light[1]) > 500 and (light[0] < light[1]) == (scheme == "light")


def test_the_page_holds_the_students_settings(student, tmp_path, monkeypatch, capsys):
    for name in demo.RUNTIME:  # stands in for the real one
        (tmp_path / "page/ort").mkdir(parents=True, exist_ok=True)
        (tmp_path / "page" / name).touch()
    monkeypatch.setattr(demo, "PAGE", tmp_path / "page")
    assert main(["demo", "--model", str(student), "--folder", str(tmp_path / "site"), "--hop_s", "0.5"]) == 0
    settings = json.loads((tmp_path / "site/settings.json").read_text())
    assert settings["hop_s"] == 0.5 and settings["window_s"] == 1.0 and len(settings["label_order"]) == 4
    assert settings["silero"]["frame"] == 512 and settings["smoothing_s"] == 0.5
    assert (tmp_path / "site/student.onnx").read_bytes() == student.read_bytes()
    with demo.page_server(tmp_path, 0) as server, pytest.raises(ValueError, match="--port"):
        demo.page_server(tmp_path, server.server_port)
    (tmp_path / "page" / demo.RUNTIME[1]).unlink()
    assert main(["demo", "--model", str(student), "--folder", str(tmp_path / "other")]) == 1
    assert "make page" in capsys.readouterr().err and not (tmp_path / "other").exists()
