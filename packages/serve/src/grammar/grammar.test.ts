// JSON grammars over bytes and tokens: what they let through fits, and what models write gets through.
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { readJsonSchema } from '../chat/json-schema.ts';
import { protocolTokenizer as tokenizer } from '../../test/scripted-model.ts';
import { anyObject, jsonPatternOf } from './json-pattern.ts';
import { Matcher, type MatchState } from './matcher.ts';
import {
  choice,
  literal,
  type Pattern,
  reference,
  repeat,
  sequence,
  shortestLength,
} from './pattern.ts';
import { TokenGrammar } from './token-grammar.ts';
import { tokenTrie } from './token-trie.ts';

const record = z.strictObject({
  name: z.string(),
  short: z.string().min(1).max(4),
  kind: z.enum(['a', 'ab', 'é"\\']),
  list: z.array(z.union([z.number(), z.null()])).max(3),
  pair: z.array(z.boolean()).length(2),
  maybe: z.strictObject({ whole: z.number().int().optional(), mark: z.literal('x') }).optional(),
  other: z.union([z.strictObject({ a: z.number() }), z.strictObject({ a: z.string() })]),
});
const schemaOf = (schema: z.ZodType) => readJsonSchema(z.toJSONSchema(schema));

function accepts(pattern: Pattern, text: string): boolean {
  const matcher = new Matcher(pattern);
  let state: MatchState | null = matcher.start;
  for (const byte of Buffer.from(text)) {
    state = matcher.step(state, byte);
    if (state === null) return false;
  }
  return state.isEnd;
}

/** A text of the pattern: at each byte one that may follow, and the end where it may be. */
function textOf(pattern: Pattern, pick: (count: number) => number): string {
  const matcher = new Matcher(pattern);
  const bytes: number[] = [];
  let state = matcher.start;
  while (!(state.isOver || (state.isEnd && pick(4) === 0)) && bytes.length < 20_000) {
    const at = state;
    const all = Array.from({ length: 256 }, (_, byte) => byte);
    const possible = all.filter((byte) => matcher.step(at, byte) !== null);
    // Closing often enough that texts end.
    const closing = possible.filter((byte) => '"]},'.includes(String.fromCharCode(byte)));
    const from = closing.length > 0 && pick(3) === 0 ? closing : possible;
    const byte = from[pick(from.length)] as number;
    bytes.push(byte);
    state = matcher.step(at, byte) as MatchState;
  }
  return new TextDecoder('utf-8', { fatal: true }).decode(Uint8Array.from(bytes));
}

const picks = fc.infiniteStream(fc.nat({ max: 2 ** 20 }));
const picker = (stream: Iterator<number>) => (count: number) =>
  (stream.next().value as number) % count;

