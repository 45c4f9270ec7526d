// Finds the JSON value in what a model wrote: in code fences, amid prose, with trailing commas. Evaluates nothing.
import { InputError } from '@masksearch/core';

const MAXIMUM_CHARACTERS = 1_000_000;
/** Deeper values are nobody's honest answer. */
const MAXIMUM_DEPTH = 64;

/**
 * The last top-level object or array that parses: models think first and answer last.
 * @throws {InputError} there is none.
 */
export function parseTolerantJson(text: string): unknown {
  const source = text.slice(0, MAXIMUM_CHARACTERS).trim();
  const whole = tryParse(source);
  if (typeof whole === 'object' && whole !== null) return whole;
  const candidates = topLevelValues(source);
  for (const candidate of candidates.toReversed()) {
    const value = tryParse(candidate) ?? tryParse(withoutTrailingCommas(candidate));
    if (value !== undefined) return value;
  }
  throw new InputError(
    `model output: expected a JSON object or array, received ${JSON.stringify(source.slice(0, 80))}.`,
  );
}

/** Undefined for what is no JSON or nested too deep. */
function tryParse(text: string): unknown {
  if (depthOf(text) > MAXIMUM_DEPTH) return undefined;
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return undefined;
  }
}

function depthOf(text: string): number {
  let depth = 0;
  let deepest = 0;
  for (const character of text) {
    if (character === '{' || character === '[') deepest = Math.max(deepest, ++depth);
    else if (character === '}' || character === ']') depth--;
  }
  return deepest;
}

/** Stretches of the text from an opening bracket to the one that closes it, strings respected. */
function topLevelValues(text: string): string[] {
  const values: string[] = [];
  for (let at = 0; at < text.length; at++) {
    const character = text[at];
    if (character !== '{' && character !== '[') continue;
    const end = closingBracket(text, at);
    if (end < 0) continue;
    values.push(text.slice(at, end + 1));
    at = end;
  }
  return values;
}

/** Where the bracket at `start` is closed; -1 if it is not, or nests too deep to be worth reading. */
function closingBracket(text: string, start: number): number {
  let depth = 0;
  let inString = false;
  for (let at = start; at < text.length; at++) {
    const character = text[at];
    if (inString) {
      if (character === '\\') at++;
      else if (character === '"') inString = false;
    } else if (character === '"') inString = true;
    else if (character === '{' || character === '[') {
      if (++depth > MAXIMUM_DEPTH) return -1;
    } else if ((character === '}' || character === ']') && --depth === 0) return at;
  }
  return -1;
}

/** Removes a comma before a closing bracket, outside of strings. */
function withoutTrailingCommas(text: string): string {
  return text.replace(/("(?:[^"\\]|\\[^])*")|,(\s*[}\]])/g, (_, string?: string, end?: string) =>
    string === undefined ? (end ?? '') : string,
  );
}
