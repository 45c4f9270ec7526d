// Chat completions, driven by an unmodified `openai` client: a real model for what is sampled, a scripted one for the rest.
import { setTimeout as sleep } from 'node:timers/promises';
import { Secret, streamKey } from '@masksearch/core';
import type { LanguageModel } from '@masksearch/model';
import OpenAI from 'openai';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { protocolTokenizer as tokenizer } from '../../test/scripted-model.ts';
import {
  open,
  codec,
  connect,
  saying,
  tinyModel,
  user,
  ask,
  refusal,
  drain,
} from '../../test/served.ts';

describe('with a model on the engine', () => {
  let model: LanguageModel;
  beforeAll(async () => {
    model = await tinyModel();
  });
  afterAll(() => model.dispose());

  it('gives the tokens and log-probabilities of the sampler, whole or streamed', async () => {
    const client = await connect({ model });
    const request = ask({ seed: 7, max_tokens: 40, logprobs: true, temperature: 0.8 });
    const whole = await client.chat.completions.create(request);
    const sampler = model.sampler({ maxSequences: 1, maxContextTokens: 512 });
    const prompt = codec.encodePrompt('Question: What is the capital of Latvia?\n');
    const sequence = sampler.open(prompt, streamKey('chat', 7, 0));
    const sampled = await sequence.generate({
      maxTokens: 40,
      stop: codec.stop,
      temperature: 0.8,
      turn: 0,
    });
    await sampler.close();
    const [choice] = whole.choices;
    expect(choice?.message.content).toBe(tokenizer.decode(sampled.tokens));
    expect(choice?.logprobs?.content?.map(({ logprob }) => logprob)).toEqual([...sampled.logProbs]);
    expect(whole.usage).toMatchObject({
      prompt_tokens: prompt.length,
      completion_tokens: sampled.tokens.length,
    });

    const stream = await client.chat.completions.create({
      ...request,
      stream: true,
      stream_options: { include_usage: true },
    });
    let content = '';
    const logProbs: number[] = [];
    let usage: unknown;
    let finish: unknown;
    for await (const chunk of stream) {
      content += chunk.choices[0]?.delta.content ?? '';
      logProbs.push(...(chunk.choices[0]?.logprobs?.content ?? []).map(({ logprob }) => logprob));
      finish = chunk.choices[0]?.finish_reason ?? finish;
      usage = chunk.usage ?? usage;
    }
    expect(content).toBe(choice?.message.content);
    expect(logProbs).toEqual([...sampled.logProbs]);
    expect(finish).toBe(choice?.finish_reason);
    expect(usage).toEqual(whole.usage);
  });

  it('answers the same to the same seed, whatever else is under way, and differently to another', async () => {
    const client = await connect({ model, limits: { maxSequences: 4 } });
    const contents = async (seed: number, n: number): Promise<(string | null)[]> => {
      const { choices } = await client.chat.completions.create(ask({ seed, n, max_tokens: 24 }));
      return choices.map(({ message }) => message.content);
    };
    const alone = await contents(1, 2);
    const together = await Promise.all(Array.from({ length: 12 }, (_, i) => contents(i % 3, 2)));
    for (const [i, both] of together.entries()) expect(both).toEqual(together[i % 3]);
    expect(together[1]).toEqual(alone);
    expect(new Set([...alone, ...(together[2] ?? [])]).size).toBe(4);
  });
});

