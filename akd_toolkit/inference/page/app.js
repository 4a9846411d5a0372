// The page: sound from the microphone or a file, through StreamingRecognizer, to the screen.

import * as ort from "./ort/ort.wasm.bundle.min.mjs";
import { Silero, StreamingRecognizer, Timeline } from "./stream.js";

const $ = (id) => document.getElementById(id);
const COLOURS = ["#d1495b", "#e0a100", "#3d7dca", "#7b8794", "#8e5bc0", "#3a9d5d", "#e2793d", "#29a3a3", "#a86b4c", "#c45fa0"];
const SHOWN_S = 60; // of the timeline, while sound comes from the microphone
const MAX_MOMENTS = 1200; // kept for the timeline
const LISTED = 30; // decisions
const NO_SPEECH = "no speech";
const REFUSED = {
  NotAllowedError: "The microphone is not allowed. Allow it for this page in the browser's settings, or choose a file.",
  NotFoundError: "There is no microphone. Connect one, or choose a file.",
  NotReadableError: "Another program uses the microphone. Close it, or choose a file.",
};

let settings, recognizer, timeline, moments, latencies, stopSound;
let busy = false; // while the microphone is opened or a file is read; a disabled button would lose the focus
let work = Promise.resolve(); // pieces of sound are processed one after the other

const percent = (value) => `${Math.round(100 * value)} %`;
const clock = (seconds) => `${Math.floor(seconds / 60)}:${(seconds % 60).toFixed(1).padStart(4, "0")}`;
const colourOf = (label) => COLOURS[settings.label_order.indexOf(label) % COLOURS.length];

function say(text, isError = false) {
  $("message").textContent = text;
  $("message").classList.toggle("error", isError);
}

async function load() {
  ort.env.wasm.numThreads = 1;
  ort.env.wasm.wasmPaths = { wasm: new URL("ort/ort-wasm-simd-threaded.wasm", import.meta.url).href };
  const fetched = async (name) => {
    const response = await fetch(name);
    if (!response.ok) throw new Error(`${name} is missing; write this folder again with akd demo --folder`);
    return response;
  };
  settings = await (await fetched("settings.json")).json();
  const open = async (name) => ort.InferenceSession.create(await (await fetched(name)).arrayBuffer(), { logSeverityLevel: 3 });
  const [student, silero] = [await open("student.onnx"), await open("silero.onnx")];
  recognizer = new StreamingRecognizer(ort, student, new Silero(ort, silero, settings.silero), settings);
  // The first calls take longer.
  const silence = new Float32Array(recognizer.samples(settings.window_s));
  for (let k = 0; k < 2; k++) await student.run({ waveform: new ort.Tensor("float32", silence, [1, silence.length]) });
  await recognizer.activity.push(silence);
  $("about").textContent = settings.about;
  $("probabilities").replaceChildren(
    ...settings.label_order.map((label) => {
      const row = document.createElement("li");
      row.innerHTML = "<b></b><i><span></span></i><em>–</em>";
      row.querySelector("b").textContent = label;
      row.querySelector("span").style.background = colourOf(label);
      return row;
    }),
  );
  $("microphone").disabled = $("file").disabled = false;
  restart();
  say("Ready.");
}

function restart() {
  recognizer.reset();
  [timeline, moments, latencies] = [new Timeline(), [], []];
  $("latency").textContent = "";
  $("label").textContent = "–";
  draw();
}

// Process samples; `sent_ms` is when their last one was captured.
function take(samples, sent_ms) {
  work = work.then(async () => {
    for (const moment of await recognizer.push(samples)) show(moment, sent_ms && Date.now() - sent_ms);
  });
  return work;
}

function show(moment, latency_ms) {
  moments.push(moment);
  if (moments.length > MAX_MOMENTS) moments.shift();
  timeline.add(moment);
  const label = moment.speaking ? (moment.label ?? "…") : NO_SPEECH;
  if ($("label").textContent !== label) $("label").textContent = label; // screen readers read changes
  $("probabilities").childNodes.forEach((row, index) => {
    const value = moment.smoothed?.[index];
    row.querySelector("span").style.width = `${100 * (value ?? 0)}%`;
    row.querySelector("em").textContent = value === undefined ? "–" : percent(value);
  });
  if (latency_ms !== undefined) {
    latencies.push(latency_ms);
    if (latencies.length > 100) latencies.shift();
    const sorted = [...latencies].sort((a, b) => a - b);
    $("latency").textContent =
      `Answered ${latency_ms} ms after the end of its window; median ${sorted[sorted.length >> 1]} ms, ` +
      `slowest ${sorted.at(-1)} ms.`;
  }
  draw();
  dispatchEvent(new CustomEvent("moment", { detail: { moment, latency_ms } }));
}

