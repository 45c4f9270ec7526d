// Our token client and the sampler over it, against our own server: an episode over HTTP is an episode in process.
import {
  EndpointSampler,
  oracleModel,
  playAndJudge,
  resolveEpisodeConfig,
  resolveSynthesisConfig,
  runEpisode,
} from '@masksearch/agent';
import { TokenClient, ResponseCache } from '@masksearch/chat';
import { questionTask } from '@masksearch/core/testing';
import type { LanguageModel, Sampler } from '@masksearch/model';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { protocolTokenizer as tokenizer } from '../../test/scripted-model.ts';
import {
  ANSWER_TURN,
  codec,
  riga,
  saying,
  SEARCH_TURN,
  serve,
  tinyModel,
} from '../../test/served.ts';

const task = questionTask({
  question: 'What is the capital of Latvia?',
  golds: [{ text: 'Riga', aliases: [] }],
});

const play = (sampler: Sampler, temperature: number) =>
  runEpisode({
    task,
    sampleIndex: 0,
    tokenizer,
    sampler,
    search: riga,
    config: resolveEpisodeConfig({ maxContextTokens: 400, maxTurnTokens: 60, temperature }),
    keyParts: ['test'],
    policyVersion: 0,
  });

const clientOf = (url: string, cache?: ResponseCache) =>
  new TokenClient({
    name: 'student',
    config: { baseUrl: `${url}/v1`, model: 'tiny' },
    ...(cache === undefined ? {} : { cache }),
  });

describe('a sampler over an endpoint', () => {
  let model: LanguageModel;
  beforeAll(async () => {
    model = await tinyModel();
  });
  afterAll(() => model.dispose());

  it('plays a greedy episode with the tokens and log-probabilities of the engine', async () => {
    const client = clientOf(await serve({ model }));
    const over = new EndpointSampler({ model: client, tokenizer, maxContextTokens: 400 });
    const inProcess = model.sampler({ maxSequences: 1, maxContextTokens: 400 });
    const [remote, local] = [await play(over, 0), await play(inProcess, 0)];
    expect(remote).toEqual(local);
    expect(remote.policyTokens).toBeGreaterThan(10);
    await inProcess.close();
    await client.close();
  });

  it('passes the nucleus on, and refuses tokens to keep to, which endpoints do not take', async () => {
    const client = clientOf(await serve({ model }));
    const sampler = new EndpointSampler({ model: client, tokenizer, maxContextTokens: 400 });
    const request = { maxTokens: 20, stop: [], turn: 0 };
    const draw = (sampling: { temperature: number; topP?: number }) =>
      sampler.open(Int32Array.of(1, 2), [3, 4]).generate({ ...request, ...sampling });
    const greedy = await draw({ temperature: 0 });
    expect((await draw({ temperature: 1, topP: 0 })).tokens).toEqual(greedy.tokens);
    expect((await draw({ temperature: 1 })).tokens).not.toEqual(greedy.tokens);
    const held = { ...request, temperature: 1, allowed: Uint32Array.of(1) };
    const refused = sampler.open(Int32Array.of(1), [3, 4]).generate(held);
    await expect(refused).rejects.toThrow('expected no allowed tokens');
    await client.close();
  });

  it('draws the same when asked again, and costs nothing then', async () => {
    const cache = new ResponseCache(':memory:');
    const url = await serve({ model });
    const episodes = [];
    for (let again = 0; again < 2; again++) {
      const client = clientOf(url, cache);
      const sampler = new EndpointSampler({ model: client, tokenizer, maxContextTokens: 400 });
      episodes.push(await play(sampler, 1));
      if (again === 1) expect(client.meter.report()).toMatchObject({ calls: 0, cached: 1 });
      await client.close();
    }
    expect(episodes[1]).toEqual(episodes[0]);
    cache.close();
  });
});

it('plays several turns: each goes out with everything before it', async () => {
  const model = saying(SEARCH_TURN, ANSWER_TURN);
  const client = clientOf(await serve({ model }));
  const sampler = new EndpointSampler({ model: client, tokenizer, maxContextTokens: 400 });
  const episode = await play(sampler, 1);
  expect(episode).toMatchObject({ answer: ['Riga'], finishReason: 'answer' });
  expect(episode.searches.map(({ query }) => query)).toEqual(['capital of Latvia']);
  const [, second] = model.prompts;
  expect(second).toEqual(episode.ids.slice(0, second?.length));
  expect(codec.decode(Int32Array.from(second ?? []))).toContain('<information>');
  await client.close();
});

it('makes trajectories: what it plays is judged, and recorded as its own', async () => {
  const client = clientOf(await serve({ model: saying(SEARCH_TURN, ANSWER_TURN) }));
  const sampler = new EndpointSampler({ model: client, tokenizer, maxContextTokens: 400 });
  const options = {
    episodes: {
      tokenizer,
      sampler,
      search: riga,
      config: resolveEpisodeConfig({ maxContextTokens: 400 }),
      keyParts: ['test'],
      policyVersion: 0,
    },
    player: client.name,
    judge: oracleModel([task]),
    synthesis: resolveSynthesisConfig({}),
    signal: new AbortController().signal,
  };
  const made = await playAndJudge(task, 0, options);
  expect(made.verdict).toEqual({ accepted: true, reason: 'accepted' });
  expect(made.provenance).toMatchObject({
    roles: { planner: 'student:tiny', observer: 'student:tiny', judge: 'oracle' },
    verdicts: { rule: 'accepted', model: 'correct' },
  });
  const kept = await playAndJudge(task, 0, { ...options, isContaminated: () => true });
  expect(kept.verdict).toEqual({ accepted: false, reason: 'contaminated' });
  expect(kept.cost.policyTokens).toBe(0);
  await client.close();
});

it('ends at sequences of several tokens too, which endpoints know as text only', async () => {
  const client = clientOf(await serve({ model: saying('Riga is the capital of Latvia') }));
  const sampler = new EndpointSampler({ model: client, tokenizer, maxContextTokens: 400 });
  const sequence = sampler.open(Int32Array.of(1), [1, 2]);
  const stop = [[...tokenizer.encode(' capital')]];
  const { tokens, reason } = await sequence.generate({
    maxTokens: 60,
    stop,
    temperature: 1,
    turn: 0,
  });
  expect(tokenizer.decode(tokens)).toMatch(/ capital$/);
  expect(reason).toBe('stop');
  await client.close();
});
