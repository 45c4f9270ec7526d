// Trajectories by language models; each flaw of the published code has a test that shows it absent.
import { trajectorySchema } from '@masksearch/core';
import type { SearchRequest, SearchTool } from '@masksearch/search';
import { describe, expect, it } from 'vitest';
import { FILL_TASK, tagTokenizer, TOKENIZERS } from '../../test/fixtures.ts';
import type { RoleModel } from '../../test/role-model.ts';
import { resolveEpisodeConfig } from '../episode-config.ts';
import { parseTurn, renderPrompt } from '../protocol.ts';
import { trajectoryToExample } from '../trajectory-example.ts';
import { ENGLISH } from './prompts/english.ts';
import { promptHash, ROLES } from './prompts/prompts.ts';
import { resolveSynthesisConfig } from './synthesis-config.ts';
import { synthesize } from './synthesize.ts';
import {
  environmentOf,
  model,
  QUESTION,
  textsOf,
  limits,
  oracle,
} from '../../test/synthesis-environment.ts';

describe('synthesize', () => {
  it.each(TOKENIZERS)(
    'keeps a right trajectory that sft can read: $name',
    async ({ tokenizer }) => {
      const asked = model();
      const trajectory = await synthesize(FILL_TASK, 0, environmentOf(asked, { tokenizer }));
      expect(trajectory.verdict).toEqual({ accepted: true, reason: 'accepted' });
      expect(trajectorySchema.parse(trajectory)).toEqual(trajectory);
      const { ids, mask } = trajectoryToExample(trajectory, FILL_TASK, tokenizer);
      expect(mask).toHaveLength(ids.length);
      expect(trajectory.answer).toEqual(['Gutu Vuvo', 'Lihiti']);
    },
  );

  it('searches several queries at once, in parallel, and interleaves what they find', async () => {
    const queries: string[] = [];
    let most = 0;
    let active = 0;
    const tool: SearchTool = {
      provider: 'lists',
      search: async ({ query, topK }: SearchRequest) => {
        queries.push(query);
        most = Math.max(most, ++active);
        await new Promise((resolve) => setTimeout(resolve, 5));
        active--;
        // Every list starts with one passage that all share.
        return ['shared', `${query} 1`, `${query} 2`].slice(0, topK).map((id) => ({
          id,
          documentId: id,
          title: id,
          text: id,
          score: 1,
        }));
      },
    };
    const asked = model({
      rewriter: () => ({ queries: ['a', 'b', 'b', 'c ; d'] }),
      observer: () => ({ decision: 'answer', thought: 't', answer: ['x', 'y'] }),
    });
    const episode = resolveEpisodeConfig({ topK: 4, ...limits });
    const trajectory = await synthesize(
      FILL_TASK,
      0,
      environmentOf(asked, { search: tool, episode }),
    );
    expect(trajectory.searches[0]?.query).toBe('a ; b ; c, d');
    expect(queries).toEqual(['a', 'b', 'c, d']);
    expect(most).toBe(3);
    const ids = trajectory.searches[0]?.results.map(({ id }) => id);
    expect(ids).toEqual(['shared', 'a 1', 'b 1', 'c, d 1']);
  });

  it('shows the planner the task alone, and the observer every thought, query and result', async () => {
    const asked = model();
    const episode = resolveEpisodeConfig({ topK: 1, ...limits });
    const trajectory = await synthesize(FILL_TASK, 0, environmentOf(asked, { episode }));
    expect(asked.shown('planner')).toEqual([`# Task\n${renderPrompt(FILL_TASK).trim()}`]);
    const texts = textsOf(trajectory);
    const observed = asked.shown('observer');
    expect(observed.length).toBeGreaterThan(1);
    for (const [i, shown] of observed.entries()) {
      // Before turn i + 1 there are the prompt, i + 1 turns and i + 1 results.
      const before = texts.slice(1, 3 + 2 * i).join('\n');
      expect(shown).toBe(`# Task\n${texts[0]?.trim()}\n\n# So far\n${before}`);
    }
  });

  it('trains on exactly what the teacher saw', async () => {
    const asked = model();
    const trajectory = await synthesize(FILL_TASK, 0, environmentOf(asked));
    const example = trajectoryToExample(trajectory, FILL_TASK, tagTokenizer);
    const student = tagTokenizer.decode(example.ids);
    const last = asked.shown('observer').at(-1) ?? '';
    const [task = '', transcript = ''] = last.replace('# Task\n', '').split('\n\n# So far\n');
    const answer = textsOf(trajectory).at(-1) ?? '';
    expect(student).toBe(`${task}\n${transcript.replaceAll('>\n<', '><')}${answer}`);
  });

  it('shows the judge task, gold and answer, and nothing of the reasoning', async () => {
    const asked = model();
    const trajectory = await synthesize(FILL_TASK, 0, environmentOf(asked));
    const [shown = ''] = asked.shown('judge');
    const task = renderPrompt(FILL_TASK).trim();
    expect(shown).toBe(
      `# Task\n${task}\n\n# Reference answers\n1. Gutu Vuvo\n2. Lihiti\n\n# Answer given\n1. Gutu Vuvo\n2. Lihiti`,
    );
    expect(trajectory.provenance?.verdicts).toEqual({ rule: 'accepted', model: 'correct' });
  });

  it('lets the judge be another model', async () => {
    const [teacher, judge] = [model(), model({ judge: () => ({ verdict: 'incorrect' }) })];
    const environment = environmentOf(teacher);
    const trajectory = await synthesize(FILL_TASK, 0, {
      ...environment,
      models: { ...environment.models, judge },
    });
    expect(trajectory.verdict).toEqual({ accepted: false, reason: 'judge: incorrect' });
    expect(teacher.shown('judge')).toEqual([]);
  });

  it.each([
    'Not correct.',
    'INCORRECT',
    'The response is wrong',
    'no',
    '',
    'correct',
    '{"verdict": "Correct"}',
    '{"verdict": "correct", "but": "not quite"}',
    '{"verdict": "incorrect or correct"}',
    '{"verdict": ["correct"]}',
    '{"verdict": true}',
    '["correct"]',
  ])('takes a judge that says %s for no', async (said) => {
    const trajectory = await synthesize(FILL_TASK, 0, environmentOf(model({ judge: () => said })));
    expect(trajectory.verdict).toEqual({ accepted: false, reason: 'judge: unclear' });
  });

  it('rejects by rule what a lenient judge would keep, and asks no judge about it', async () => {
    const asked = model({
      observer: () => ({ decision: 'answer', thought: 't', answer: ['Lihiti', 'Gutu Vuvo'] }),
      judge: () => ({ verdict: 'correct' }),
    });
    const trajectory = await synthesize(FILL_TASK, 0, environmentOf(asked));
    expect(trajectory.verdict).toEqual({ accepted: false, reason: 'wrong answer' });
    expect(asked.shown('judge')).toEqual([]);
  });

  it('rejects a right answer that no search showed, unless told otherwise', async () => {
    const asked = model({
      rewriter: () => ({ queries: ['Rizego source'] }),
      observer: () => ({ decision: 'answer', thought: 'I know.', answer: ['Gutu Vuvo', 'Lihiti'] }),
    });
    const episode = resolveEpisodeConfig({ topK: 1, ...limits });
    const environment = environmentOf(asked, { episode });
    const guessed = await synthesize(FILL_TASK, 0, environment);
    expect(guessed.verdict).toEqual({ accepted: false, reason: 'unsupported answer' });
    const synthesis = resolveSynthesisConfig({ requireSupport: false });
    expect((await synthesize(FILL_TASK, 0, { ...environment, synthesis })).verdict.accepted).toBe(
      true,
    );
  });
});

