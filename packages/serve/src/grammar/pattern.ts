// What texts there are, as a tree of patterns over UTF-8 bytes. Knows nothing about JSON or tokens; matcher.ts walks it.

export type Pattern =
  | { readonly kind: 'byte'; /** (256) 1 where the byte fits. */ readonly fits: Uint8Array }
  | { readonly kind: 'sequence'; readonly parts: readonly Pattern[] }
  | { readonly kind: 'choice'; readonly options: readonly Pattern[] }
  | Repeat
  | { readonly kind: 'reference'; readonly resolve: () => Pattern };

export interface Repeat {
  readonly kind: 'repeat';
  readonly pattern: Pattern;
  readonly least: number;
  readonly most: number;
}

/** One byte of the ranges, bounds included. */
export function byteIn(...ranges: readonly (readonly [first: number, last: number])[]): Pattern {
  const fits = new Uint8Array(256);
  for (const [first, last] of ranges) fits.fill(1, first, last + 1);
  return { kind: 'byte', fits };
}

/** One of these ASCII characters. */
export function characterOf(characters: string): Pattern {
  return byteIn(...[...Buffer.from(characters, 'latin1')].map((byte) => [byte, byte] as const));
}

export function literal(text: string): Pattern {
  return sequence(...[...Buffer.from(text, 'utf8')].map((byte) => byteIn([byte, byte])));
}

export function sequence(...parts: readonly Pattern[]): Pattern {
  return { kind: 'sequence', parts };
}

export function choice(...options: readonly Pattern[]): Pattern {
  return { kind: 'choice', options };
}

export function repeat(pattern: Pattern, least = 0, most = Infinity): Pattern {
  return { kind: 'repeat', pattern, least, most };
}

export function optional(pattern: Pattern): Pattern {
  return repeat(pattern, 0, 1);
}

/** A pattern that may hold itself. It is asked for only once a text gets there. */
export function reference(resolve: () => Pattern): Pattern {
  return { kind: 'reference', resolve };
}

const lengths = new WeakMap<Pattern, number>();

/** Bytes of the shortest text of a pattern; Infinity where there is none. */
export function shortestLength(pattern: Pattern): number {
  const known = lengths.get(pattern);
  if (known !== undefined) return known;
  const unknown = new Set([pattern]);
  for (const one of unknown) {
    for (const part of partsOf(one)) if (!lengths.has(part)) unknown.add(part);
  }
  const innermostFirst = [...unknown].reverse();
  for (const one of innermostFirst) lengths.set(one, Infinity);
  // Patterns that hold each other are settled when none becomes shorter.
  for (let isSettled = false; !isSettled;) {
    isSettled = true;
    for (const one of innermostFirst) {
      const length = lengthByParts(one);
      if (length === knownLength(one)) continue;
      lengths.set(one, length);
      isSettled = false;
    }
  }
  return knownLength(pattern);
}

function partsOf(pattern: Pattern): readonly Pattern[] {
  switch (pattern.kind) {
    case 'byte':
      return [];
    case 'sequence':
      return pattern.parts;
    case 'choice':
      return pattern.options;
    case 'repeat':
      return [pattern.pattern];
    case 'reference':
      return [pattern.resolve()];
    default:
      return pattern satisfies never;
  }
}

/** From what is known of the parts so far. */
function lengthByParts(pattern: Pattern): number {
  const parts = partsOf(pattern).map(knownLength);
  switch (pattern.kind) {
    case 'byte':
      return 1;
    case 'choice':
      return parts.reduce((least, length) => Math.min(least, length), Infinity);
    case 'sequence':
    case 'reference':
      return parts.reduce((sum, length) => sum + length, 0);
    case 'repeat':
      return pattern.least === 0 ? 0 : pattern.least * (parts[0] as number);
    default:
      return pattern satisfies never;
  }
}

function knownLength(pattern: Pattern): number {
  return lengths.get(pattern) ?? Infinity;
}
