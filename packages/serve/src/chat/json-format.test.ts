// JSON answers, driven by an unmodified `openai` client: what comes fits, is cut off by its length, or there is a refusal.
import fc from 'fast-check';
import { zodResponseFormat } from 'openai/helpers/zod';
import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { ask, codec, connect, refusal, saying, searchTool, tinyModel } from '../../test/served.ts';
import { readJsonSchema } from './json-schema.ts';

const RIGHT = '{"capital": "Riga", "people": 605000}';
const city = z.object({ capital: z.string(), people: z.number().int() });
const asCity = zodResponseFormat(city, 'city');
/** What a grammar does not hold a number to. */
const asSmallCity = zodResponseFormat(city.extend({ people: z.number().max(9) }), 'city');

describe('an answer in JSON', () => {
  it('is held to the schema: whatever a model with random weights writes fits', async () => {
    const client = await connect({ model: await tinyModel() });
    const schema = z.strictObject({
      verdict: z.enum(['correct', 'incorrect']),
      sure: z.boolean(),
      why: z.string().max(20).nullable(),
      years: z.array(z.number().int()).min(1).max(3),
    });
    const request = {
      ...ask({ max_tokens: 400 }),
      response_format: zodResponseFormat(schema, 'v'),
    };
    const answers = await Promise.all(
      Array.from({ length: 8 }, (_, seed) =>
        client.chat.completions.parse({ ...request, seed, temperature: seed / 4 }),
      ),
    );
    for (const { choices } of answers) {
      expect(choices[0]?.finish_reason).toBe('stop');
      expect(schema.parse(choices[0]?.message.parsed)).toEqual(
        JSON.parse(choices[0]?.message.content ?? ''),
      );
    }
    expect(new Set(answers.map(({ choices }) => choices[0]?.message.content)).size).toBe(8);
  });

  it('is the same again for the same seed, alone and in a batch, streamed and whole', async () => {
    const client = await connect({ model: await tinyModel() });
    const list = z.strictObject({ list: z.array(z.boolean()).length(9) });
    const request = {
      ...ask({ max_tokens: 400, seed: 3 }),
      response_format: zodResponseFormat(list, 'list'),
    };
    const alone = await client.chat.completions.create({ ...request, logprobs: true });
    const [again] = await Promise.all([
      client.chat.completions.create({ ...request, logprobs: true }),
      client.chat.completions.create(ask({ max_tokens: 60, seed: 4 })),
    ]);
    expect(again.choices).toEqual(alone.choices);
    let content = '';
    let pieces = 0;
    for await (const { choices } of await client.chat.completions.create({
      ...request,
      stream: true,
    })) {
      content += choices[0]?.delta.content ?? '';
      pieces++;
    }
    expect(content).toBe(alone.choices[0]?.message.content);
    expect(pieces).toBeGreaterThan(10);
  });

  it('is closed where its length would cut it off, and says so; what is too short is cut', async () => {
    const client = await connect({ model: await tinyModel() });
    const schema = z.strictObject({ words: z.array(z.string().min(9)).length(2) });
    const answer = async (max_tokens: number) => {
      const request = {
        ...ask({ max_tokens, seed: 1 }),
        response_format: zodResponseFormat(schema, 'w'),
      };
      return (await client.chat.completions.create(request)).choices[0];
    };
    const closed = await answer(40);
    expect(closed?.finish_reason).toBe('length');
    expect(schema.parse(JSON.parse(closed?.message.content ?? '')).words).toHaveLength(2);
    const cut = await answer(4);
    expect(cut?.finish_reason).toBe('length');
    expect(cut?.message.content).toMatch(/^\{/);
  });

  it('ends where the value does, or at the end token where it could go on', async () => {
    const client = await connect({ model: await tinyModel() });
    const ask12 = (schema: Record<string, unknown>) =>
      client.chat.completions.create(
        ask({
          max_tokens: 20,
          seed: 2,
          response_format: { type: 'json_schema', json_schema: { name: 'n', schema } },
        }),
      );
    const word = (await ask12({ const: 'Riga' })).choices[0];
    expect(word).toMatchObject({ finish_reason: 'stop', message: { content: '"Riga"' } });
    const number = (await ask12({ enum: [1, 12, 123] })).choices[0];
    expect(number?.finish_reason).toBe('stop');
    expect([1, 12, 123]).toContain(JSON.parse(number?.message.content ?? ''));
  });

  it('is sampled again where a limit on values is passed, a few times, and counts all tokens', async () => {
    const model = saying(RIGHT, RIGHT, '{"capital": "Riga", "people": 6}');
    const client = await connect({ model });
    const { choices, usage } = await client.chat.completions.create({
      ...ask({ max_tokens: 60 }),
      response_format: asSmallCity,
    });
    expect(JSON.parse(choices[0]?.message.content ?? '')).toMatchObject({ people: 6 });
    expect(model.prompts).toHaveLength(3);
    expect(usage?.completion_tokens).toBeGreaterThan(2 * codec.encodeTurn(RIGHT).length);
  });

  it('becomes a refusal that says why, never text that does not fit, whole or streamed', async () => {
    const client = await connect({ model: saying(RIGHT) });
    const request = { ...ask({ max_tokens: 60 }), response_format: asSmallCity };
    const { choices } = await client.chat.completions.create(request);
    expect(choices[0]?.message.content).toBeNull();
    expect(choices[0]?.message.refusal).toMatch(/in 4 tries; of the last: people: /);
    let told = '';
    for await (const chunk of await client.chat.completions.create({ ...request, stream: true })) {
      told += chunk.choices[0]?.delta.refusal ?? '';
      expect(chunk.choices[0]?.delta.content ?? '').toBe('');
    }
    expect(told).toBe(choices[0]?.message.refusal);
  });

  it('is streamed once it is known to fit', async () => {
    const fitting = '{"capital": "Riga", "people": 6}';
    const client = await connect({ model: saying(RIGHT, fitting) });
    const request = { ...ask({ max_tokens: 60 }), response_format: asSmallCity };
    let content = '';
    for await (const { choices } of await client.chat.completions.create({
      ...request,
      stream: true,
    })) {
      content += choices[0]?.delta.content ?? '';
    }
    expect(content).toBe(fitting);
  });

  it('is tried once where every try would be the same', async () => {
    const model = saying(RIGHT);
    const client = await connect({ model });
    const { choices } = await client.chat.completions.create({
      ...ask({ max_tokens: 60, temperature: 0 }),
      response_format: asSmallCity,
    });
    expect(choices[0]?.message.refusal).toContain('1 tries');
    expect(model.prompts).toHaveLength(1);
  });

  it('is checked only, where tools are offered that may be called in its place', async () => {
    const model = saying(`[1]\n`, `${RIGHT}\n`);
    const client = await connect({ model });
    const { choices } = await client.chat.completions.create({
      ...ask({ max_tokens: 60, tools: [searchTool], stop: '\n' }),
      response_format: asCity,
    });
    expect(choices[0]?.message.content).toBe(RIGHT);
    expect(model.prompts).toHaveLength(2);
  });

  it('is refused where nothing fits, and where the sampler cannot be held to it', async () => {
    const client = await connect({ model: saying('what?') });
    const asking = (schema: Record<string, unknown>) =>
      refusal(
        client.chat.completions.create({
          ...ask(),
          response_format: { type: 'json_schema', json_schema: { name: 'none', schema } },
        }),
      );
    expect((await asking({ enum: [] })).message).toContain('at least one value in enum');
    const upsideDown = { type: 'array', items: { type: 'null' }, minItems: 2, maxItems: 1 };
    expect((await asking(upsideDown)).message).toContain('minItems to be at most maxItems');
    expect((await asking({ $ref: '#' })).message).toContain('a pattern that a text can fit');
    expect((await asking({ type: 'null' })).message).toContain('passes over `allowed`');
  });
});

describe('readJsonSchema', () => {
  it.each<[unknown, RegExp]>([
    [{ type: 'string', pattern: '(a+)+$' }, /pattern cannot be checked/],
    [{ type: 'object', patternProperties: {} }, /patternProperties/],
    [{ not: {} }, /not cannot be checked/],
    [{ properties: { a: { type: 'string' } } }, /expected one of \$ref, allOf/],
    [{ type: 'object', properties: { a: {} } }, /at \/properties\/a: expected one of/],
    [{ type: 'object', required: ['z'] }, /required "z" among its properties/],
    [{ type: 'string', format: 'hostname' }, /a format of date/],
    [{ enum: [{ a: 1 }] }, /simple values/],
    [{ type: 'wrong' }, /wrong/],
    [{ $ref: '#/$defs/none' }, /none/],
    [{ $ref: '#', minimum: 1 }, /nothing beside \$ref/],
    [{ anyOf: 3 }, /expected a list/],
    [[], /expected an object/],
    [null, /expected an object/],
    [nested(100), /at most 64 levels/],
  ])('refuses %j', (schema, message) => {
    expect(() => readJsonSchema(schema)).toThrow(message);
  });

  it('does not let a default stand in for what is missing', () => {
    const schema = {
      type: 'object',
      properties: { a: { type: 'string', default: 'x' } },
      required: ['a'],
    };
    expect(readJsonSchema(schema).check.safeParse({}).success).toBe(false);
  });

  it('takes what zod writes, and agrees with it on any value', () => {
    const own = z.strictObject({
      name: z.string().max(3),
      kind: z.enum(['a', 'b']),
      list: z.array(z.number().min(0)).max(2),
      maybe: z.union([z.string(), z.null()]),
    });
    const read = readJsonSchema(z.toJSONSchema(own)).check;
    const value = fc.record(
      {
        name: fc.string({ unit: 'grapheme-ascii', maxLength: 5 }),
        kind: fc.constantFrom('a', 'b', 'c'),
        list: fc.array(fc.integer({ min: -1, max: 3 }), { maxLength: 3 }),
        maybe: fc.constantFrom('x', null, 1),
        more: fc.constantFrom(1),
      },
      { requiredKeys: ['kind', 'list'] },
    );
    fc.assert(
      fc.property(value, (one) => {
        expect(read.safeParse(one).success).toBe(own.safeParse(one).success);
      }),
    );
  });

  function nested(depth: number): object {
    return depth === 0 ? { type: 'string' } : { type: 'array', items: nested(depth - 1) };
  }
});