function draw() {
  const canvas = $("timeline");
  const [width, height] = [canvas.clientWidth, canvas.clientHeight];
  canvas.width = width * devicePixelRatio;
  canvas.height = height * devicePixelRatio;
  const context = canvas.getContext("2d");
  context.scale(devicePixelRatio, devicePixelRatio);
  const line = getComputedStyle(document.documentElement).getPropertyValue("--line");
  context.fillStyle = line;
  context.fillRect(0, height - 1, width, 1);
  const last = moments.at(-1)?.time_s ?? SHOWN_S;
  const end = stopSound ? Math.max(SHOWN_S, last) : last; // of a file all is shown
  const start = stopSound ? end - SHOWN_S : (moments[0]?.start_s ?? 0);
  const x = (seconds) => ((seconds - start) / (end - start)) * width;
  for (const { start_s, time_s, speaking, smoothed } of moments) {
    const [left, wide] = [x(start_s), Math.max(1, x(time_s) - x(start_s) - 0.5)];
    let top = height;
    if (!speaking || !smoothed) {
      context.fillStyle = line;
      context.fillRect(left, height - (speaking ? 10 : 4), wide, speaking ? 10 : 4);
    }
    smoothed?.forEach((value, index) => {
      context.fillStyle = COLOURS[index % COLOURS.length];
      context.fillRect(left, top - value * height, wide, value * height);
      top -= value * height;
    });
  }
  const [from, to] = $("axis").children;
  [from.textContent, to.textContent] = [clock(Math.max(0, start)), clock(end)];
  $("spans").replaceChildren(
    ...timeline.spans.slice(-LISTED).reverse().map((span) => {
      const row = document.createElement("li");
      row.innerHTML = "<span></span><i></i><b></b><em></em>";
      const [when, colour, what, sure] = row.children;
      when.textContent = `${clock(span.start_s)} – ${clock(span.end_s)}`;
      colour.style.background = span.label ? colourOf(span.label) : line;
      what.textContent = span.label ?? NO_SPEECH;
      sure.textContent = span.label ? percent(span.probability) : "";
      return row;
    }),
  );
}

async function listen() {
  if (busy) return;
  if (!navigator.mediaDevices) {
    say("The browser gives the microphone to https pages and localhost only. Open this page there, or choose a file.", true);
    return;
  }
  busy = true;
  let stream, context, capture;
  try {
    const plain = { echoCancellation: false, noiseSuppression: false, autoGainControl: false, channelCount: 1 };
    stream = await navigator.mediaDevices.getUserMedia({ audio: plain });
    context = new AudioContext();
    await context.audioWorklet.addModule("worklet.js");
    const processorOptions = { sample_rate_hz: settings.sample_rate_hz };
    capture = new AudioWorkletNode(context, "capture", { numberOfOutputs: 0, processorOptions });
    restart();
    capture.port.onmessage = ({ data: { samples, sent_ms } }) => {
      const peak = samples.reduce((largest, x) => Math.max(largest, Math.abs(x)), 1e-5);
      $("level").style.width = `${Math.max(0, 100 + (100 / 60) * 20 * Math.log10(peak))}%`; // -60 to 0 dB
      take(samples, sent_ms).catch(fail);
    };
    context.createMediaStreamSource(stream).connect(capture);
  } catch (error) {
    stream?.getTracks().forEach((track) => track.stop());
    context?.close();
    say(REFUSED[error.name] ?? `The microphone does not work (${error.message}). Choose a file.`, true);
    return;
  } finally {
    busy = false;
  }
  stopSound = async () => {
    stopSound = undefined;
    stream.getTracks().forEach((track) => track.stop());
    await context.close();
    capture.port.onmessage = null; // pieces on their way would begin the next stream
    $("level").style.width = 0;
    await work;
    for (const moment of await recognizer.finish()) show(moment);
    $("microphone").textContent = "Start microphone";
    say("Stopped.");
    draw();
  };
  stream.getTracks()[0].onended = () => stopSound?.();
  $("microphone").textContent = "Stop";
  say(`Listening: an answer every ${settings.hop_s} s.`);
}

async function readFile(file) {
  if (busy) return;
  busy = true;
  try {
    await stopSound?.();
    say(`Reading ${file.name} …`);
    const sound = await decoded(file);
    if (!sound) return;
    restart();
    const channels = Array.from({ length: sound.numberOfChannels }, (_, channel) => sound.getChannelData(channel));
    const mono = channels[0].map((_, index) => channels.reduce((sum, each) => sum + each[index], 0) / channels.length);
    for (let start = 0; start < mono.length; start += sound.sampleRate) {
      await take(mono.subarray(start, start + sound.sampleRate));
      await new Promise((done) => setTimeout(done)); // lets the page draw
    }
    for (const moment of await recognizer.finish()) show(moment);
    say(`${file.name}: ${clock(sound.duration)} read.`);
  } finally {
    busy = false;
  }
}

async function decoded(file) {
  const rate = settings.sample_rate_hz;
  try {
    return await new OfflineAudioContext(1, rate, rate).decodeAudioData(await file.arrayBuffer());
  } catch {
    say(`${file.name} cannot be read as sound. Choose a WAV, MP3, Ogg, FLAC or M4A file.`, true);
  }
}

function fail(error) {
  say(`This does not work: ${error.message}.`, true);
}

$("microphone").onclick = () => (stopSound ? stopSound() : listen());
$("file").onchange = ({ target }) => {
  if (target.files[0]) readFile(target.files[0]).catch(fail);
  target.value = "";
};
addEventListener("dragover", (event) => {
  event.preventDefault();
  document.body.classList.add("dropping");
});
addEventListener("dragleave", () => document.body.classList.remove("dropping"));
addEventListener("drop", (event) => {
  event.preventDefault();
  document.body.classList.remove("dropping");
  const [file] = event.dataTransfer.files;
  if (file && recognizer) readFile(file).catch(fail);
});
addEventListener("resize", () => moments && draw());
load().catch(fail);
