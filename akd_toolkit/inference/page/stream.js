// The streaming recogniser of akd_toolkit/inference (streaming.py, activity.py, results.py) in the browser, with the
// same moments for the same samples. Every constant comes from settings.json, which `akd demo` writes.

const argmax = (values) => values.reduce((best, value, index) => (value > values[best] ? index : best), 0);

// Speech or not, for every 32 ms, by the Silero network.
export class Silero {
  constructor(ort, session, settings) {
    Object.assign(this, { ort, session, settings });
    this.reset();
  }

  reset() {
    const { frame, context, bridged_s, frame_s } = this.settings;
    this.buffer = new Float32Array(context); // the end of the frame before, and an incomplete frame
    this.h = this.c = new this.ort.Tensor("float32", new Float32Array(128), [1, 1, 128]);
    this.minVariance = Infinity;
    this.sinceActive = Math.ceil(bridged_s / frame_s) + 1; // frames
    this.width = context + frame;
  }

  async push(samples) {
    const { frame, context } = this.settings;
    const all = new Float32Array(this.buffer.length + samples.length);
    all.set(this.buffer);
    all.set(samples, this.buffer.length);
    const count = Math.floor((all.length - context) / frame);
    this.buffer = all.slice(count * frame);
    if (!count) return [];
    const frames = new Float32Array(count * this.width);
    for (let k = 0; k < count; k++) frames.set(all.subarray(k * frame, k * frame + this.width), k * this.width);
    const input = new this.ort.Tensor("float32", frames, [count, this.width]);
    const { speech_probs, hn, cn } = await this.session.run({ input, h: this.h, c: this.c });
    [this.h, this.c] = [hn, cn];
    return Array.from(speech_probs.data, (probability, k) =>
      this.decide(probability, frames.subarray(k * this.width + context, (k + 1) * this.width)),
    );
  }

  decide(probability, samples) {
    const { threshold, low_threshold, bridged_s, frame_s } = this.settings;
    const mean = samples.reduce((sum, x) => sum + x, 0) / samples.length;
    const variance = samples.reduce((sum, x) => sum + (x - mean) ** 2, 0) / samples.length;
    this.minVariance = Math.min(this.minVariance, variance);
    const sure = probability >= threshold && variance > 2 * this.minVariance;
    const active = sure || (probability >= low_threshold && this.sinceActive * frame_s < bridged_s);
    this.sinceActive = active ? 0 : this.sinceActive + 1;
    return active;
  }
}

// Exponential smoothing of probabilities, then a decision with hysteresis.
class SmoothedDecision {
  constructor(settings) {
    this.settings = settings;
    this.reset();
  }

  reset() {
    this.smoothed = this.chosen = this.rival = null;
    this.leadS = 0;
  }

  update(probabilities, seconds) {
    const { smoothing_s, margin, hold_s } = this.settings;
    if (this.smoothed === null) {
      this.smoothed = Array.from(probabilities);
      this.chosen = argmax(this.smoothed);
      return;
    }
    const share = smoothing_s ? 1 - Math.exp(-seconds / smoothing_s) : 1;
    this.smoothed = this.smoothed.map((value, index) => value + share * (probabilities[index] - value));
    const best = argmax(this.smoothed);
    if (!(this.smoothed[best] > this.smoothed[this.chosen] + margin)) {
      this.rival = null;
      return;
    }
    this.leadS = best === this.rival ? this.leadS + seconds : seconds;
    this.rival = best;
    if (this.leadS >= hold_s - 1e-9) {
      this.chosen = best;
      this.rival = null;
    }
  }
}

// Push samples at the student's rate as they come, get a moment for every hop that they complete.
export class StreamingRecognizer {
  constructor(ort, student, activity, settings) {
    Object.assign(this, { ort, student, activity, settings, decision: new SmoothedDecision(settings) });
    this.reset();
  }

  samples(seconds) {
    return Math.round(seconds * this.settings.sample_rate_hz);
  }

  reset() {
    this.hop = new Float32Array(this.samples(this.settings.hop_s));
    this.past = new Float32Array(this.samples(this.settings.window_s)); // its end is the present
    this.filled = this.position = this.turn = this.silence = 0; // samples
    this.activity.reset();
    this.decision.reset();
  }

  async push(samples) {
    const moments = [];
    while (samples.length) {
      const part = samples.subarray(0, this.hop.length - this.filled);
      this.hop.set(part, this.filled);
      this.filled += part.length;
      samples = samples.subarray(part.length);
      if (this.filled === this.hop.length) {
        this.filled = 0;
        moments.push(await this.process(this.hop));
      }
    }
    return moments;
  }

  async finish() {
    const moment = this.filled ? await this.process(this.hop.subarray(0, this.filled)) : null;
    this.reset();
    return moment ? [moment] : [];
  }

  async process(hop) {
    const { sample_rate_hz, label_order, max_peak, speech_share, min_s } = this.settings;
    if (!hop.every((x) => Math.abs(x) <= max_peak)) hop.fill(0); // catches NaN as well
    const moment = { start_s: this.position / sample_rate_hz, label: null, raw: null, smoothed: null };
    this.position += hop.length;
    moment.time_s = this.position / sample_rate_hz;
    this.past.copyWithin(0, hop.length);
    this.past.set(hop, this.past.length - hop.length);
    const active = await this.activity.push(hop);
    if (!active.length && hop.length < this.hop.length) return null;
    moment.speaking = active.length > 0 && active.filter(Boolean).length >= speech_share * active.length;
    this.updateTurn(moment.speaking, hop.length);
    const size = Math.min(this.past.length, this.turn);
    if (moment.speaking && size >= this.samples(min_s)) {
      if (this.turn <= this.past.length) this.decision.reset();
      const waveform = new this.ort.Tensor("float32", this.past.slice(-size), [1, size]);
      const { probabilities } = await this.student.run({ waveform });
      this.decision.update(probabilities.data, hop.length / sample_rate_hz);
      moment.raw = Array.from(probabilities.data);
      moment.smoothed = this.decision.smoothed;
      moment.label = label_order[this.decision.chosen];
      moment.probability = moment.smoothed[this.decision.chosen];
    }
    return moment;
  }

  updateTurn(speaking, samples) {
    this.silence = speaking ? 0 : this.silence + samples;
    if (speaking || this.turn) this.turn += samples;
    if (this.silence >= this.samples(this.settings.pause_s)) this.turn = 0;
  }
}

// Neighbouring moments with the same label as one span; the last `limit` of them.
export class Timeline {
  constructor(limit = 200) {
    Object.assign(this, { limit, spans: [], key: null, unlabelledFrom: null });
  }

  add({ start_s, time_s, speaking, label, probability }) {
    const key = `${speaking} ${label}`;
    const unlabelled = speaking && label === null; // belongs to the span that follows without a pause
    if (key !== this.key) {
      const begin = speaking ? (this.unlabelledFrom ?? start_s) : start_s;
      this.unlabelledFrom = unlabelled ? start_s : null;
      if (!unlabelled) this.spans.push({ start_s: begin, label: speaking ? label : null, seconds: 0, weighted: 0 });
      if (this.spans.length > this.limit) this.spans.shift();
    }
    this.key = key;
    if (unlabelled) return;
    const span = this.spans.at(-1);
    span.end_s = time_s;
    span.seconds += time_s - start_s;
    span.weighted += (time_s - start_s) * (probability ?? 0);
    span.probability = span.weighted / span.seconds;
  }
}
