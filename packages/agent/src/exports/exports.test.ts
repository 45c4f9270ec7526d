// Every export read back by code that knows nothing of ours: readers written after the formats, and another Parquet library.
import { InputError, type Task, type Trajectory } from '@masksearch/core';
import { buildIndexInMemory } from '@masksearch/search';
import { parquetMetadata, parquetReadObjects, parquetSchema } from 'hyparquet';
import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { FILL_TASK, PASSAGES, questionTask, tagTokenizer } from '../../test/fixtures.ts';
import { resolveEpisodeConfig } from '../episode-config.ts';
import { oracleModel } from '../synthesis/oracle-roles.ts';
import { resolveSynthesisConfig } from '../synthesis/synthesis-config.ts';
import { synthesize } from '../synthesis/synthesize.ts';
import { toChatml } from './chatml.ts';
import { toSearchR1 } from './search-r1.ts';
import { datasetInfo, toShareGpt } from './sharegpt.ts';
import { exportedSteps } from './steps.ts';
import { searchR1Parquet } from './write-parquet.ts';

const LIST_TASK = questionTask({
  id: 'list',
  group: 'list',
  question: 'Which two? 两个',
  golds: [
    { text: 'Gutu Vuvo', aliases: ['GV'] },
    { text: 'Lihiti', aliases: [] },
  ],
});
const tasks: readonly Task[] = [FILL_TASK, questionTask({}), LIST_TASK];
const trajectory = await make(FILL_TASK);

async function make(task: Task): Promise<Trajectory> {
  const oracle = oracleModel([task]);
  return synthesize(task, 0, {
    tokenizer: tagTokenizer,
    search: await buildIndexInMemory(PASSAGES),
    models: { planner: oracle, rewriter: oracle, observer: oracle, judge: null },
    episode: resolveEpisodeConfig({ topK: 1, maxTurnTokens: 500, maxPolicyTokens: 2000 }),
    synthesis: resolveSynthesisConfig({}),
    seed: 1,
  });
}

describe('steps', () => {
  it('hold thoughts, queries, results and answer of the trajectory', () => {
    const { prompt, searches, answer, thought } = exportedSteps(trajectory);
    expect(searches).toHaveLength(trajectory.searches.length);
    expect(searches[0]?.queries.length).toBeGreaterThan(1);
    expect(searches[0]?.information).toContain('Belo Nakuda');
    expect(answer).toBe('Gutu Vuvo ; Lihiti');
    expect(thought).toContain('Found');
    expect(prompt).toContain('[mask]');
  });

  it('refuse a trajectory without an answer', () => {
    const cut = { ...trajectory, messages: trajectory.messages.slice(0, 3) };
    expect(() => exportedSteps(cut)).toThrow(InputError);
  });
});

describe('ChatML', () => {
  /** After the OpenAI reference of function calls: roles in turn, JSON arguments, a result after each call. */
  const messageSchema = z.discriminatedUnion('role', [
    z.strictObject({ role: z.literal('user'), content: z.string().min(1) }),
    z.strictObject({
      role: z.literal('assistant'),
      content: z.string(),
      function_call: z.strictObject({ name: z.string(), arguments: z.string() }).optional(),
      finish_reason: z.literal('stop').optional(),
    }),
    z.strictObject({ role: z.literal('function'), name: z.string(), content: z.string() }),
  ]);

  it('reads back as calls, each with its result, and a final answer', () => {
    const record = JSON.parse(JSON.stringify(toChatml(trajectory, FILL_TASK))) as {
      messages: unknown[];
      functions: { name: string }[];
      ext: { golden_answer: string[]; response_acc: boolean };
    };
    const messages = z.array(messageSchema).parse(record.messages);
    expect(messages[0]?.role).toBe('user');
    const calls = messages.flatMap((message, i) => {
      if (message.role !== 'assistant' || message.function_call === undefined) return [];
      expect(messages[i + 1]).toMatchObject({ role: 'function', name: message.function_call.name });
      expect(message.function_call.name).toBe(record.functions[0]?.name);
      return [JSON.parse(message.function_call.arguments) as { queries: string[] }];
    });
    const asked = calls.map(({ queries }) => queries.join(' ; '));
    expect(asked).toEqual(trajectory.searches.map(({ query }) => query));
    expect(messages.at(-1)).toMatchObject({ role: 'assistant', finish_reason: 'stop' });
    expect(messages.at(-1)?.content).toMatch(
      /<think>.+<\/think><answer>Gutu Vuvo ; Lihiti<\/answer>$/,
    );
    expect(record.ext).toMatchObject({
      golden_answer: ['Gutu Vuvo', 'Lihiti'],
      response_acc: true,
    });
  });
});

