// CLIP's tokenizer (byte-pair encoding: Sennrich et al. 2016, arXiv:1508.07909).

const PIECES = /<\|startoftext\|>|<\|endoftext\|>|'s|'t|'re|'ve|'m|'ll|'d|\p{L}+|\p{N}|[^\s\p{L}\p{N}]+/gu;
const END = "</w>"; // marks the end of a word

export class Tokenizer {
  // settings: "tokenizer" in model.json.
  constructor(settings) {
    Object.assign(this, settings);
    this.rank = new Map(this.merges.map((two, k) => [two.join(" "), k]));
    this.names = new Map(Object.entries(this.vocab).map(([name, id]) => [id, name]));
  }

  // The numbers of the tokens of a prompt: start, its tokens, end, and padding up to the full length.
  encode(prompt) {
    const text = prompt.normalize("NFC").replace(/\s+/g, " ").toLowerCase();
    const ids = (text.match(PIECES) ?? []).flatMap((piece) => this.#ids(piece));
    const kept = [this.start, ...ids.slice(0, this.length - 2), this.end];
    return Int32Array.from({ length: this.length }, (_, k) => kept[k] ?? this.pad);
  }

  #ids(piece) {
    if (piece === "<|startoftext|>") return [this.start];
    if (piece === "<|endoftext|>") return [this.end];
    return this.#merge(letters(piece)).map((part) => this.vocab[part] ?? this.end);
  }

  // Join the pair of neighbours that stands first in the list of merges, again and again.
  #merge(parts) {
    for (;;) {
      const ranks = parts.slice(1).map((part, k) => this.rank.get(`${parts[k]} ${part}`) ?? Infinity);
      const best = Math.min(...ranks);
      if (best === Infinity) return parts;
      const k = ranks.indexOf(best);
      parts.splice(k, 2, parts[k] + parts[k + 1]);
    }
  }
}

// The bytes of a piece, each as one letter; the last one has the mark for the end of a word.
function letters(piece) {
  const parts = Array.from(new TextEncoder().encode(piece), (byte) => LETTER[byte]);
  parts[parts.length - 1] += END;
  return parts;
}

// A letter for each of the 256 bytes: the byte itself if it can be printed, otherwise one from 256 on.
const LETTER = (() => {
  let other = 256;
  return Array.from({ length: 256 }, (_, byte) => {
    const printed = (byte > 32 && byte < 127) || (byte > 160 && byte !== 173);
    return String.fromCodePoint(printed ? byte : other++);
  });
})();
