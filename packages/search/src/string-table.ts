// Strings numbered in order of arrival, found by open addressing in arrays that can be stored as they are.
import { growableBytes, growableUint32 } from './growable.ts';

/** What a table is made of; `slots` holds ordinal + 1, 0 is empty, and its length is a power of two. */
export interface StringTableArrays {
  /** UTF-8 of all strings, one after the other. */
  readonly text: Uint8Array;
  /** (count + 1) where each string starts in `text`. */
  readonly offsets: Uint32Array;
  readonly slots: Uint32Array;
}

const encoder = new TextEncoder();
const decoder = new TextDecoder();

/** FNV-1a with a final mix, so that the low bits are good. */
function hashBytes(bytes: Uint8Array, start: number, end: number): number {
  let hash = 0x811c9dc5;
  for (let i = start; i < end; i++) hash = Math.imul(hash ^ (bytes[i] as number), 0x01000193);
  hash ^= hash >>> 15;
  return Math.imul(hash, 0x2c1b3c6d) >>> 0;
}

/** The slot that holds `bytes`, or the empty one where it would go. */
function findSlot(table: StringTableArrays, bytes: Uint8Array): number {
  const mask = table.slots.length - 1;
  let slot = hashBytes(bytes, 0, bytes.length) & mask;
  for (;;) {
    const entry = table.slots[slot] as number;
    if (entry === 0 || isAt(table, entry - 1, bytes)) return slot;
    slot = (slot + 1) & mask;
  }
}

function isAt({ text, offsets }: StringTableArrays, ordinal: number, bytes: Uint8Array): boolean {
  const start = offsets[ordinal] as number;
  if ((offsets[ordinal + 1] as number) - start !== bytes.length) return false;
  for (let i = 0; i < bytes.length; i++) if (text[start + i] !== bytes[i]) return false;
  return true;
}

/** A finished table. */
export class StringTable {
  readonly arrays: StringTableArrays;

  constructor(arrays: StringTableArrays) {
    this.arrays = arrays;
  }

  get size(): number {
    return this.arrays.offsets.length - 1;
  }

  /** The number of `value`, or -1. */
  find(value: string): number {
    const slot = findSlot(this.arrays, encoder.encode(value));
    return (this.arrays.slots[slot] as number) - 1;
  }

  at(ordinal: number): string {
    const { text, offsets } = this.arrays;
    return decoder.decode(text.subarray(offsets[ordinal], offsets[ordinal + 1]));
  }
}

/** Collects strings and numbers them. */
export class StringTableBuilder {
  readonly #text = growableBytes();
  readonly #offsets = growableUint32();
  #slots = new Uint32Array(16);

  constructor() {
    this.#offsets.push(0);
  }

  get size(): number {
    return this.#offsets.length - 1;
  }

  /** The number of `value`: that of its first arrival, or the next free one. */
  add(value: string): number {
    const bytes = encoder.encode(value);
    const slot = findSlot(this.arrays(), bytes);
    const entry = this.#slots[slot] as number;
    if (entry > 0) return entry - 1;
    this.#text.pushAll(bytes);
    this.#offsets.push(this.#text.length);
    this.#slots[slot] = this.size;
    if (this.size * 2 > this.#slots.length) this.#rehash();
    return this.size - 1;
  }

  /** Valid until the next `add`. */
  arrays(): StringTableArrays {
    return { text: this.#text.view(), offsets: this.#offsets.view(), slots: this.#slots };
  }

  #rehash(): void {
    const text = this.#text.view();
    const offsets = this.#offsets.view();
    const slots = new Uint32Array(this.#slots.length * 2);
    const mask = slots.length - 1;
    for (let ordinal = 0; ordinal < this.size; ordinal++) {
      const start = offsets[ordinal] as number;
      let slot = hashBytes(text, start, offsets[ordinal + 1] as number) & mask;
      while (slots[slot] !== 0) slot = (slot + 1) & mask;
      slots[slot] = ordinal + 1;
    }
    this.#slots = slots;
  }
}
