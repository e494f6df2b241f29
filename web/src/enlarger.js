// mini-upscaler: makes a drawn picture four times larger, as sdkit.upscale does.

import { run } from "./networks.js";
import { Generator } from "./noise.js";
import { decode } from "./patches.js";
import { project, toNumbers, toPicture } from "./pixels.js";
import { Schedule } from "./schedule.js";

export const NETWORKS = ["regressor", "upscaler", "large"];
const COARSER = 2; // the single pixels of a drawn picture are not reliable; see sdkit.upscale.finish

export class Enlarger {
  // As for Painter, with the networks of this file.
  constructor(runtime, sessions, settings) {
    Object.assign(this, { runtime, sessions, settings });
    this.schedule = new Schedule(settings.upscaler.scheduler);
  }

  // onStep({step, steps}): after each step, and with {patch, patches} after each decoded patch.
  async enlarge(picture, seed, onStep) {
    const { width, height } = picture, { upscaler, channels, factor } = this.settings;
    const random = new Generator(seed), area = width * height, clean = toNumbers(picture);
    const grain = random.normal(3 * area), noise = random.normal(channels * area);
    const given = clean.map((x, k) => upscaler.signal * x + upscaler.noise * grain[k]);
    const small = [given, [1, 3, height, width]], shape = [1, channels, height, width];
    const timesteps = this.schedule.timesteps(upscaler.num_inference_steps, upscaler.strength);
    const first = await run(this, "regressor", { small });
    let latents = this.schedule.addNoise(first.latents, noise, timesteps[0]), before = null;
    for (const [k, t] of timesteps.entries()) {
      const inputs = { latents: [latents, shape], small, t: [Float32Array.of(t), [1]] };
      const { output } = await run(this, "upscaler", inputs);
      const believed = this.schedule.believed(latents, output, t);
      latents = this.schedule.step(latents, believed, t, timesteps[k + 1] ?? -1, before);
      before = { t, believed };
      await onStep?.({ step: k + 1, steps: timesteps.length });
    }
    const at = { step: timesteps.length, steps: timesteps.length };
    const onPatch = ({ patch, patches }) => onStep?.({ ...at, patch, patches });
    const made = await decode(this, "large", latents, height, width, { onPatch });
    if (!made.every(Number.isFinite)) throw new Error("the pixels are not finite"); // clipped, infinity is white
    const large = made.map((x) => Math.min(1, Math.max(-1, x)));
    const sides = [width * factor, height * factor];
    return toPicture(project(large, ...sides, clean, width, height, COARSER), ...sides);
  }
}