describe('a JSON pattern', () => {
  it('lets nothing through that does not fit its schema', () => {
    const { node, check } = schemaOf(record);
    const { pattern, isWhole } = jsonPatternOf(node);
    expect(isWhole).toBe(true);
    fc.assert(
      fc.property(picks, (stream) => {
        const text = textOf(pattern, picker(stream));
        expect(check.safeParse(JSON.parse(text)).error).toBeUndefined();
      }),
      { numRuns: 60 },
    );
  });

  it('lets any JSON object through as JSON.stringify writes it, close or indented', () => {
    fc.assert(
      fc.property(
        fc.dictionary(fc.string(), fc.jsonValue({ maxDepth: 4 })),
        fc.constantFrom(undefined, 1, 2, 4),
        (value, indent) => {
          // Numbers of more digits are shorter in the grammar.
          const short = JSON.parse(
            JSON.stringify(value, (_, one) =>
              typeof one === 'number' ? Math.round(one % 1e9) : one,
            ),
          );
          expect(accepts(anyObject.pattern, JSON.stringify(short, null, indent))).toBe(true);
        },
      ),
    );
  });

  it('takes members in their order, and those that are needed', () => {
    const { pattern } = jsonPatternOf(
      schemaOf(z.strictObject({ a: z.null().optional(), b: z.null(), c: z.null().optional() }))
        .node,
    );
    for (const right of ['{"b":null}', '{"a": null, "b": null}', '{ "b":null,"c":null }']) {
      expect(accepts(pattern, right)).toBe(true);
    }
    const wrong = ['{}', '{"a":null}', '{"b":null,"a":null}', '{,"b":null}', '{"b":null,}'];
    for (const text of wrong) expect(accepts(pattern, text)).toBe(false);
  });

  it('holds a string to its least length also where the most is only checked', () => {
    const { pattern } = jsonPatternOf(schemaOf(z.string().min(2).max(4000)).node);
    expect(['"ab"', '"a😀"'].map((text) => accepts(pattern, text))).toEqual([true, true]);
    expect(['""', '"a"'].map((text) => accepts(pattern, text))).toEqual([false, false]);
  });

  it('follows references, also to what holds itself', () => {
    const tree = z.strictObject({
      name: z.string(),
      get children() {
        return z.array(tree);
      },
    });
    const { pattern, isWhole } = jsonPatternOf(schemaOf(tree).node);
    expect(isWhole).toBe(true);
    const value = { name: 'a', children: [{ name: 'b', children: [] }] };
    expect(accepts(pattern, JSON.stringify(value))).toBe(true);
    expect(accepts(pattern, '{"name":"a","children":[{}]}')).toBe(false);
  });

  it.each<[string, object, boolean]>([
    ['a bound that no number passes', z.toJSONSchema(z.number().int()), true],
    ['a bound', { type: 'number', minimum: 0 }, false],
    ['a bound that only numbers with an exponent pass', { type: 'number', maximum: 1e16 }, false],
    ['a bound that no integer passes', { type: 'integer', maximum: 1e16 }, true],
    ['a format', { type: 'string', format: 'date' }, false],
    ['a long string', { type: 'string', maxLength: 4000 }, false],
    ['distinct items', { type: 'array', items: { type: 'null' }, uniqueItems: true }, false],
    ['one of several', { oneOf: [{ type: 'null' }, { type: 'string' }] }, false],
    ['all of several', { allOf: [{ type: 'null' }, { type: 'string' }] }, false],
    ['several types', { type: ['string', 'array'], items: { type: 'null' } }, true],
    [
      'a bound behind a reference',
      {
        type: 'object',
        properties: { a: { $ref: '#/$defs/n' } },
        $defs: { n: { type: 'number', maximum: 1 } },
      },
      false,
    ],
  ])('knows whether it holds everything: %s', (_, schema, isWhole) => {
    expect(jsonPatternOf(readJsonSchema(schema).node).isWhole).toBe(isWhole);
  });

  it.each<[object, string]>([
    [{ type: [] }, 'at least one type'],
    [{ type: 'string', minLength: -1 }, 'minLength to be an integer >= 0'],
    [{ type: 'array', items: { type: 'null' }, maxItems: 1.5 }, 'maxItems to be an integer >= 0'],
  ])('refuses what no value could be measured by: %j', (schema, message) => {
    expect(() => jsonPatternOf(readJsonSchema(schema).node)).toThrow(message);
  });

  it('takes an object of thousands of members', () => {
    const names = Array.from({ length: 3000 }, (_, i) => `p${i}`);
    const properties = Object.fromEntries(names.map((name) => [name, { type: 'null' }]));
    const { node } = readJsonSchema({ type: 'object', properties, required: names });
    const least = JSON.stringify(Object.fromEntries(names.map((name) => [name, null])));
    expect(new Matcher(jsonPatternOf(node).pattern).start.shortest).toBe(least.length);
  });
});

describe('Matcher', () => {
  it('keeps one state for equal places, so that repeating costs nothing', () => {
    const matcher = new Matcher(sequence(literal('"'), repeat(literal('a')), literal('"')));
    let state: MatchState | null = matcher.start;
    for (const byte of Buffer.from(`"${'a'.repeat(1000)}`)) {
      state = state && matcher.step(state, byte);
    }
    expect(state).not.toBeNull();
    expect(matcher.size).toBe(2);
  });

  it('refuses an object of more properties than it can take in a moment', () => {
    const names = Array.from({ length: 5001 }, (_, i) => [`p${i}`, { type: 'null' }]);
    const schema = { type: 'object', properties: Object.fromEntries(names) };
    expect(() => jsonPatternOf(readJsonSchema(schema).node)).toThrow(
      'at most 5000 properties of an object, received 5001',
    );
  });

  it('reads what begins with itself, and refuses what can be read in too many ways', () => {
    const nested: Pattern = choice(
      literal('x'),
      reference(() => nested),
    );
    expect(accepts(nested, 'x')).toBe(true);
    const many = Array.from({ length: 13 }).reduce<Pattern>(
      (rest) => choice(sequence(rest, literal('a')), sequence(rest, literal('b'))),
      literal('c'),
    );
    expect(() => new Matcher(many)).toThrow('ways to read a text');
  });
});

