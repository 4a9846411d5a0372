// Runs in the audio thread: channels averaged, resampled, and sent on in pieces of 10 ms with the time of sending.

import { Resampler } from "./resample.js";

class Capture extends AudioWorkletProcessor {
  constructor({ processorOptions }) {
    super();
    this.resampler = new Resampler(sampleRate, processorOptions.sample_rate_hz);
    this.piece = new Float32Array(processorOptions.sample_rate_hz / 100);
    this.filled = 0;
  }

  process([channels]) {
    if (!channels.length) return true;
    const mono = channels[0].map((_, index) => channels.reduce((sum, each) => sum + each[index], 0) / channels.length);
    for (const sample of this.resampler.push(mono)) {
      this.piece[this.filled++] = sample;
      if (this.filled === this.piece.length) {
        this.port.postMessage({ samples: this.piece, sent_ms: Date.now() });
        this.filled = 0;
      }
    }
    return true;
  }
}

registerProcessor("capture", Capture);
