// JSON answers, driven by an unmodified `openai` client: what comes fits, or there is a refusal.
import fc from 'fast-check';
import { zodResponseFormat } from 'openai/helpers/zod';
import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { ask, codec, connect, saying } from '../../test/served.ts';
import { readJsonSchema } from './json-schema.ts';

const RIGHT = '{"capital": "Riga", "people": 605000}';
const city = z.object({ capital: z.string(), people: z.number().int() });
const asCity = zodResponseFormat(city, 'city');

describe('an answer in JSON', () => {
  it('is parsed by the client where it fits', async () => {
    const client = await connect({ model: saying(`${RIGHT}\n`) });
    const request = { ...ask({ max_tokens: 60 }), response_format: asCity };
    const { choices } = await client.chat.completions.parse(trimmed(request));
    expect(choices[0]?.message.parsed).toEqual({ capital: 'Riga', people: 605000 });
  });

  it('is sampled again where it does not, a few times, and counts all tokens', async () => {
    const model = saying('no\n', '{"capital": 1}\n', `${RIGHT}\n`);
    const client = await connect({ model });
    const { choices, usage } = await client.chat.completions.create(
      trimmed({ ...ask({ max_tokens: 60 }), response_format: asCity }),
    );
    expect(JSON.parse(choices[0]?.message.content ?? '')).toMatchObject({ capital: 'Riga' });
    expect(model.prompts).toHaveLength(3);
    expect(usage?.completion_tokens).toBeGreaterThan(codec.encodeTurn(RIGHT).length + 10);
  });

  it('becomes a refusal that says why, never text that does not fit, whole or streamed', async () => {
    const client = await connect({ model: saying('{"capital": "Riga"}\n') });
    const request = trimmed({ ...ask({ max_tokens: 60 }), response_format: asCity });
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
    const client = await connect({ model: saying('{"a": \n', '{"a": [1, 2]}\n') });
    const request = trimmed(ask({ max_tokens: 60, response_format: { type: 'json_object' } }));
    let content = '';
    for await (const { choices } of await client.chat.completions.create({
      ...request,
      stream: true,
    })) {
      content += choices[0]?.delta.content ?? '';
    }
    expect(JSON.parse(content)).toEqual({ a: [1, 2] });
  });

  it('is tried once where every try would be the same', async () => {
    const model = saying('[1]\n');
    const client = await connect({ model });
    const { choices } = await client.chat.completions.create(
      trimmed(ask({ max_tokens: 9, temperature: 0, response_format: { type: 'json_object' } })),
    );
    expect(choices[0]?.message.refusal).toContain('1 tries');
    expect(model.prompts).toHaveLength(1);
  });

  /** Scripted turns end without a stop token, so the answer is cut by a stop string. */
  function trimmed<R extends object>(request: R): R & { stop: string } {
    return { ...request, stop: '\n' };
  }
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
    expect(readJsonSchema(schema).safeParse({}).success).toBe(false);
  });

  it('takes what zod writes, and agrees with it on any value', () => {
    const own = z.strictObject({
      name: z.string().max(3),
      kind: z.enum(['a', 'b']),
      list: z.array(z.number().min(0)).max(2),
      maybe: z.union([z.string(), z.null()]),
    });
    const read = readJsonSchema(z.toJSONSchema(own));
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
