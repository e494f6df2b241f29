// mini-sd: draws a picture from a sentence, and paints a photograph again. Knows nothing of the page.

import { run } from "./networks.js";
import { Generator } from "./noise.js";
import { decode } from "./patches.js";
import { halve, resize, toNumbers, toPicture } from "./pixels.js";
import { embedScale, Schedule } from "./schedule.js";
import { Tokenizer } from "./tokenizer.js";

export const NETWORKS = ["text", "unet", "encoder", "decoder"];
const ACROSS = 4, MARGIN = 3; // patches beside each other that are shown, and how far each looks beyond
const WRONG = 0.02; // mean difference, as a share of the range, that the check allows

export class Painter {
  // runtime: the package onnxruntime-web. sessions: {name: a session of the runtime}, for NETWORKS.
  constructor(runtime, sessions, settings) {
    Object.assign(this, { runtime, sessions, settings });
    this.schedule = new Schedule(settings.scheduler);
    this.tokenizer = new Tokenizer(settings.tokenizer);
  }

  // Paint the picture of settings.check, which uses each network once. Throws if the result is another one
  // than in PyTorch; a graphics chip or its driver may compute wrongly without saying so.
  async check() {
    const { side, step, wish, after } = this.settings.check, data = new Uint8ClampedArray(4 * side * side);
    for (let y = 0, i = 0; y < side; y++)
      for (let x = 0; x < side; x++, i += 4) data.set([4 * x, 4 * y, 252 - 4 * x, 255], i);
    const made = await this.paint({ width: side, height: side, data }, wish);
    let wrong = 0, k = 0;
    for (let y = 0; y < side; y += step)
      for (let x = 0; x < side; x += step)
        for (let c = 0; c < 3; c++) wrong += Math.abs(made.data[4 * (y * side + x) + c] - after[k++]);
    wrong /= 255 * k;
    if (!(wrong < WRONG)) throw new Error(`the picture of the check is wrong by ${wrong}`);
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
    again.inside = wish.inside;
    again.steps = again.num_inference_steps;
    const more = this.schedule.timesteps(again.steps, again.strength).length;
    const small = await this.draw(wish, (at) => onStep?.({ ...at, steps: at.steps + more }));
    return this.paint(resize(small, again.size, again.size), again, (at) =>
      onStep?.({ ...at, step: at.step + wish.steps, steps: at.steps + wish.steps }),
    );
  }

  // Add noise to clean latents up to timestep t, and let the network look at them once.
  // clean: {numbers, height, width}. Returns what a step of `denoise` shows with wish.inside.
  async glance(clean, t, wish) {
    const { numbers, height, width } = clean;
    const noise = new Generator(wish.seed).normal(numbers.length);
    const noisy = this.schedule.addNoise(numbers, noise, t);
    const told = await this.#tell(wish);
    const inside = this.#inside(noisy, t, await this.#ask(noisy, height, width, t, told, true), height, width, told);
    return { inside, picture: await this.#decode(inside.believed, height, width) };
  }

  // What the network is told beside the latents: the words and the guidance scale.
  async #tell(wish) {
    const { scale_width: width, tokenizer } = this.settings;
    const tokens = this.tokenizer.encode(wish.prompt);
    const { words } = await run(this, "text", { tokens: [tokens, [1, tokenizer.length]] });
    return {
      tokens,
      words: [words, [1, tokenizer.length, words.length / tokenizer.length]],
      scale: [embedScale(wish.guidance, width), [1, width]],
    };
  }

  #ask(latents, h, w, t, { words, scale }, inside) {
    const inputs = { latents: [latents, [1, this.settings.channels, h, w]], t: [Float32Array.of(t), [1]], words, scale };
    return run(this, "unet", inputs, inside ? ["output", "attention"] : ["output"]);
  }

  // All numbers of one step, for those who want to look inside.
  #inside(latents, t, { output, attention }, height, width, { tokens, words }) {
    const believed = this.schedule.believed(latents, output, t), noise = this.schedule.noiseIn(latents, output, t);
    const { signal, noise: grain } = this.schedule.levels(t);
    return { t, signal, grain, height, width, latents, noise, believed, attention, tokens, words: words[0] };
  }

  // wish.inside: `onStep` also gets {inside}, also after the last step, and pictures of the draft in full size.
  async #denoise(latents, h, w, wish, timesteps, onStep) {
    const { channels, factor, defaults } = this.settings, told = await this.#tell(wish);
    let before = null;
    for (const [k, t] of timesteps.entries()) {
      const made = await this.#ask(latents, h, w, t, told, wish.inside);
      const believed = this.schedule.believed(latents, made.output, t);
      const at = { step: k + 1, steps: timesteps.length };
      if (wish.inside) at.inside = this.#inside(latents, t, made, h, w, told);
      latents = this.schedule.step(latents, believed, t, timesteps[k + 1] ?? -1, before);
      before = { t, believed };
      if (!onStep || (at.step === at.steps && !wish.inside)) continue;
      // half as wide and high, which takes a quarter of the time
      const half = !wish.inside || (at.step < at.steps && w * factor > defaults.draw.size);
      at.picture = half
        ? await this.#decode(halve(believed, channels, h, w), h >> 1, w >> 1)
        : await this.#decode(believed, h, w);
      await onStep(at);
    }
    const at = { step: timesteps.length, steps: timesteps.length };
    return this.#decode(latents, h, w, onStep && (({ patch, patches }) => onStep({ ...at, patch, patches })));
  }

  // Decode clean latents in 16 patches or fewer, to see them one after the other. clean: as in `glance`.
  // onPatch({patch, patches, left, top, picture}): each patch, and where it lies in the picture.
  async decodeInPatches({ numbers, height, width }, onPatch) {
    const overlap = 2 * MARGIN, side = Math.ceil((Math.max(height, width) - overlap) / ACROSS) + overlap;
    const show = ({ numbers, width, height, ...at }) => onPatch({ ...at, picture: toPicture(numbers, width, height) });
    return this.#decode(numbers, height, width, show, { largest: 0, side, overlap });
  }

  async #decode(latents, h, w, onPatch, how) {
    const { factor } = this.settings, [H, W] = [h * factor, w * factor];
    return toPicture(await decode(this, "decoder", latents, h, w, { ...how, onPatch }), W, H);
  }
}
