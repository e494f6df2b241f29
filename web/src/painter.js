// mini-sd: draws a picture from a sentence, and paints a photograph again. Knows nothing of the page.

import { run } from "./networks.js";
import { Generator } from "./noise.js";
import { halve, resize, toNumbers, toPicture } from "./pixels.js";
import { embedScale, Schedule } from "./schedule.js";
import { Tokenizer } from "./tokenizer.js";

export const NETWORKS = ["text", "unet", "encoder", "decoder"];

export class Painter {
  // runtime: the package onnxruntime-web. sessions: {name: a session of the runtime}, for NETWORKS.
  constructor(runtime, sessions, settings) {
    Object.assign(this, { runtime, sessions, settings });
    this.schedule = new Schedule(settings.scheduler);
    this.tokenizer = new Tokenizer(settings.tokenizer);
  }

  // Draw a square picture from a sentence, from noise alone.
  // wish: {prompt, seed, guidance, steps, size}.
  // onStep({step, steps, picture}): after each step, with the picture that the network believes in.
  async draw(wish, onStep) {
    const side = wish.size / this.settings.factor;
    const noise = new Generator(wish.seed).normal(this.settings.channels * side * side);
    return this.#denoise(noise, side, side, wish, this.schedule.timesteps(wish.steps), onStep);
  }

  // Paint a picture again, in the words of the prompt. wish: as in `draw`, with strength, no size.
  // The sides of the picture are multiples of 16.
  async paint(picture, wish, onStep) {
    const timesteps = this.schedule.timesteps(wish.steps, wish.strength);
    if (!timesteps.length) throw new Error("less than one step");
    const { width, height } = picture, random = new Generator(wish.seed);
    const found = await run(this, "encoder", { picture: [toNumbers(picture), [1, 3, height, width]] });
    const grain = random.normal(found.mean.length);
    const clean = found.mean.map((mean, k) => mean + found.std[k] * grain[k]);
    const noisy = this.schedule.addNoise(clean, random.normal(clean.length), timesteps[0]);
    const [h, w] = [height, width].map((side) => side / this.settings.factor);
    return this.#denoise(noisy, h, w, wish, timesteps, onStep);
  }

  // Draw, and draw again at twice the size: the small picture decides what is where, the large one
  // gets the details (Ho et al. 2022, arXiv:2106.15282).
  async drawTwice(wish, onStep) {
    const again = { ...this.settings.defaults.redraw, prompt: wish.prompt, seed: wish.seed };
    again.guidance = again.guidance_scale;
    again.steps = again.num_inference_steps;
    const more = this.schedule.timesteps(again.steps, again.strength).length;
    const small = await this.draw(wish, (at) => onStep?.({ ...at, steps: at.steps + more }));
    return this.paint(resize(small, again.size, again.size), again, (at) =>
      onStep?.({ ...at, step: at.step + wish.steps, steps: at.steps + wish.steps }),
    );
  }

  async #denoise(latents, h, w, wish, timesteps, onStep) {
    const { channels, scale_width: width, tokenizer } = this.settings;
    const { words } = await run(this, "text", {
      tokens: [this.tokenizer.encode(wish.prompt), [1, tokenizer.length]],
    });
    const context = [words, [1, tokenizer.length, words.length / tokenizer.length]];
    const scale = [embedScale(wish.guidance, width), [1, width]];
    let before = null;
    for (const [k, t] of timesteps.entries()) {
      const { output } = await run(this, "unet", {
        latents: [latents, [1, channels, h, w]],
        t: [Float32Array.of(t), [1]],
        words: context,
        scale,
      });
      const believed = this.schedule.believed(latents, output, t);
      latents = this.schedule.step(latents, believed, t, timesteps[k + 1] ?? -1, before);
      before = { t, believed };
      if (onStep && k + 1 < timesteps.length) {
        // half as wide and high, which takes a quarter of the time
        const picture = await this.#decode(halve(believed, channels, h, w), h >> 1, w >> 1);
        await onStep({ step: k + 1, steps: timesteps.length, picture });
      }
    }
    return this.#decode(latents, h, w);
  }

  async #decode(latents, h, w) {
    const { channels, factor } = this.settings;
    const { picture } = await run(this, "decoder", { latents: [latents, [1, channels, h, w]] });
    return toPicture(picture, w * factor, h * factor);
  }
}
