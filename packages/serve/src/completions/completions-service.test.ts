// Text completions, driven by an unmodified `openai` client: tokens and log-probabilities are those of the engine.
import { streamKey } from '@masksearch/core';
import type { LanguageModel } from '@masksearch/model';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { protocolTokenizer as tokenizer, TEXTS } from '../../test/scripted-model.ts';
import { connect, refusal, saying, tinyModel } from '../../test/served.ts';

/** Fields of vLLM beside those of OpenAI's type. */
interface WithIds {
  readonly prompt_token_ids: number[];
  readonly token_ids: number[];
}
const withIds = { return_token_ids: true };
const prompt = 'Question: What is the capital of Latvia?\n';

describe('with a model on the engine', () => {
  let model: LanguageModel;
  beforeAll(async () => {
    model = await tinyModel();
  });
  afterAll(() => model.dispose());

  it('continues text or tokens with the tokens and log-probabilities of the sampler', async () => {
    const client = await connect({ model });
    const ids = [...tokenizer.encode(prompt)];
    const request = { model: 'tiny', seed: 3, max_tokens: 24, logprobs: 0, temperature: 0.9 };
    const [text, tokens] = await Promise.all([
      client.completions.create({ ...request, ...withIds, prompt }),
      client.completions.create({ ...request, ...withIds, prompt: ids }),
    ]);
    const sampler = model.sampler({ maxSequences: 1, maxContextTokens: 512 });
    const sequence = sampler.open(Int32Array.from(ids), streamKey('completions', 3, 0, 0));
    const sampled = await sequence.generate({
      maxTokens: 24,
      stop: [],
      temperature: 0.9,
      turn: 0,
    });
    await sampler.close();
    for (const answer of [text, tokens]) {
      const [choice] = answer.choices as ((typeof answer.choices)[number] & WithIds)[];
      expect(choice?.token_ids).toEqual([...sampled.tokens]);
      expect(choice?.prompt_token_ids).toEqual(ids);
      expect(choice?.logprobs?.token_logprobs).toEqual([...sampled.logProbs]);
      expect(choice?.text).toBe(tokenizer.decode(sampled.tokens));
      expect(answer.usage).toMatchObject({ prompt_tokens: ids.length, completion_tokens: 24 });
    }
  });

  it('gives the log-probabilities of a prompt, those of training, and all but that of its first token', async () => {
    const client = await connect({ model });
    const ids = tokenizer.encode(prompt);
    const answer = await client.completions.create({
      model: 'tiny',
      prompt,
      echo: true,
      logprobs: 0,
      max_tokens: 0,
    });
    const [choice] = answer.choices;
    const lossMask = new Uint8Array(ids.length).fill(1, 1);
    const batch = { tokens: ids, offsets: Int32Array.of(0, ids.length), lossMask };
    const { logProbs } = await model.score(batch);
    expect(choice?.text).toBe(prompt);
    expect(choice?.logprobs?.token_logprobs).toEqual([null, ...logProbs.slice(1)]);
    expect(choice?.logprobs?.text_offset?.[0]).toBe(0);
    expect(choice?.finish_reason).toBe('length');
  });

  it('keeps several prompts and choices apart, in the order of OpenAI, also in a stream', async () => {
    const client = await connect({ model });
    const request = { model: 'tiny', prompt: TEXTS, n: 2, seed: 1, max_tokens: 6 };
    const { choices } = await client.completions.create(request);
    const texts = choices.map(({ text }) => text);
    expect(choices.map(({ index }) => index)).toEqual([0, 1, 2, 3, 4, 5]);
    expect(new Set(texts).size).toBe(6);
    const streamed = Array.from({ length: 6 }, () => '');
    let tokens = 0;
    const options = { stream_options: { include_usage: true } };
    for await (const chunk of await client.completions.create({
      ...request,
      ...options,
      stream: true,
    })) {
      for (const { index, text } of chunk.choices) streamed[index] += text;
      tokens = chunk.usage?.completion_tokens ?? tokens;
    }
    expect(streamed).toEqual(texts);
    expect(tokens).toBe(36);
  });
});

describe('a completion', () => {
  it('ends at a stop token, which is kept, or at a stop string, which is not', async () => {
    const id = tokenizer.specialId('</search>');
    const client = await connect({ model: saying('a<search> Riga</search> b') });
    const request = { model: 'tiny', prompt: 'x', max_tokens: 40, ...withIds };
    const byToken = await client.completions.create({ ...request, stop_token_ids: [id] } as never);
    expect(byToken.choices[0]?.text).toBe('a<search> Riga</search>');
    expect((byToken.choices[0] as never as WithIds).token_ids.at(-1)).toBe(id);
    expect(byToken.choices[0]?.finish_reason).toBe('stop');
    const byText = await client.completions.create({ ...request, stop: 'Riga' });
    expect(byText.choices[0]?.text).toBe('a<search> ');
  });

  it('gives the most probable token where it is the one sampled: greedily', async () => {
    const client = await connect({ model: saying('Riga') });
    const request = { model: 'tiny', prompt: 'x', logprobs: 1, max_tokens: 2 };
    const { choices } = await client.completions.create({ ...request, temperature: 0 });
    const { tokens = [], top_logprobs: top } = choices[0]?.logprobs ?? {};
    expect(top?.map((entry) => Object.keys(entry)[0])).toEqual(tokens);
    expect((await refusal(client.completions.create(request))).message).toContain('logprobs');
  });

  it.each<[string, object, RegExp]>([
    ['suffix', { suffix: 'x' }, /suffix: this server knows none/],
    ['best_of', { best_of: 3 }, /best_of/],
    ['echo in a stream', { echo: true, stream: true }, /echo/],
    ['log-probabilities of others', { logprobs: 5 }, /logprobs/],
    ['an id that is no token', { prompt: [1, 999_999] }, /expected ids of tokens, received 999999/],
    ['an empty prompt', { prompt: '' }, /prompt: expected text/],
    ['more choices than allowed', { prompt: ['a', 'b'], n: 16 }, /n: expected at most 16/],
    ['a prompt without room', { prompt: 'Riga '.repeat(600) }, /prompt: expected fewer than 512/],
    ['the agent', { model: 'tiny-agent' }, /model: expected one of tiny/],
    ['the log-probabilities of a prompt', { echo: true, logprobs: 0 }, /cannot give/],
  ])('refuses %s', async (_, more, message) => {
    const client = await connect({ model: saying('Riga'), limits: { maxContextTokens: 512 } });
    const error = await refusal(
      client.completions.create({ model: 'tiny', prompt: 'x', ...more } as never),
    );
    expect(error.message).toMatch(message);
  });
});
