// What the page knows about words: the sentence of the chips, unknown words, the scale for a style.

// The standard sentence for the chosen parts, as sdkit.postcards.plain_caption writes it.
// chosen: {thing, colour, place, ground, time}; a part that is missing stays unsaid.
export function sentence(chosen, phrases) {
  if (!chosen.thing) return "";
  const what = [chosen.colour, chosen.thing].filter(Boolean).join(" ");
  const rest = ["place", "ground", "time"].map((part) => phrases[chosen[part]]).filter(Boolean);
  return [`a${/^[aeiou]/.test(what) ? "n" : ""} ${what}`, ...rest].join(" ");
}

// The words of a text in lower case; a hyphenated word counts as one: ukiyo-e.
export function words(text) {
  const plain = text.normalize("NFKC").toLowerCase().replaceAll("\u2019", "'");
  return plain.match(/[\p{L}\p{N}]+(?:[-'][\p{L}\p{N}]+)*/gu) ?? [];
}

// The words that the model did not see in training, each once.
export function unknown(text, known) {
  const all = new Set(known);
  const seen = (word) => all.has(word) || word.split(/[-']/).every((part) => all.has(part));
  return [...new Set(words(text))].filter((word) => !seen(word));
}

// The guidance scale for a style: that of the first words in the list that the prompt has.
export function scaleFor(prompt, defaults) {
  const has = (start) => new RegExp(`\\b${start.replace(/[^\w\s]/g, "\\$&")}`, "i").test(prompt);
  const found = Object.entries(defaults.guidance_scales).find(([start]) => has(start));
  return found ? found[1] : defaults.guidance_scale;
}