describe('ShareGPT', () => {
  /** What LLaMA-Factory's converter and function formatter do with a record (its documentation and source). */
  function readLikeLlamaFactory(line: string): { calls: { queries: string[] }[]; answer: string } {
    const { conversations, tools } = JSON.parse(line) as {
      conversations: { from: string; value: string }[];
      tools: string;
    };
    const [odd, even] = [
      ['human', 'observation'],
      ['gpt', 'function_call'],
    ];
    for (const [i, { from }] of conversations.entries())
      expect(i % 2 === 0 ? odd : even).toContain(from);
    expect(conversations.length % 2).toBe(0);
    const names = (JSON.parse(tools) as { name: string }[]).map(({ name }) => name);
    const calls = conversations
      .filter(({ from }) => from === 'function_call')
      .map(({ value }) => {
        const thought = /<think>([^]*?)<\/think>/.exec(value)?.[0] ?? '';
        expect(thought).not.toBe('');
        const call = JSON.parse(value.replace(thought, '')) as {
          name: string;
          arguments: { queries: string[] };
        };
        expect(names).toContain(call.name);
        return call.arguments;
      });
    return { calls, answer: conversations.at(-1)?.value ?? '' };
  }

  it('reads back by the rules of LLaMA-Factory', () => {
    const { calls, answer } = readLikeLlamaFactory(JSON.stringify(toShareGpt(trajectory)));
    expect(calls.map(({ queries }) => queries.join(' ; '))).toEqual(
      trajectory.searches.map(({ query }) => query),
    );
    expect(answer).toContain('<answer>Gutu Vuvo ; Lihiti</answer>');
    expect(datasetInfo('ours', 'a.json')).toHaveProperty('ours.columns.messages', 'conversations');
  });
});

describe('Search-R1 and verl', () => {
  const rows = tasks.map((task, index) => toSearchR1(task, { split: 'train', index }));

  it('has one target per question and alias, and one for all gaps together', () => {
    expect(rows.map((row) => row.reward_model.ground_truth.target)).toEqual([
      ['Gutu Vuvo ; Lihiti'],
      ['1703'],
      ['Gutu Vuvo', 'GV', 'Lihiti'],
    ]);
    expect(rows[2]?.golden_answers).toEqual(['Gutu Vuvo', 'GV', 'Lihiti']);
  });

  it('reads back from Parquet value by value', async () => {
    const bytes = await searchR1Parquet(rows);
    const file = Uint8Array.from(bytes).buffer;
    const read = (await parquetReadObjects({ file })) as Record<string, unknown>[];
    const plain = read.map((row) =>
      JSON.parse(
        JSON.stringify(row, (_, value: unknown) =>
          typeof value === 'bigint' ? Number(value) : value,
        ),
      ),
    );
    expect(plain).toEqual(JSON.parse(JSON.stringify(rows)));
  });

  it('has the columns and types that verl reads', async () => {
    const file = Uint8Array.from(await searchR1Parquet(rows)).buffer;
    const { children } = parquetSchema(parquetMetadata(file));
    const shape = (node: (typeof children)[number]): unknown =>
      node.children.length === 0
        ? node.element.type
        : Object.fromEntries(node.children.map((child) => [child.element.name, shape(child)]));
    const list = (element: unknown): unknown => ({ list: { element } });
    expect(Object.fromEntries(children.map((child) => [child.element.name, shape(child)]))).toEqual(
      {
        id: 'BYTE_ARRAY',
        question: 'BYTE_ARRAY',
        golden_answers: list('BYTE_ARRAY'),
        data_source: 'BYTE_ARRAY',
        prompt: list({ content: 'BYTE_ARRAY', role: 'BYTE_ARRAY' }),
        ability: 'BYTE_ARRAY',
        reward_model: { ground_truth: { target: list('BYTE_ARRAY') }, style: 'BYTE_ARRAY' },
        extra_info: { index: 'INT64', split: 'BYTE_ARRAY' },
      },
    );
  });
});