describe('shortestLength', () => {
  it('is exact also of patterns that hold each other, whichever is asked first', () => {
    const a: Pattern = choice(
      reference(() => b),
      literal('x'),
    );
    const b: Pattern = choice(sequence(a, literal('y')), literal('longer than that'));
    expect([shortestLength(a), shortestLength(b)]).toEqual([1, 2]);
  });

  it('is infinite where no text fits, which is refused at once, or left out of a choice', () => {
    // Each of ten holds all ten.
    const all: Pattern[] = Array.from({ length: 10 }, () =>
      sequence(...Array.from({ length: 10 }, (_, i) => reference(() => all[i] as Pattern))),
    );
    const endless = sequence(literal('a'), all[0] as Pattern);
    expect(shortestLength(endless)).toBe(Infinity);
    expect(() => new Matcher(endless)).toThrow('a pattern that a text can fit');
    const matcher = new Matcher(choice(endless, literal('b')));
    expect(matcher.step(matcher.start, 'a'.charCodeAt(0))).toBeNull();
    expect(matcher.step(matcher.start, 'b'.charCodeAt(0))?.isOver).toBe(true);
  });
});

describe('TokenGrammar', () => {
  const trie = tokenTrie(tokenizer);
  const V = tokenizer.vocabularySize;
  const grammarOf = (pattern: Pattern, ends: readonly number[] = []) =>
    new TokenGrammar(pattern, { tokenizer, trie, vocabularySize: V + 40, ends });
  const isSet = (bits: Uint32Array, id: number) =>
    (((bits[id >>> 5] as number) >>> (id & 31)) & 1) === 1;

  it('allows exactly the tokens whose bytes may follow, and the end where it may be', () => {
    const { node } = schemaOf(record);
    const { pattern } = jsonPatternOf(node);
    const end = tokenizer.specialId('<|endoftext|>');
    fc.assert(
      fc.property(picks, fc.nat({ max: 200 }), (stream, length) => {
        const text = Buffer.from(textOf(pattern, picker(stream))).subarray(0, length);
        const matcher = new Matcher(pattern);
        const grammar = grammarOf(pattern, [end]);
        const state = [...text].reduce(
          (at, byte) => matcher.step(at, byte) as MatchState,
          matcher.start,
        );
        const { bits } = grammar.allowed(state, Infinity);
        expect(bits).toHaveLength(Math.ceil((V + 40) / 32));
        const special = new Set(tokenizer.specialTokens.map((token) => tokenizer.specialId(token)));
        for (let id = 0; id < V + 40; id++) {
          const follows =
            id < V &&
            !special.has(id) &&
            [...tokenizer.bytesOf(id)].reduce<MatchState | null>(
              (at, byte) => at && matcher.step(at, byte),
              state,
            ) !== null;
          expect(isSet(bits, id)).toBe(id === end ? state.isEnd : follows);
        }
      }),
      { numRuns: 20 },
    );
  });

  it('makes a text whole within the tokens that are left, if they can be enough', () => {
    const { pattern } = jsonPatternOf(schemaOf(record).node);
    const { shortest } = new Matcher(pattern).start;
    const grammar = grammarOf(pattern);
    fc.assert(
      fc.property(picks, fc.integer({ min: shortest, max: 3 * shortest }), (stream, most) => {
        const pick = picker(stream);
        const position = grammar.start();
        const ids: number[] = [];
        while (!position.isOver && ids.length < most) {
          const bits = position.allowed(most - ids.length);
          const possible = Array.from({ length: V }, (_, id) => id).filter((id) => isSet(bits, id));
          const id = possible[pick(possible.length)] as number;
          position.take(id);
          ids.push(id);
        }
        expect(position.isOver).toBe(true);
        expect(() => void JSON.parse(tokenizer.decode(ids))).not.toThrow();
      }),
      { numRuns: 30 },
    );
    const cut = grammar.start();
    expect(cut.allowed(shortest - 1)).toEqual(grammar.start().allowed(Infinity));
    expect(cut.wasHurried).toBe(false);
  });

  it('refuses a token that was not allowed', () => {
    const position = grammarOf(literal('Riga')).start();
    const wrong = tokenizer.encode('x')[0] as number;
    expect(() => position.take(wrong)).toThrow('one of the allowed tokens');
  });

  it('is over where nothing may follow, or where no token could say so', () => {
    const open = choice(literal('1'), literal('12'));
    const one = tokenizer.encode('1')[0] as number;
    const ended = grammarOf(open).start();
    const going = grammarOf(open, [tokenizer.specialId('<|endoftext|>')]).start();
    for (const position of [ended, going]) position.take(one);
    expect([ended.isOver, going.isOver]).toEqual([true, false]);
  });
});