describe('limits', () => {
  /** Searches in every turn but number `turns`, which answers. */
  const answeringInTurn = (turns: number): RoleModel => {
    let turn = 1;
    return model({
      planner: () => {
        turn = 1;
        return undefined;
      },
      observer: () =>
        ++turn < turns
          ? { decision: 'next', thought: `${turn}`, search: `Gutu Vuvo Lihiti ${turn}`, answer: [] }
          : { decision: 'answer', thought: `${turn}`, search: '', answer: ['Gutu Vuvo', 'Lihiti'] },
    });
  };

  it.each([2, 3, 5])(
    'count what they say: an answer in turn %i of as many counts',
    async (turns) => {
      const episode = resolveEpisodeConfig({ topK: 4, maxTurns: turns, ...limits });
      const last = await synthesize(
        FILL_TASK,
        0,
        environmentOf(answeringInTurn(turns), { episode }),
      );
      expect(last.verdict).toEqual({ accepted: true, reason: 'accepted' });
      expect(last.searches).toHaveLength(turns - 1);
      const late = answeringInTurn(turns + 1);
      const over = await synthesize(FILL_TASK, 0, environmentOf(late, { episode }));
      expect(over.verdict).toEqual({ accepted: false, reason: 'unfinished: turn-limit' });
      expect(late.shown('observer').at(-1)).toContain(ENGLISH.lastTurn);
    },
  );

  it('allow so many reflections in a row and no more', async () => {
    const reflecting = (times: number): RoleModel => {
      let count = 0;
      return model({
        observer: (request) =>
          count++ < times
            ? { decision: 'reflect', thought: 'no', search: `Lihiti ${count}`, answer: [] }
            : JSON.parse(oracle(request)),
      });
    };
    const synthesis = resolveSynthesisConfig({ maxReflections: 2 });
    const asked = reflecting(2);
    const two = await synthesize(FILL_TASK, 0, environmentOf(asked, { synthesis }));
    expect(two.verdict.accepted).toBe(true);
    expect(two.provenance?.reflections).toBe(2);
    expect(asked.shown('observer').filter((shown) => shown.includes('# Note'))).toEqual([
      expect.stringContaining(ENGLISH.noMoreReflection),
    ]);
    const three = await synthesize(FILL_TASK, 0, environmentOf(reflecting(3), { synthesis }));
    expect(three.verdict.reason).toBe('observer: too many reflections');
  });

  it('every policy turn, the last one included, has its thought', async () => {
    const trajectory = await synthesize(FILL_TASK, 0, environmentOf(model()));
    const turns = trajectory.messages.filter(({ author }) => author === 'policy');
    for (const { text } of turns) {
      const action = parseTurn(text);
      expect(action.type === 'invalid' ? '' : action.thought).not.toBe('');
    }
  });

  it('a turn that is too long is rejected, not cut', async () => {
    const episode = resolveEpisodeConfig({ topK: 2, ...limits, maxTurnTokens: 10 });
    const trajectory = await synthesize(FILL_TASK, 0, environmentOf(model(), { episode }));
    expect(trajectory.verdict.reason).toBe('unfinished: turn-length');
  });

  it('a tool that never answers costs its time-out', async () => {
    const tool: SearchTool = { provider: 'mute', search: () => new Promise(() => {}) };
    const episode = resolveEpisodeConfig({ topK: 2, ...limits, searchTimeoutMs: 30 });
    const environment = environmentOf(model(), { episode, search: tool });
    const { verdict } = await synthesize(FILL_TASK, 0, environment);
    expect(verdict.reason).toBe('unfinished: tool-timeout');
  });
});

