// The random numbers of torch on a CPU: a seed gives the same noise here as in Python.
// Mersenne twister (Matsumoto and Nishimura 1998), then the Box-Muller transform as in torch.randn.

const LENGTH = 624, SHIFT = 397;

export class Generator {
  constructor(seed) {
    this.state = new Uint32Array(LENGTH);
    this.state[0] = Number(BigInt(seed) & 0xffffffffn);
    for (let i = 1; i < LENGTH; i++) {
      const before = this.state[i - 1] ^ (this.state[i - 1] >>> 30);
      this.state[i] = Math.imul(before, 1812433253) + i;
    }
    this.next = LENGTH;
  }

  // A whole number from 0 to 2^32 - 1.
  whole() {
    if (this.next === LENGTH) this.#twist();
    let y = this.state[this.next++];
    y ^= y >>> 11;
    y ^= (y << 7) & 0x9d2c5680;
    y ^= (y << 15) & 0xefc60000;
    return (y ^ (y >>> 18)) >>> 0;
  }

  // A number in [0, 1) of 24 bits.
  uniform() {
    return (this.whole() & 0xffffff) / 0x1000000;
  }

  // `count` normal numbers, at least 16, as torch.randn(count, generator=...) gives them.
  normal(count) {
    if (count < 16) throw new Error("torch draws fewer than 16 numbers in another way");
    const values = Float32Array.from({ length: count }, () => this.uniform());
    for (let i = 0; i + 16 <= count; i += 16) pair(values, i);
    if (count % 16) { // torch draws the last 16 numbers again
      for (let i = count - 16; i < count; i++) values[i] = this.uniform();
      pair(values, count - 16);
    }
    return values;
  }

  #twist() {
    const s = this.state;
    for (let i = 0; i < LENGTH; i++) {
      const y = (s[i] & 0x80000000) | (s[(i + 1) % LENGTH] & 0x7fffffff);
      s[i] = s[(i + SHIFT) % LENGTH] ^ (y >>> 1) ^ (y & 1 ? 0x9908b0df : 0);
    }
    this.next = 0;
  }
}

// Turn 16 uniform numbers into 16 normal ones, in place.
function pair(values, start) {
  for (let j = start; j < start + 8; j++) {
    const radius = Math.sqrt(-2 * Math.log(1 - values[j]));
    const angle = 2 * Math.PI * values[j + 8];
    values[j] = radius * Math.cos(angle);
    values[j + 8] = radius * Math.sin(angle);
  }
}
