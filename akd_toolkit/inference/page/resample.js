// A stream at another sampling rate: a low-pass filter (sinc with a Blackman window) evaluated at every new sample.
//
//   y[n] = sum over k of x[i + k] h(k - f),   i + f = n from / to,   h(t) = c sinc(c t) blackman(t / half)
//
// with the cutoff c = 0.92 min(1, to / from), relative to half of the old rate, and kernels that sum to 1.

const LOBES = 24; // of the sinc at each side

const gcd = (a, b) => (b ? gcd(b, a % b) : a);

export class Resampler {
  constructor(from, to) {
    this.up = to / gcd(from, to);
    this.down = from / gcd(from, to);
    const cutoff = 0.92 * Math.min(1, to / from);
    this.half = from === to ? 0 : Math.ceil(LOBES / cutoff);
    this.kernels = Array.from({ length: this.half ? this.up : 0 }, (_, phase) => this.kernel(cutoff, phase / this.up));
    this.buffer = new Float32Array(this.half); // the first is that many samples before the start
    this.next = 0; // numerator of the position of the next output, of `up`, in the buffer after `half` samples
  }

  kernel(cutoff, fraction) {
    const values = Float64Array.from({ length: 2 * this.half }, (_, index) => {
      const t = index - this.half + 1 - fraction;
      const x = Math.PI * cutoff * t;
      const angle = (Math.PI * t) / this.half;
      const window = Math.abs(t) >= this.half ? 0 : 0.42 + 0.5 * Math.cos(angle) + 0.08 * Math.cos(2 * angle);
      return window * (x === 0 ? 1 : Math.sin(x) / x);
    });
    const sum = values.reduce((total, value) => total + value, 0);
    return values.map((value) => value / sum);
  }

  push(samples) {
    if (!this.half) return samples;
    const buffer = new Float32Array(this.buffer.length + samples.length);
    buffer.set(this.buffer);
    buffer.set(samples, this.buffer.length);
    const out = [];
    for (;;) {
      const at = Math.floor(this.next / this.up); // the output lies from here to one sample later, plus `half`
      if (at + 2 * this.half >= buffer.length) break;
      const kernel = this.kernels[this.next % this.up];
      let sum = 0;
      for (let k = 0; k < kernel.length; k++) sum += kernel[k] * buffer[at + 1 + k];
      out.push(Math.max(-1, Math.min(1, sum)));
      this.next += this.down;
    }
    const used = Math.min(Math.floor(this.next / this.up), buffer.length);
    this.buffer = buffer.slice(used);
    this.next -= used * this.up;
    return Float32Array.from(out);
  }
}