describe('records', () => {
  it('keep who played, what they were told, and what it took', async () => {
    const { provenance } = await synthesize(FILL_TASK, 3, environmentOf(model()));
    expect(provenance).toMatchObject({ language: 'en', sampleIndex: 3, reflections: 0 });
    expect(provenance?.roles['judge']).toBe('test:model');
    for (const role of ROLES) expect(provenance?.prompts[role]).toBe(promptHash(ENGLISH, role));
    expect(provenance?.tokens).toEqual({ input: 40, output: 20 });
  });

  it('keep source, provider and licence of every result', async () => {
    const source = { url: 'https://example.org/a', provider: 'wiki', licence: 'CC BY-SA 4.0' };
    const result = { id: 'r', documentId: 'r', title: 'T', text: 'Gutu Vuvo, Lihiti', score: 1 };
    const tool: SearchTool = {
      provider: 'web',
      search: () => Promise.resolve([{ ...result, ...source }]),
    };
    const trajectory = await synthesize(FILL_TASK, 0, environmentOf(model(), { search: tool }));
    expect(trajectory.searches[0]?.results[0]).toMatchObject(source);
    expect(trajectorySchema.parse(trajectory).searches[0]?.results[0]).toMatchObject(source);
  });

  it('of one task do not share anything', async () => {
    const [a, b] = [model(), model()];
    const first = await synthesize(FILL_TASK, 0, environmentOf(a));
    const again = await synthesize(FILL_TASK, 0, environmentOf(b));
    expect(again).toEqual(first);
    const other = await synthesize(FILL_TASK, 1, environmentOf(model()));
    expect(other.provenance?.sampleIndex).toBe(1);
    const seeds = [a, b].map(({ asked }) => asked[0]?.request.seed);
    expect(seeds).toEqual([1000, 1000]);
  });

  it('never retrieve the source of a task', async () => {
    const trajectory = await synthesize(FILL_TASK, 0, environmentOf(model()));
    const ids = trajectory.searches.flatMap(({ results }) => results.map(({ id }) => id));
    expect(ids.length).toBeGreaterThan(0);
    expect(ids).not.toContain(FILL_TASK.passageId);
  });

  it('of contaminated tasks are rejected and cost nothing', async () => {
    const asked = model();
    const environment = environmentOf(asked, { isContaminated: ({ id }) => id === FILL_TASK.id });
    const { verdict } = await synthesize(FILL_TASK, 0, environment);
    expect(verdict.reason).toBe('contaminated');
    expect(asked.asked).toEqual([]);
    expect((await synthesize(QUESTION, 0, environment)).verdict.accepted).toBe(true);
  });
});