describe('a completion', () => {
  it('ends at a stop string, without it or, as in vLLM, with it', async () => {
    const client = await connect({ model: saying('Riga is the capital, of Latvia.') });
    const texts = async (more: object) =>
      (await client.chat.completions.create({ ...ask(), max_tokens: 30, ...more })).choices[0];
    expect(await texts({ stop: ' cap' })).toMatchObject({
      message: { role: 'assistant', content: 'Riga is the' },
      finish_reason: 'stop',
    });
    expect((await texts({ stop: ['Latvia', 'is t'] }))?.message.content).toBe('Riga ');
    const kept = { stop: ['capital'], include_stop_str_in_output: true };
    expect((await texts(kept))?.message.content).toBe('Riga is the capital');
  });

  it('says when its length ended it, and when the context did', async () => {
    const client = await connect({ model: saying('word '), limits: { maxContextTokens: 60 } });
    const short = await client.chat.completions.create(ask({ max_completion_tokens: 3 }));
    expect(short.choices[0]?.finish_reason).toBe('length');
    expect(short.usage?.completion_tokens).toBe(3);
    const full = await client.chat.completions.create(ask());
    expect(full.choices[0]?.finish_reason).toBe('length');
    expect(full.usage?.total_tokens).toBe(60);
  });

  it('streams whole characters and keeps several choices apart', async () => {
    const text = 'naïve 日本語 😀 ';
    const client = await connect({ model: saying(text) });
    const stream = await client.chat.completions.create({
      ...ask({ n: 3, max_tokens: 50 }),
      stream: true,
    });
    const contents = ['', '', ''];
    for await (const { choices } of stream) {
      for (const { index, delta } of choices) contents[index] += delta.content ?? '';
    }
    for (const content of contents) expect(content.startsWith(text)).toBe(true);
    expect(contents.join('')).not.toContain('\ufffd');
  });

  it.each<[string, object, number, RegExp]>([
    ['another model', { model: 'gpt' }, 404, /one of tiny, received "gpt"/],
    ['top_p', { top_p: 1.1 }, 400, /top_p/],
    ['penalties', { frequency_penalty: 1 }, 400, /frequency_penalty/],
    [
      'a schema that cannot be checked',
      {
        response_format: {
          type: 'json_schema',
          json_schema: { name: 'x', schema: { type: 'string', pattern: '^a' } },
        },
      },
      400,
      /pattern cannot be checked here/,
    ],
    ['a forced tool', { tool_choice: 'required' }, 400, /tool_choice/],
    ['too many choices', { n: 99 }, 400, /n: expected at most 16/],
    ['too many tokens', { max_tokens: 99_999 }, 400, /max_tokens: expected at most 4096/],
    ['no messages', { messages: [] }, 400, /messages/],
    ['a wrong role', { messages: [{ role: 'king', content: '' }] }, 400, /messages\.0\.role/],
    [
      'an image',
      { messages: [{ role: 'user', content: [{ type: 'image_url' }] }] },
      400,
      /content/,
    ],
    [
      'a prompt too long',
      { messages: [user('Riga '.repeat(5000))] },
      400,
      /fewer than 4096 tokens/,
    ],
  ])('refuses %s', async (_, more, status, message) => {
    const client = await connect({ model: saying('x') });
    const error = await refusal(client.chat.completions.create({ ...ask(), ...more }));
    expect(error.status).toBe(status);
    expect(error.message).toMatch(message);
  });

  it('wants its key, lists its models and tells its health', async () => {
    const key = new Secret('s3cret');
    const client = await connect({ model: saying('x'), key }, 's3cret');
    expect((await client.models.list()).data.map(({ id }) => id)).toEqual(['tiny']);
    const [server] = open;
    const stranger = new OpenAI({ baseURL: `${server?.url}/v1`, apiKey: 'no', maxRetries: 0 });
    expect(await refusal(stranger.models.list())).toMatchObject({ status: 401 });
    const health = await (await fetch(`${server?.url}/health`)).json();
    expect(health).toMatchObject({ status: 'ok', device: 'scripted', running: 0, waiting: 0 });
  });
});

describe('under load', () => {
  it('refuses with 503 and Retry-After when the queue is full, and serves what waits', async () => {
    const model = saying('Riga</s>');
    const gate = Promise.withResolvers<void>();
    model.gate = gate.promise;
    const client = await connect({ model, limits: { maxSequences: 1, queue: 1 } });
    const request = ask({ max_tokens: 2 });
    const first = client.chat.completions.create(request);
    while (model.openSequences < 1) await sleep(5);
    const second = client.chat.completions.create(request);
    await sleep(50);
    const error = await refusal(client.chat.completions.create(request));
    expect(error.status).toBe(503);
    expect(error.headers?.get('retry-after')).toBe('1');
    gate.resolve();
    expect((await first).choices).toHaveLength(1);
    expect((await second).choices).toHaveLength(1);
    // The client's own retries wait as long as they are told to.
    const patient = client.withOptions({ maxRetries: 2 });
    expect((await patient.chat.completions.create(request)).choices).toHaveLength(1);
  });

  it('stops sampling for a client that has gone, streaming or not', async () => {
    for (const stream of [false, true]) {
      const model = saying('on and on ');
      const client = await connect({ model });
      model.gate = new Promise(() => {});
      const controller = new AbortController();
      const request = client.chat.completions.create(
        { ...ask({ max_tokens: 4000 }), stream },
        { signal: controller.signal },
      );
      while (model.openSequences < 1) await sleep(2);
      controller.abort();
      await request.then(
        async (answer) => {
          await drain(answer as AsyncIterable<unknown>).catch(() => {});
        },
        () => {},
      );
      while (model.openSequences > 0) await sleep(5);
    }
  });

  it('tells a stream that breaks that it broke', async () => {
    const model = saying('on and on ');
    const gate = Promise.withResolvers<void>();
    model.gate = gate.promise;
    const client = await connect({ model });
    const stream = await client.chat.completions.create({ ...ask(), stream: true });
    gate.reject(new Error('the engine is gone'));
    await expect(drain(stream)).rejects.toThrow('internal error');
    while (model.openSequences > 0) await sleep(5);
  });

  it('finishes what is under way before it closes', async () => {
    const model = saying('Riga</s>');
    const gate = Promise.withResolvers<void>();
    model.gate = gate.promise;
    const client = await connect({ model });
    const answer = client.chat.completions.create(ask({ max_tokens: 2 }));
    while (model.openSequences < 1) await sleep(5);
    const closed = open.splice(0)[0]?.close(5000);
    gate.resolve();
    await closed;
    expect((await answer).choices).toHaveLength(1);
    await expect(client.models.list()).rejects.toThrow('Connection error');
  });
});
