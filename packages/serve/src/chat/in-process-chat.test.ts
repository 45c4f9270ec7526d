// A chat model in this process: the answers of the server, its refusals as errors.
import { completeJson } from '@masksearch/chat';
import { CancelledError, InputError } from '@masksearch/core';
import OpenAI from 'openai';
import { expect, it } from 'vitest';
import { z } from 'zod';
import { protocolTokenizer as tokenizer, ScriptedModel } from '../../test/scripted-model.ts';
import { ask, saying, serve, tinyModel, user } from '../../test/served.ts';
import { InProcessChat } from './in-process-chat.ts';
import type { ServableModel } from './served-model.ts';

const chatOf = (model: ServableModel) =>
  new InProcessChat({ name: 'tiny', model, tokenizer, fingerprint: 'f' });
const messages = [user('Question: What is the capital of Latvia?')];

it('answers as the server does, token for token', async () => {
  const model = await tinyModel();
  const client = new OpenAI({ baseURL: `${await serve({ model })}/v1`, apiKey: 'none' });
  const over = await client.chat.completions.create(ask({ seed: 5, max_tokens: 30 }));
  const chat = chatOf(model);
  const here = await chat.complete({ messages, seed: 5, maxTokens: 30, temperature: 1 });
  expect(here.text).toBe(over.choices[0]?.message.content);
  expect(here.usage).toEqual({
    inputTokens: over.usage?.prompt_tokens,
    outputTokens: over.usage?.completion_tokens,
  });
  await chat.close();
});

it('serves what asks for JSON: the model is held to the schema', async () => {
  const chat = chatOf(await tinyModel());
  const schema = z.strictObject({
    decision: z.enum(['answer', 'next']),
    thought: z.string().max(9),
  });
  const request = { messages, maxTokens: 200, temperature: 1, seed: 7 };
  const answer = await completeJson(chat, request, { name: 'step', schema });
  expect(answer.rounds).toBe(1);
  expect(schema.parse(answer.value)).toEqual(answer.value);
  await chat.close();
});

it('samples from the nucleus', async () => {
  const chat = chatOf(await tinyModel());
  const texts = await Promise.all(
    [
      { temperature: 0 },
      { temperature: 1, topP: 0 },
      { temperature: 1, topP: 1 },
      { temperature: 1 },
    ].map(
      async (sampling) =>
        (await chat.complete({ messages, seed: 5, maxTokens: 30, ...sampling })).text,
    ),
  );
  expect(texts[1]).toBe(texts[0]);
  expect(texts[2]).not.toBe(texts[0]);
  expect(texts[3]).toBe(texts[2]);
  await chat.close();
});

it('refuses what the sampler does not have, and stops when told', async () => {
  const model = saying('Riga');
  model.gate = new Promise(() => {});
  const chat = chatOf(model);
  const call = { messages, maxTokens: 5 };
  const refused = chat.complete({ ...call, topLogProbs: 3 });
  await expect(refused).rejects.toThrow(InputError);
  await expect(refused).rejects.toThrow(/top_logprobs/);
  const controller = new AbortController();
  const answer = chat.complete(call, { signal: controller.signal });
  controller.abort();
  await expect(answer).rejects.toThrow(CancelledError);
  expect(model.openSequences).toBe(0);
  await chat.close();
});

it('lets more requests wait than there are sequences', async () => {
  const model = new ScriptedModel([[...tokenizer.encode('Riga')]]);
  const limits = { maxSequences: 2 };
  const chat = new InProcessChat({ name: 'tiny', model, tokenizer, fingerprint: 'f', limits });
  const all = Array.from({ length: 9 }, () => chat.complete({ messages, maxTokens: 2 }));
  expect(await Promise.all(all)).toHaveLength(9);
  await chat.close();
});
