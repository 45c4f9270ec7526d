// JSON out of what models write, and the one repair round.
import fc from 'fast-check';
import { InputError } from '@masksearch/core';
import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import type { ChatModel, ChatRequest, ChatResponse } from './chat-types.ts';
import { completeJson } from './complete-json.ts';
import { HOSTILE_TEXTS } from './testing/index.ts';
import { parseTolerantJson } from './tolerant-json.ts';

const schema = z.strictObject({ queries: z.array(z.string().min(1)).min(1) });
const format = { name: 'rewriter', schema };

class Scripted implements ChatModel {
  readonly name = 'scripted';
  readonly structured = false;
  readonly asked: ChatRequest[] = [];
  readonly #texts: string[];

  constructor(...texts: string[]) {
    this.#texts = texts;
  }

  complete(request: ChatRequest): Promise<ChatResponse> {
    this.asked.push(request);
    const usage = { inputTokens: 3, outputTokens: 2 };
    const text = this.#texts.shift() ?? '';
    return Promise.resolve({ text, toolCalls: [], finish: 'stop', usage, model: 'scripted' });
  }
}

const request: ChatRequest = { messages: [{ role: 'user', content: 'go' }], maxTokens: 10 };

describe('parseTolerantJson', () => {
  it.each([
    ['{"a": 1}', { a: 1 }],
    ['```json\n{"a": 1}\n```', { a: 1 }],
    ['Sure! {"a": "}{"} hope that helps', { a: '}{' }],
    ['draft: {"a": 1} final: {"a": 2}', { a: 2 }],
    ['{"a": [1, 2,], }', { a: [1, 2] }],
    ['{"a": ",}"}', { a: ',}' }],
    ['text [1, {"a": "\\""}]', [1, { a: '"' }]],
  ])('reads %s', (text, value) => {
    expect(parseTolerantJson(text)).toEqual(value);
  });

  it.each(['', 'null', '"correct"', 'process.exit(1)', '{a: 1}', '['.repeat(100_000)])(
    'refuses %.20s',
    (text) => {
      expect(() => parseTolerantJson(text)).toThrow(InputError);
    },
  );

  it('finds any object amid any prose, and never throws anything but InputError', () => {
    fc.assert(
      fc.property(fc.dictionary(fc.string(), fc.jsonValue({ maxDepth: 3 })), (value) => {
        expect(parseTolerantJson(`It is:\n${JSON.stringify(value)}\nindeed`)).toEqual(
          JSON.parse(JSON.stringify(value)),
        );
      }),
    );
    fc.assert(
      fc.property(fc.string({ unit: fc.constantFrom(...'{}[]",:\\ a1') }), (text) => {
        try {
          parseTolerantJson(text);
        } catch (error) {
          expect(error).toBeInstanceOf(InputError);
        }
      }),
      { numRuns: 500 },
    );
  });
});

describe('completeJson', () => {
  it('takes a fitting answer at once', async () => {
    const model = new Scripted('{"queries": ["a"]}');
    const answer = await completeJson(model, request, format);
    expect(answer).toEqual({
      value: { queries: ['a'] },
      usage: { inputTokens: 3, outputTokens: 2 },
      rounds: 1,
    });
    expect(model.asked[0]?.json?.schema).toMatchObject({ type: 'object', required: ['queries'] });
  });

  it('shows a wrong answer to the model once, with what is wrong', async () => {
    const model = new Scripted('{"queries": []}', '{"queries": ["b"]}');
    const { value, usage, rounds } = await completeJson(model, request, format);
    expect([value, usage, rounds]).toEqual([
      { queries: ['b'] },
      { inputTokens: 6, outputTokens: 4 },
      2,
    ]);
    expect(model.asked[1]?.messages.map(({ role }) => role)).toEqual(['user', 'assistant', 'user']);
    expect(model.asked[1]?.messages[2]?.content).toContain('queries');
  });

  it('gives up after the second', async () => {
    const model = new Scripted('no', 'no');
    await expect(completeJson(model, request, format)).rejects.toThrow(InputError);
    expect(model.asked).toHaveLength(2);
  });

  it.each(HOSTILE_TEXTS.map((text, i) => [i, text] as const))(
    'takes nothing from hostile text %i that the schema does not allow',
    async (_, text) => {
      const answer = await completeJson(new Scripted(text, text), request, format).catch(
        (error: unknown) => error,
      );
      if (!(answer instanceof InputError)) {
        expect(schema.safeParse((answer as { value: unknown }).value).success).toBe(true);
      }
      expect(({} as Record<string, unknown>)['accepted']).toBeUndefined();
    },
  );
});
