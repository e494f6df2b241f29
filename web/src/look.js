// Look inside: shows the numbers of each step of a drawing.

import { enlarge, lit, mapOf, rows, tiles } from "./inside.js";

const COLUMNS = 4, ROW = 5; // squares beside each other; px
const LESSONS = import.meta.env.VITE_LESSONS; // where the lessons are; the workflow of the site says it

export class Look {
  // section: of the page. show(canvas, picture).
  constructor(section, show) {
    Object.assign(this, { section, show, steps: [], own: null });
    this.find("#which").oninput = () => this.glanced(null);
    this.find("#tokens").onchange = () => this.#draw();
    this.find("#level").addEventListener("input", () => this.#level());
  }

  find(selector) {
    return this.section.querySelector(selector);
  }

  // settings: model.json.
  ready(settings) {
    const { vocab, end } = settings.tokenizer;
    Object.assign(this, { settings, end, names: new Map(Object.entries(vocab).map(([name, id]) => [id, name])) });
    const level = this.find("#level"), steps = settings.scheduler.num_train_timesteps;
    Object.assign(level, { max: steps - 1, value: Math.floor(steps / 2) });
    this.#level();
  }

  // Before a new drawing.
  clear() {
    Object.assign(this, { steps: [], own: null });
    this.find("#inside").hidden = true;
    this.find("#level").disabled = true;
  }

  // One more step of the drawing: {inside, picture, steps}.
  add(step) {
    this.steps.push(step);
    const which = this.find("#which");
    which.max = this.steps.length;
    which.value = this.steps.length;
    if (this.steps.length === 1) this.#listTokens();
    this.find("#inside").hidden = false;
    this.glanced(null);
  }

  // The clean latents at the end of the drawing, for the reader's own noise level.
  get clean() {
    const { believed, height, width } = this.steps.at(-1).inside;
    return { numbers: believed, height, width };
  }

  // The latents without noise of what is shown, for the decoder.
  get shown() {
    const { believed, height, width } = (this.own ?? this.steps[Number(this.find("#which").value) - 1]).inside;
    return { numbers: believed, height, width };
  }

  // A decoded patch of `clean`: {patch, patches, left, top, picture}, or at the end {picture}, the whole.
  decoded(clean, { patch, patches, left = 0, top = 0, picture }) {
    if (clean.numbers !== this.shown.numbers) return; // the reader looks at another step now
    const { width, height, data } = picture;
    this.find("canvas.patches").getContext("2d").putImageData(new ImageData(data, width, height), left, top);
    if (patch) this.find("#decoded").textContent = `${patch} ${this.text.of} ${patches}`;
  }

  // step: {inside, picture} at the reader's own noise level, or null: the step of the slider.
  glanced(step) {
    this.own = step;
    this.#draw();
  }

  #level() {
    this.find("#level ~ output").textContent = `t = ${this.find("#level").value}`;
  }

  #listTokens() {
    const { tokens } = this.steps[0].inside;
    this.count = tokens.indexOf(this.end) + 1;
    this.find("#tokens").querySelectorAll("label").forEach((chip) => chip.remove());
    // chosen at first: the thing that is drawn, or else the last word
    const things = this.settings.grammar.parts.thing.map((thing) => this.settings.tokenizer.vocab[`${thing}</w>`]);
    const thing = tokens.subarray(0, this.count).findIndex((id) => things.includes(id));
    const first = thing < 0 ? Math.max(0, this.count - 2) : thing;
    for (let k = 0; k < this.count; k++) {
      const chip = document.createElement("label"), input = document.createElement("input");
      Object.assign(input, { type: "radio", name: "token", value: k, checked: k === first });
      chip.append(input, " ", document.createElement("span"));
      this.find("#tokens").append(chip);
    }
  }

  // Show everything in the language `text`.
  speak(text) {
    this.text = text;
    this.section.querySelectorAll("[data-lesson]").forEach((place) => {
      const name = place.dataset.lesson, said = `${text.lesson} ${name.slice(0, 2)}`;
      if (!LESSONS) {
        place.textContent = said;
        return;
      }
      const link = document.createElement("a");
      Object.assign(link, { href: `${LESSONS}${name}.html`, textContent: said, target: "_blank" });
      place.replaceChildren(link);
    });
    if (this.steps.length) this.#draw();
  }

  #draw() {
    const { text, settings } = this, { channels, tokenizer, factor } = settings;
    const which = Number(this.find("#which").value), total = this.steps[0].steps;
    const { inside, picture } = this.own ?? this.steps[which - 1];
    const { t, height, width, latents, noise, attention, tokens, words } = inside;
    const number = new Intl.NumberFormat(document.documentElement.lang, { minimumFractionDigits: 2, maximumFractionDigits: 2 });
    const percent = new Intl.NumberFormat(document.documentElement.lang, { style: "percent" });
    this.find("#which ~ output").textContent = `${which} ${text.of} ${total}`;
    const said = text.mixed.replace("{signal}", number.format(inside.signal)).replace("{noise}", number.format(inside.grain));
    const name = this.own ? text.ownLevel : `${text.step} ${which}`;
    this.find(".at").textContent = `${name}: t = ${t}, ${width * factor} × ${height * factor} px. ${said}`;
    const row = Number(this.find("#tokens :checked").value);
    this.find("#tokens").querySelectorAll("span").forEach((span, k) => {
      const { share } = mapOf(attention, k, tokenizer.length);
      span.textContent = `${this.#name(k, tokens)} (${tokens[k]}): ${percent.format(share)}`;
    });
    const shown = {
      rows: rows(words, this.count, words.length / tokenizer.length, ROW),
      latents: tiles(latents, channels, height, width, COLUMNS),
      noise: tiles(noise, channels, height, width, COLUMNS),
      attention: lit(picture, mapOf(attention, row, tokenizer.length).map),
      believed: picture,
    };
    for (const [name, made] of Object.entries(shown)) this.show(this.find(`canvas.${name}`), made);
    this.show(this.find("canvas.patches"), enlarge(tiles(inside.believed, 1, height, width, 1), factor));
    this.find("#decoded").textContent = "";
  }

  #name(k, tokens) {
    if (k === 0) return this.text.startToken;
    return k === this.count - 1 ? this.text.endToken : this.names.get(tokens[k]).replace("</w>", "");
  }
}
