// Finds known names in text with an Aho-Corasick automaton: word-bounded, leftmost, longest.
import { InputError, splitSentences } from '@masksearch/core';
import type { Document, Span } from '@masksearch/core';
import { isFunctionWord } from './names.ts';
import { overlaps, spanOf } from './spans.ts';
import { isWordBounded } from './words.ts';

/** One thing with all its names. */
export interface GazetteerEntry {
  readonly name: string;
  readonly aliases: readonly string[];
  readonly kind: string;
}

/** The entry of what a document is about; a title's " (disambiguation)" is not part of the name. */
export function gazetteerEntry(document: Document, kind: string): GazetteerEntry {
  return { name: withoutDisambiguation(document.title), aliases: document.aliases, kind };
}

/** `Mercury (planet)` → `Mercury`. */
export function withoutDisambiguation(title: string): string {
  return title.replace(/\s+\([^()]*\)$/u, '');
}

const ROOT = 0;

export class Gazetteer {
  readonly #entries: readonly GazetteerEntry[];
  readonly #edges = new EdgeTable();
  /** Per node: its parent, the code unit that leads to it, its depth. */
  readonly #parent: number[] = [ROOT];
  readonly #unit: number[] = [0];
  readonly #depth: number[] = [0];
  /** Per node: the entry whose name ends here, or -1. */
  readonly #entry: number[] = [-1];
  /** Per node: the longest proper suffix that is a node, and the nearest such with an entry. */
  readonly #fail: Int32Array;
  readonly #output: Int32Array;

  /** Names that are a single function word (It, The) are left out; of equal names the first counts. */
  constructor(entries: Iterable<GazetteerEntry>) {
    this.#entries = [...entries];
    this.#entries.forEach((entry, index) => {
      for (const name of [entry.name, ...entry.aliases]) {
        if (name.trim() !== name) {
          throw new InputError(
            `Gazetteer: expected names without white space around them, received ${JSON.stringify(name)}.`,
          );
        }
        if (name !== '' && !isFunctionWord(name)) this.#insert(name, index);
      }
    });
    this.#fail = new Int32Array(this.#parent.length);
    this.#output = new Int32Array(this.#parent.length).fill(-1);
    this.#link();
  }

  /**
   * Spans of the names in `text`, in text order, without overlap. A match's aliases are its entry's other
   * names. Single words that open a sentence are no matches: their capital letter says nothing.
   */
  find(text: string): Span[] {
    const found = this.#matches(text);
    found.sort((a, b) => a.start - b.start || b.end - a.end);
    const sentenceStarts = new Set(splitSentences(text).map(({ start }) => start));
    const spans: Span[] = [];
    for (const span of found) {
      const previous = spans.at(-1);
      if (previous && overlaps(previous, span)) continue;
      if (sentenceStarts.has(span.start) && !span.text.includes(' ')) continue;
      spans.push(span);
    }
    return spans;
  }

  #insert(name: string, entry: number): void {
    let node = ROOT;
    for (let i = 0; i < name.length; i++) {
      const unit = name.charCodeAt(i);
      let next = this.#edges.get(node, unit);
      if (next < 0) {
        next = this.#parent.length;
        this.#edges.set(node, unit, next);
        this.#parent.push(node);
        this.#unit.push(unit);
        this.#depth.push(i + 1);
        this.#entry.push(-1);
      }
      node = next;
    }
    if (this.#entry[node] === -1) this.#entry[node] = entry;
  }

  /** Fills fail and output links, nearest to the root first. */
  #link(): void {
    const byDepth = [...this.#depth.keys()].sort((a, b) => this.#depthOf(a) - this.#depthOf(b));
    for (const node of byDepth) {
      if (this.#depthOf(node) < 2) continue;
      const fail = this.#step(
        this.#fail[this.#parent[node] ?? ROOT] ?? ROOT,
        this.#unit[node] ?? 0,
      );
      this.#fail[node] = fail;
      this.#output[node] = this.#entry[fail] === -1 ? (this.#output[fail] ?? -1) : fail;
    }
  }

  #step(from: number, unit: number): number {
    let node = from;
    for (;;) {
      const next = this.#edges.get(node, unit);
      if (next >= 0) return next;
      if (node === ROOT) return ROOT;
      node = this.#fail[node] ?? ROOT;
    }
  }

  #matches(text: string): Span[] {
    const found: Span[] = [];
    let node = ROOT;
    for (let i = 0; i < text.length; i++) {
      node = this.#step(node, text.charCodeAt(i));
      let hit = this.#entry[node] === -1 ? (this.#output[node] ?? -1) : node;
      for (; hit > ROOT; hit = this.#output[hit] ?? -1) {
        const start = i + 1 - this.#depthOf(hit);
        const entry = this.#entries[this.#entry[hit] ?? -1];
        if (!entry || !isWordBounded(text, start, i + 1)) continue;
        const surface = text.slice(start, i + 1);
        const others = [entry.name, ...entry.aliases].filter((name) => name !== surface);
        found.push(spanOf(text, [start, i + 1], entry.kind, others));
      }
    }
    return found;
  }

  #depthOf(node: number): number {
    return this.#depth[node] ?? 0;
  }
}

/** (node, code unit) → node, open addressing; 12 bytes a slot at a load of at most one half. */
class EdgeTable {
  #size = 0;
  #nodes = new Int32Array(1024).fill(-1);
  #units = new Int32Array(1024);
  #targets = new Int32Array(1024);

  /** The target, or -1. */
  get(node: number, unit: number): number {
    const slot = this.#slot(node, unit);
    return this.#nodes[slot] === -1 ? -1 : (this.#targets[slot] ?? -1);
  }

  set(node: number, unit: number, target: number): void {
    if (2 * this.#size >= this.#nodes.length) this.#grow();
    const slot = this.#slot(node, unit);
    this.#nodes[slot] = node;
    this.#units[slot] = unit;
    this.#targets[slot] = target;
    this.#size++;
  }

  #slot(node: number, unit: number): number {
    const mask = this.#nodes.length - 1;
    // Multiplicative hashing with the golden ratio's bits.
    const hash = Math.imul(Math.imul(node, 0x9e3779b1) ^ unit, 0x85ebca6b);
    let slot = (hash ^ (hash >>> 15)) & mask;
    while (this.#nodes[slot] !== -1) {
      if (this.#nodes[slot] === node && this.#units[slot] === unit) break;
      slot = (slot + 1) & mask;
    }
    return slot;
  }

  #grow(): void {
    const [nodes, units, targets] = [this.#nodes, this.#units, this.#targets];
    this.#nodes = new Int32Array(2 * nodes.length).fill(-1);
    this.#units = new Int32Array(2 * nodes.length);
    this.#targets = new Int32Array(2 * nodes.length);
    this.#size = 0;
    nodes.forEach((node, i) => {
      if (node !== -1) this.set(node, units[i] ?? 0, targets[i] ?? 0);
    });
  }
}
