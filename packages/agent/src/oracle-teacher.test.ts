import type { Passage, Task } from '@masksearch/core';
import { buildIndexInMemory } from '@masksearch/search';
import { generateQuestions, generateWorld } from '@masksearch/world';
import { describe, expect, it } from 'vitest';
import { scriptedSampler } from '../test/fake-sampler.ts';
import {
  FILL_TASK,
  maskTask,
  PASSAGES,
  questionTask,
  tagTokenizer,
  TOKENIZERS,
} from '../test/fixtures.ts';
import { resolveEpisodeConfig } from './episode-config.ts';
import { teach, teachAll, type TeacherEnvironment } from './oracle-teacher.ts';
import { ProtocolCodec } from './protocol-codec.ts';
import { runEpisode } from './run-episode.ts';
import { planOf } from './teacher-plan.ts';
import { trajectoryToExample } from './trajectory-example.ts';

const search = await buildIndexInMemory(PASSAGES);
const config = resolveEpisodeConfig({ topK: 2 });
const environment: TeacherEnvironment = { tokenizer: tagTokenizer, search, config };
const textsOf = ({
  messages,
}: {
  messages: readonly { author: string; text: string }[];
}): string[] => messages.filter(({ author }) => author === 'policy').map(({ text }) => text);

describe('teach', () => {
  it('fills gaps in text order, copying what it found', async () => {
    const trajectory = await teach(FILL_TASK, environment);
    expect(trajectory.verdict).toEqual({ accepted: true, reason: 'accepted' });
    expect(textsOf(trajectory)).toEqual([
      '<think> 2</think><search> 1: Belo Nakuda founded the firm in 1703 Belo Nakuda</search>',
      '<think> Gutu Vuvo</think><search> 2: Belo Nakuda was born in Belo Nakuda</search>',
      '<think> Lihiti</think><answer> Gutu Vuvo ; Lihiti</answer>',
    ]);
    expect(trajectory).toMatchObject({
      taskId: FILL_TASK.id,
      teacher: 'oracle',
      answer: ['Gutu Vuvo', 'Lihiti'],
    });
    expect(trajectory.cost.searches).toBe(2);
  });

  it('asks once for gaps that share their query', async () => {
    const task = maskTask(PASSAGES[0] as Passage, ['Gutu Vuvo', '1703']);
    const trajectory = await teach(task, environment);
    expect(textsOf(trajectory)).toEqual([
      '<think> 1</think><search> 1: Belo Nakuda founded the firm in Belo Nakuda</search>',
      '<think> Gutu Vuvo ; 1703</think><answer> Gutu Vuvo ; 1703</answer>',
    ]);
  });

  it('rewrites a query that found nothing', async () => {
    const task = maskTask(PASSAGES[0] as Passage, ['Lihiti']);
    const masked =
      'Belo Nakuda opened Gutu Vuvo. The founder has a house [mask] nearby in Toni Figa.';
    const trajectory = await teach(
      { ...task, masked, text: masked.replace('[mask]', 'Lihiti') },
      {
        ...environment,
        config: resolveEpisodeConfig({ topK: 1 }),
      },
    );
    expect(textsOf(trajectory)[1]).toMatch(
      /^<think> none<\/think><search> 1: The founder has a house nearby in Toni Figa<\/search>$/,
    );
    expect(trajectory.verdict).toEqual({ accepted: false, reason: 'evidence-not-found' });
  });

  it('draws which query comes first, the same for the same seed', async () => {
    const sequences = await Promise.all(
      Array.from({ length: 20 }, async (_, querySeed) => {
        const options = { ...environment, querySeed };
        const trajectory = await teach(FILL_TASK, options);
        expect(textsOf(await teach(FILL_TASK, options))).toEqual(textsOf(trajectory));
        return textsOf(trajectory);
      }),
    );
    const firsts = new Set(sequences.map(([turn]) => turn));
    expect(firsts.size).toBeGreaterThan(1);
    const all = planOf(FILL_TASK)[0]?.queries ?? [];
    for (const turn of firsts) {
      expect(all.slice(0, -1).some((query) => turn?.includes(` 1: ${query}</search>`))).toBe(true);
    }
  });

  it('never retrieves the source passage', async () => {
    const trajectory = await teach(FILL_TASK, environment);
    const ids = trajectory.searches.flatMap(({ results }) => results.map(({ id }) => id));
    expect(ids).not.toContain('d0#0');
  });

  it('follows the steps of a question and compares two values', async () => {
    const year = (text: string) => ({ text, aliases: [] });
    const task = questionTask({
      group: 'comparison',
      question: 'Which is older, Gutu Vuvo or Rizego?',
      golds: [{ text: 'Gutu Vuvo', aliases: [] }],
      steps: [
        { query: 'Gutu Vuvo opened in', answer: year('1703') },
        { query: 'Rizego was mapped in', answer: year('1847') },
      ],
    });
    const trajectory = await teach(task, environment);
    expect(trajectory.verdict.accepted).toBe(true);
    expect(textsOf(trajectory)).toEqual([
      '<think> 2</think><search> 1: Gutu Vuvo opened in</search>',
      '<think> 1703</think><search> 2: Rizego was mapped in</search>',
      '<think> 1703 vs 1847</think><answer> Gutu Vuvo</answer>',
    ]);
  });

  it('looks a question up as it is when it has no steps', async () => {
    const task = questionTask({
      question: 'Which river flows through Lihiti?',
      golds: [{ text: 'Rizego', aliases: [] }],
      steps: [],
    });
    expect((await teach(task, environment)).answer).toEqual(['Rizego']);
  });

  it('answers with the filled paragraph when told so', async () => {
    const paragraph = resolveEpisodeConfig({ topK: 2, answerForm: 'paragraph' });
    const trajectory = await teach(FILL_TASK, { ...environment, config: paragraph });
    expect(trajectory.verdict.accepted).toBe(true);
    expect(textsOf(trajectory).at(-1)).toContain(`<answer> ${FILL_TASK.text}</answer>`);
  });

  it('rejects what breaks the limits of its students', async () => {
    const short = resolveEpisodeConfig({ maxTurnTokens: 6 });
    const trajectory = await teach(FILL_TASK, { ...environment, config: short });
    expect(trajectory.verdict).toEqual({ accepted: false, reason: 'unfinished: turn-length' });
  });
});

