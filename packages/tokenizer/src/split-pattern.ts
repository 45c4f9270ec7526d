// Translates the regular expressions of tokenizer.json (Oniguruma) into JavaScript's, or refuses them by name.
import { InputError } from '@masksearch/core';

// White space differs: JavaScript's \s has U+FEFF and lacks U+0085.
const SHORTHANDS: Readonly<Record<string, string>> = {
  s: '\\p{White_Space}',
  S: '\\P{White_Space}',
  d: '\\p{Nd}',
  D: '\\P{Nd}',
};
const CONTROLS = new Set(['n', 'r', 't', 'f', 'v']);
// Characters that fold to an ASCII letter without being its other case.
const EXTRA_FOLDS: Readonly<Record<string, string>> = { s: '\u017f', k: '\u212a' };

/** The pattern of GPT-2, which a ByteLevel pre-tokenizer with `use_regex` splits by. */
export const GPT2_PATTERN =
  "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+";

/**
 * Compiles an Oniguruma pattern with the same meaning, flags `gu`. Supported: literals, classes, \p{…}, \s \S \d \D,
 * greedy and lazy quantifiers, plain, look-around and `(?i:…)` groups (letters in it must be ASCII and outside ranges).
 *
 * @param where Named in errors.
 * @throws {InputError} for anything else, naming the construct and its position.
 */
export function compileSplitPattern(pattern: string, where: string): RegExp {
  const source = translate(pattern, where);
  try {
    return new RegExp(source, 'gu');
  } catch (error) {
    throw new InputError(
      `${where}: expected a regular expression, received ${JSON.stringify(pattern)}.`,
      { cause: error },
    );
  }
}

/** A regular expression that matches `text` literally. */
export function compileLiteral(text: string): RegExp {
  return new RegExp(text.replace(/[\\^$.*+?()[\]{}|/-]/g, '\\$&').replaceAll('\\-', '-'), 'gu');
}

function translate(pattern: string, where: string): string {
  const refuse = (what: string, at: number): never => {
    throw new InputError(
      `${where}: expected a pattern that JavaScript can run, received ${what} at position ${at} of ${JSON.stringify(pattern)}.`,
    );
  };
  // One entry per open group: do letters in it match either case?
  const folding: boolean[] = [false];
  let inClass = false;
  let afterQuantifier = false;
  let out = '';
  let at = 0;
  while (at < pattern.length) {
    const char = String.fromCodePoint(pattern.codePointAt(at) as number);
    const foldCase = folding.at(-1) as boolean;
    const isQuantifier = !inClass && /[?*+}]/.test(char);
    if (char === '+' && afterQuantifier) refuse('a possessive or stacked quantifier', at);
    afterQuantifier = isQuantifier;
    if (char === '\\') {
      const escape = readEscape(pattern, at, refuse);
      out += escape.source;
      at += escape.length;
    } else if (inClass) {
      if (char === '[') refuse('a nested character class', at);
      if (char === '&' && pattern[at + 1] === '&') refuse('a class intersection', at);
      if (char === ']') inClass = false;
      if (foldCase && /[a-z]/i.test(char)) {
        if (pattern[at + 1] === '-' || pattern[at - 1] === '-') refuse('a range under (?i:', at);
        out += casesOf(char);
      } else {
        out += char;
      }
      at += char.length;
    } else if (char === '[') {
      inClass = true;
      out += pattern[at + 1] === '^' ? '[^' : '[';
      at += pattern[at + 1] === '^' ? 2 : 1;
    } else if (char === '(') {
      const group = readGroup(pattern, at, refuse);
      folding.push(group.foldCase ?? foldCase);
      out += group.source;
      at += group.length;
    } else if (char === ')') {
      if (folding.length === 1) refuse('an unopened group', at);
      folding.pop();
      out += char;
      at += 1;
    } else {
      if (foldCase && /[^\0-\x7f]/u.test(char)) refuse('a non-ASCII letter under (?i:', at);
      out += foldCase && /[a-z]/i.test(char) ? `[${casesOf(char)}]` : char;
      at += char.length;
    }
  }
  return out;
}

function casesOf(letter: string): string {
  const lower = letter.toLowerCase();
  return `${lower}${letter.toUpperCase()}${EXTRA_FOLDS[lower] ?? ''}`;
}

type Refuse = (what: string, at: number) => never;

function readEscape(
  pattern: string,
  at: number,
  refuse: Refuse,
): { source: string; length: number } {
  const name = pattern[at + 1];
  if (name === undefined) return refuse('a trailing backslash', at);
  const shorthand = SHORTHANDS[name];
  if (shorthand !== undefined) return { source: shorthand, length: 2 };
  if (name === 'p' || name === 'P') {
    const property = /^\{\^?[A-Za-z_=]+\}/.exec(pattern.slice(at + 2))?.[0];
    if (property === undefined || property.startsWith('{^')) return refuse(`\\${name}`, at);
    return { source: `\\${name}${property}`, length: 2 + property.length };
  }
  if (CONTROLS.has(name)) return { source: `\\${name}`, length: 2 };
  if (/[A-Za-z0-9]/.test(name)) return refuse(`\\${name}`, at);
  // Identity escapes of characters that need none are errors under the u flag.
  const needed = /[\\^$.*+?()[\]{}|/-]/.test(name);
  return { source: needed ? `\\${name}` : name, length: 2 };
}

function readGroup(
  pattern: string,
  at: number,
  refuse: Refuse,
): { source: string; length: number; foldCase?: boolean } {
  if (pattern[at + 1] !== '?') return { source: '(?:', length: 1 };
  for (const opening of ['(?:', '(?=', '(?!', '(?<=', '(?<!']) {
    if (pattern.startsWith(opening, at)) return { source: opening, length: opening.length };
  }
  if (pattern.startsWith('(?i:', at)) return { source: '(?:', length: 4, foldCase: true };
  return refuse(`the group ${pattern.slice(at, at + 4)}`, at);
}
