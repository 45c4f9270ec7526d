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