describe.each(TOKENIZERS)('trajectoryToExample, $name', ({ tokenizer }) => {
  it('gives the tokens of a rollout that samples the same turns', async () => {
    const limits = [
      { topK: 2 },
      { topK: 4, maxInformationTokens: 40 },
      { topK: 1, maxInformationTokens: 20 },
    ];
    const codec = new ProtocolCodec(tokenizer);
    for (const limit of limits) {
      const shared = { tokenizer, search, config: resolveEpisodeConfig(limit) };
      for (const task of [FILL_TASK, questionTask({})]) {
        const trajectory = await teach(task, shared);
        const example = trajectoryToExample(trajectory, task, tokenizer);
        const sampler = scriptedSampler(textsOf(trajectory).map((text) => codec.encodeTurn(text)));
        const request = { sampleIndex: 0, sampler, keyParts: [1], policyVersion: 0 };
        const { ids, mask, segments } = await runEpisode({ ...shared, ...request, task });
        expect({ ids, mask, segments }).toEqual({
          ids: example.ids,
          mask: example.mask,
          segments: example.segments,
        });
      }
    }
  });

  it('refuses the trajectory of another task', async () => {
    const trajectory = await teach(FILL_TASK, { ...environment, tokenizer });
    expect(() => trajectoryToExample(trajectory, questionTask({}), tokenizer)).toThrow(
      /expected the trajectory's own task, received question/,
    );
  });
});

describe('on a generated world', () => {
  const world = { seed: 3, articles: 120, split: 'train' as const };
  const passages = [...generateWorld(world)].map(({ id, title, text }): Passage => ({
    version: 1,
    id: `${id}#0`,
    documentId: id,
    title,
    text,
    start: 0,
  }));
  const kinds = ['hop1', 'hop2', 'comparison', 'hop3', 'list'] as const;
  const tasks: Task[] = [
    ...generateQuestions({ ...world, kinds, count: 50, passageIdAt: (id) => `${id}#0` }),
  ];

  it('answers nearly all questions, with trajectories that pass the judge, in task order', async () => {
    const index = await buildIndexInMemory(passages);
    const options = { ...environment, search: index, config: resolveEpisodeConfig({}) };
    const one = await teachAll(tasks, { ...options, concurrency: 1 });
    const many = await teachAll(tasks, { ...options, concurrency: 16 });
    expect(many).toEqual(one);
    expect(one.map(({ taskId }) => taskId)).toEqual(tasks.map(({ id }) => id));
    const accepted = one.filter(({ verdict }) => verdict.accepted);
    expect(accepted.length).toBeGreaterThanOrEqual(45);
  });
});
