// The best `capacity` passages seen so far: higher score first, then earlier in the corpus.

export interface Hit {
  /** Position of the passage in the corpus. */
  readonly ordinal: number;
  readonly score: number;
}

/** A binary heap with the worst kept passage on top. */
export class TopHeap {
  readonly #ordinals: Uint32Array;
  readonly #scores: Float64Array;
  #size = 0;

  constructor(capacity: number) {
    this.#ordinals = new Uint32Array(capacity);
    this.#scores = new Float64Array(capacity);
  }

  /** Score of the worst passage kept; -Infinity while there is room. */
  get threshold(): number {
    return this.#size < this.#scores.length ? -Infinity : (this.#scores[0] ?? Infinity);
  }

  offer(ordinal: number, score: number): void {
    if (this.#size < this.#scores.length) {
      this.#put(this.#size, ordinal, score);
      this.#up(this.#size++);
    } else if (this.#size > 0 && this.#worseThan(0, ordinal, score)) {
      this.#put(0, ordinal, score);
      this.#down();
    }
  }

  /** Best first. */
  sorted(): Hit[] {
    const hits: Hit[] = [];
    for (let i = 0; i < this.#size; i++) {
      hits.push({ ordinal: this.#ordinals[i] as number, score: this.#scores[i] as number });
    }
    return hits.sort((a, b) => b.score - a.score || a.ordinal - b.ordinal);
  }

  #put(i: number, ordinal: number, score: number): void {
    this.#ordinals[i] = ordinal;
    this.#scores[i] = score;
  }

  #worseThan(i: number, ordinal: number, score: number): boolean {
    const own = this.#scores[i] as number;
    return own < score || (own === score && (this.#ordinals[i] as number) > ordinal);
  }

  #isWorse(i: number, j: number): boolean {
    return this.#worseThan(i, this.#ordinals[j] as number, this.#scores[j] as number);
  }

  #swap(i: number, j: number): void {
    const ordinal = this.#ordinals[i] as number;
    const score = this.#scores[i] as number;
    this.#put(i, this.#ordinals[j] as number, this.#scores[j] as number);
    this.#put(j, ordinal, score);
  }

  #up(start: number): void {
    let i = start;
    while (i > 0) {
      const parent = (i - 1) >> 1;
      if (!this.#isWorse(i, parent)) return;
      this.#swap(i, parent);
      i = parent;
    }
  }

  #down(): void {
    let i = 0;
    for (;;) {
      let worst = i;
      for (const child of [2 * i + 1, 2 * i + 2]) {
        if (child < this.#size && this.#isWorse(child, worst)) worst = child;
      }
      if (worst === i) return;
      this.#swap(i, worst);
      i = worst;
    }
  }
}
