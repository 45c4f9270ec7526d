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

/**
 * Bytes of the shortest text of a pattern; Infinity where there is none. Of patterns that hold each other it may be more
 * than that.
 */
export function shortestLength(pattern: Pattern, within: ReadonlySet<Pattern> = new Set()): number {
  const known = lengths.get(pattern);
  if (known !== undefined) return known;
  if (within.has(pattern)) return Infinity;
  const inside = new Set(within).add(pattern);
  const length = ((): number => {
    switch (pattern.kind) {
      case 'byte':
        return 1;
      case 'sequence':
        return pattern.parts.reduce((sum, part) => sum + shortestLength(part, inside), 0);
      case 'choice':
        return Math.min(...pattern.options.map((option) => shortestLength(option, inside)));
      case 'repeat':
        return pattern.least === 0 ? 0 : pattern.least * shortestLength(pattern.pattern, inside);
      case 'reference':
        return shortestLength(pattern.resolve(), inside);
      default:
        return pattern satisfies never;
    }
  })();
  if (length < Infinity) lengths.set(pattern, length); // else another way round may be shorter
  return length;
}
