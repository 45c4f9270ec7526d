// NFC that remembers where each character came from, so that offsets refer to the original text.

/** A normalised text and how to get back from it. */
export interface Normalized {
  readonly text: string;
  /** Range of the original that the normalised range [start, end) came from, UTF-16. */
  originalRange(start: number, end: number): readonly [number, number];
}

// Characters that can join what stands before them: marks, Hangul vowels and finals, Kirat Rai vowel signs.
const CHUNK = /[^][\p{M}\u1160-\u11ff\u{16d63}-\u{16d6a}]*/gu;

/** The text as it is. */
export function identity(text: string): Normalized {
  return { text, originalRange: (start, end) => [start, end] };
}

/** Unicode normalisation form C. A token that covers part of a recomposed chunk gets the whole chunk's range. */
export function nfc(text: string): Normalized {
  const normalized = text.normalize('NFC');
  if (normalized === text) return identity(text);
  const pieces: string[] = [];
  // Per normalised code unit: start and end of its origin.
  const starts: number[] = [];
  const ends: number[] = [];
  for (const match of text.matchAll(CHUNK)) {
    const chunk = match[0];
    const piece = chunk.normalize('NFC');
    pieces.push(piece);
    for (let i = 0; i < piece.length; i++) {
      starts.push(piece === chunk ? match.index + i : match.index);
      ends.push(piece === chunk ? match.index + i + 1 : match.index + chunk.length);
    }
  }
  if (pieces.join('') !== normalized) {
    // A composition that the chunks do not know (newer Unicode): one chunk for everything.
    return { text: normalized, originalRange: () => [0, text.length] };
  }
  return {
    text: normalized,
    originalRange: (start, end) => [starts[start] ?? text.length, ends[end - 1] ?? text.length],
  };
}
