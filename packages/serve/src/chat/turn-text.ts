// The text of a turn as its tokens come: whole characters only, stop strings found, nothing shown that may be taken back.
import type { Tokenizer } from '@masksearch/tokenizer';

export interface TextOptions {
  readonly tokenizer: Pick<Tokenizer, 'decode'>;
  readonly stop: readonly string[];
  /** Keeps the stop string at the end of the text. */
  readonly includeStop: boolean;
  /** Tokens without text. */
  readonly silent: ReadonlySet<number>;
  /** Where text begins that must not be shown yet; -1 for nowhere. */
  readonly holdFrom: (text: string) => number;
}

export interface TokenText {
  readonly id: number;
  readonly text: string;
  /** Nats. */
  readonly logProb: number;
  /** Where in the turn's text the token begins, UTF-16. */
  readonly start: number;
}

/** A character of UTF-8 has at most so many tokens. */
const LONGEST_CHARACTER_BYTES = 4;

export class TurnText {
  readonly #options: TextOptions;
  readonly #tokens: TokenText[] = [];
  /** Tokens whose bytes do not end with a whole character yet. */
  #pending: number[] = [];
  #text = '';
  #shown = 0;
  #tokensShown = 0;
  #end: number | undefined;

  constructor(options: TextOptions) {
    this.#options = options;
  }

  /** True once a stop string was met; no more tokens are taken then. */
  get isStopped(): boolean {
    return this.#end !== undefined;
  }

  /** Everything, to the stop string. */
  get text(): string {
    return this.#text.slice(0, this.#end);
  }

  get tokens(): readonly TokenText[] {
    return this.#tokens;
  }

  add(id: number, logProb: number): void {
    if (this.isStopped) return;
    const text = this.#options.silent.has(id) ? '' : this.#options.tokenizer.decode([id]);
    this.#tokens.push({ id, text, logProb, start: this.#text.length });
    if (text === '') return;
    this.#pending.push(id);
    const decoded = this.#options.tokenizer.decode(this.#pending);
    if (decoded.endsWith('\ufffd') && this.#pending.length < LONGEST_CHARACTER_BYTES) return;
    this.#append(decoded);
  }

  /** No more tokens come: what was incomplete is text now. */
  end(): void {
    if (!this.isStopped && this.#pending.length > 0) {
      this.#append(this.#options.tokenizer.decode(this.#pending));
    }
    this.#end ??= this.#text.length;
  }

  /** Text and tokens that can be shown now and were not shown before. */
  show(): { readonly text: string; readonly tokens: readonly TokenText[] } {
    const to = Math.max(this.#shown, this.#safeEnd());
    const text = this.#text.slice(this.#shown, to);
    this.#shown = to;
    const from = this.#tokensShown;
    while ((this.#tokens[this.#tokensShown]?.start ?? to) < to) this.#tokensShown++;
    return { text, tokens: this.#tokens.slice(from, this.#tokensShown) };
  }

  #append(decoded: string): void {
    const before = this.#text.length;
    this.#text += decoded;
    this.#pending = [];
    for (const stop of this.#options.stop) {
      const at = this.#text.indexOf(stop, Math.max(0, before - stop.length + 1));
      const end = at + (this.#options.includeStop ? stop.length : 0);
      if (at >= 0 && end < (this.#end ?? Infinity)) this.#end = end;
    }
  }

  #safeEnd(): number {
    const hold = this.#options.holdFrom(this.#text);
    const limit = hold < 0 ? this.#text.length : hold;
    if (this.#end !== undefined) return Math.min(limit, this.#end);
    return Math.min(limit, this.#text.length - this.#partialStop());
  }

  /** Characters at the end that may be the beginning of a stop string. */
  #partialStop(): number {
    return Math.max(0, ...this.#options.stop.map((stop) => partLength(this.#text, stop)));
  }
}

/** Where `marker` begins in a text that may end in the middle of it; -1 for nowhere. */
export function markerStart(text: string, marker: string): number {
  const whole = text.indexOf(marker);
  if (whole >= 0) return whole;
  const part = partLength(text, marker);
  return part === 0 ? -1 : text.length - part;
}

/** Length of the longest beginning of `marker`, not all of it, that the text ends with. */
function partLength(text: string, marker: string): number {
  for (let length = Math.min(marker.length - 1, text.length); length > 0; length--) {
    if (text.endsWith(marker.slice(0, length))) return length;
  }
  return 0;
}
