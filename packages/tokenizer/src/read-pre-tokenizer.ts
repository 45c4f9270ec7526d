// The pre-tokenizer of a tokenizer.json: how text is cut into pieces that are merged on their own.
import { allowOnly, asObject, asText, expectation, type JsonObject } from './json-checks.ts';
import { compileLiteral, compileSplitPattern, GPT2_PATTERN } from './split-pattern.ts';

/** Ends (exclusive, UTF-16) of the pieces of a text, in order; together they cover it. */
export type PreTokenizer = (text: string) => number[];

/** @throws {InputError} for components or options other than `Split` (isolated) followed by `ByteLevel`. */
export function readPreTokenizer(value: unknown, where: string): PreTokenizer {
  const components = allowOnly(value, 'pretokenizers', where, ['Split', 'ByteLevel']);
  const last = components.at(-1);
  if (last === undefined || last['type'] !== 'ByteLevel') {
    throw expectation(where, 'ByteLevel as the last component', last?.['type'] ?? null);
  }
  const patterns = components.flatMap((component, i) => {
    const at = `${where} ${i + 1}`;
    return component['type'] === 'Split'
      ? [readSplit(component, at)]
      : readByteLevel(component, at);
  });
  return (text) => patterns.reduce((ends, pattern) => cut(text, ends, pattern), wholeText(text));
}

function readByteLevel(component: JsonObject, where: string): RegExp[] {
  // Hugging Face's default of an absent add_prefix_space is true.
  if (component['add_prefix_space'] !== false) {
    throw expectation(
      `${where}.add_prefix_space`,
      'false',
      component['add_prefix_space'],
      'a space that is not in the text would have no offsets',
    );
  }
  return component['use_regex'] === false ? [] : [compileSplitPattern(GPT2_PATTERN, where)];
}

function readSplit(component: JsonObject, where: string): RegExp {
  if (component['behavior'] !== 'Isolated' || (component['invert'] ?? false) !== false) {
    throw expectation(where, 'Split with behavior Isolated, not inverted', component['behavior']);
  }
  const pattern = asObject(component['pattern'], `${where}.pattern`);
  if (pattern['String'] !== undefined) {
    return compileLiteral(asText(pattern['String'], `${where}.pattern.String`));
  }
  const at = `${where}.pattern.Regex`;
  return compileSplitPattern(asText(pattern['Regex'], at), at);
}

function wholeText(text: string): number[] {
  return text === '' ? [] : [text.length];
}

/** Cuts every piece again around the matches of `pattern`. */
function cut(text: string, ends: readonly number[], pattern: RegExp): number[] {
  const result: number[] = [];
  let start = 0;
  for (const end of ends) {
    const piece = ends.length === 1 ? text : text.slice(start, end);
    let last = start;
    for (const match of piece.matchAll(pattern)) {
      if (match[0] === '') continue;
      const from = start + match.index;
      if (from > last) result.push(from);
      last = from + match[0].length;
      result.push(last);
    }
    if (last < end) result.push(end);
    start = end;
  }
  return result;
}
