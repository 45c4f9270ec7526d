// What must not be trained on; that examples equal rollouts is tested with the teacher.
import { buildIndexInMemory } from '@masksearch/search';
import { describe, expect, it } from 'vitest';
import { FILL_TASK, PASSAGES, TOKENIZERS } from '../test/fixtures.ts';
import { resolveEpisodeConfig } from './episode-config.ts';
import { teach } from './oracle-teacher.ts';
import { trajectoryToExample } from './trajectory-example.ts';

const search = await buildIndexInMemory(PASSAGES);
const config = resolveEpisodeConfig({ topK: 2 });

describe.each(TOKENIZERS)('trajectoryToExample, $name', ({ tokenizer }) => {
  it.each<[string, number, (text: string) => string, RegExp]>([
    ['a misspelt tag', 1, (text) => text.replace('<search>', '<serch>'), /message 1: .*invalid/],
    ['a missing thought', 1, (text) => text.replace(/^.*<\/think>/, ''), /message 1: .*a thought/],
    ['an action that was cut off', 3, (text) => text.slice(0, -4), /message 3: .*invalid turn/],
    ['text after the action', 3, (text) => `${text} more`, /message 3: .*after the action/],
    ['a search at the end', -1, () => '<think> x</think><search> y</search>', /received search/],
    [
      'an answer before the end',
      1,
      () => '<think> x</think><answer> y</answer>',
      /ends with search/,
    ],
    ['tool output without its tags', 2, () => 'found', /expected one <information> block/],
  ])('refuses %s, naming task and message', async (_, at, change, message) => {
    const trajectory = await teach(FILL_TASK, { tokenizer, search, config });
    const messages = trajectory.messages.with(at, {
      ...(trajectory.messages.at(at) as (typeof trajectory.messages)[number]),
      text: change(trajectory.messages.at(at)?.text ?? ''),
    });
    expect(() => trajectoryToExample({ ...trajectory, messages }, FILL_TASK, tokenizer)).toThrow(
      message,
    );
  });
});
