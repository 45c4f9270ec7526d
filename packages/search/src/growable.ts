// Typed arrays that grow by doubling.

type Numbers = Uint8Array | Uint32Array | Float64Array;

/** A typed array with `push`; `view()` is its content without a copy, valid until the next push. */
export class Growable<A extends Numbers> {
  #array: A;
  #length = 0;
  readonly #allocate: (length: number) => A;

  constructor(allocate: (length: number) => A, capacity = 1024) {
    this.#allocate = allocate;
    this.#array = allocate(capacity);
  }

  get length(): number {
    return this.#length;
  }

  push(value: number): void {
    this.#reserve(this.#length + 1);
    this.#array[this.#length++] = value;
  }

  pushAll(values: A): void {
    this.#reserve(this.#length + values.length);
    this.#array.set(values, this.#length);
    this.#length += values.length;
  }

  view(): A {
    return this.#array.subarray(0, this.#length) as A;
  }

  /** Forgets the content and keeps the room. */
  clear(): void {
    this.#length = 0;
  }

  #reserve(needed: number): void {
    if (needed <= this.#array.length) return;
    const larger = this.#allocate(Math.max(needed, this.#array.length * 2));
    larger.set(this.view());
    this.#array = larger;
  }
}

export const growableBytes = (): Growable<Uint8Array> => new Growable((n) => new Uint8Array(n));
export const growableUint32 = (): Growable<Uint32Array> => new Growable((n) => new Uint32Array(n));
export const growableFloat64 = (): Growable<Float64Array> =>
  new Growable((n) => new Float64Array(n));
