// The noise schedule and the solver: DPM-Solver++ of second order (Lu et al. 2022, arXiv:2211.01095),
// as in DPMSolverMultistepScheduler of diffusers.

export class Schedule {
  // settings: "scheduler" in model.json.
  constructor(settings) {
    Object.assign(this, settings);
    const T = this.num_train_timesteps;
    const [from, to] = [Math.sqrt(this.beta_start), Math.sqrt(this.beta_end)];
    this.left = new Float64Array(T); // the share of the picture's variance that is left
    for (let t = 0, product = 1; t < T; t++) {
      product *= 1 - (from + ((to - from) * t) / (T - 1)) ** 2;
      this.left[t] = product;
    }
  }

  // The timesteps of a run, from noisy to clean. With a strength below 1 only the last ones are left.
  timesteps(steps, strength = 1) {
    const T = this.num_train_timesteps;
    const all = Array.from({ length: steps }, (_, k) =>
      this.timestep_spacing === "leading"
        ? (steps - k) * Math.floor(T / (steps + 1)) + this.steps_offset
        : even(T - (k * T) / steps) - 1,
    );
    return all.slice(steps - Math.min(Math.floor(steps * strength), steps));
  }

  // How much of the picture and how much noise there is at timestep t; t < 0 means the end.
  levels(t) {
    if (t < 0) return { signal: 1, noise: 0 };
    return { signal: Math.sqrt(this.left[t]), noise: Math.sqrt(1 - this.left[t]) };
  }

  addNoise(clean, noise, t) {
    const at = this.levels(t);
    return clean.map((x, k) => at.signal * x + at.noise * noise[k]);
  }

  // The clean latents that the network predicts at timestep t.
  believed(latents, output, t) {
    const { signal, noise } = this.levels(t);
    return this.prediction_type === "epsilon"
      ? latents.map((x, k) => (x - noise * output[k]) / signal)
      : latents.map((x, k) => signal * x - noise * output[k]); // "v_prediction"
  }

  // The noise that the network takes to be in the latents at timestep t.
  noiseIn(latents, output, t) {
    if (this.prediction_type === "epsilon") return output;
    const { signal, noise } = this.levels(t);
    return latents.map((x, k) => noise * x + signal * output[k]);
  }

  // One step from t to `next` (-1: the end). `before` is {t, believed} of the step before, or null.
  step(latents, believed, t, next, before) {
    const now = this.levels(t), then = this.levels(next);
    if (next < 0) return believed;
    // h is the length of the step in log(signal / noise)
    const h = distance(now, then);
    const grow = before ? h / (2 * distance(this.levels(before.t), now)) : 0;
    return latents.map((x, k) => {
      const change = before ? believed[k] - before.believed[k] : 0;
      return (then.noise / now.noise) * x - then.signal * Math.expm1(-h) * (believed[k] + grow * change);
    });
  }
}

const distance = (a, b) => Math.log(b.signal / b.noise) - Math.log(a.signal / a.noise);

// To the nearest whole number; a half goes to the even one, as in NumPy.
function even(x) {
  const low = Math.floor(x);
  return x - low === 0.5 ? low + (low % 2) : Math.round(x);
}

// The guidance scale as sines and cosines, for a network that learned to be told the scale
// (Meng et al. 2023, arXiv:2210.03142). A scale up to 1 means no guidance: all zeros.
export function embedScale(scale, width) {
  if (scale <= 1) return new Float32Array(width);
  const half = width / 2;
  return Float32Array.from({ length: width }, (_, k) => {
    const rate = Math.fround(Math.exp(((k % half) * -Math.log(10000)) / (half - 1)));
    const angle = Math.fround(Math.fround((scale - 1) * 1000) * rate);
    return k < half ? Math.sin(angle) : Math.cos(angle);
  });
}
