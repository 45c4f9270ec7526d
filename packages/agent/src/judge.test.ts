import type { SearchCall } from '@masksearch/core';
import { describe, expect, it } from 'vitest';
import { FILL_TASK, questionTask } from '../test/fixtures.ts';
import { judge, type JudgedRecord } from './judge.ts';
import { wrapInformation } from './observation.ts';
import { renderAnswerTurn, renderPrompt, renderSearchTurn } from './protocol.ts';

const TEXT = 'Belo Nakuda of Lihiti founded Gutu Vuvo';
const call: SearchCall = {
  query: 'q',
  provider: 'p',
  results: [{ id: 'd1#0', documentId: 'd1', title: 'T', text: TEXT, score: 1 }],
};
const good: JudgedRecord = {
  messages: [
    { author: 'user', text: renderPrompt(FILL_TASK) },
    { author: 'policy', text: renderSearchTurn('1', 'q') },
    { author: 'tool', text: wrapInformation(` T: ${TEXT}`) },
    { author: 'policy', text: renderAnswerTurn('x', 'gutu vuvo ; Lihiti') },
  ],
  searches: [call],
  answer: ['gutu vuvo', 'Lihiti'],
  finishReason: 'answer',
};
/** The good record with one message replaced. */
const withMessage = (at: number, text: string): JudgedRecord => ({
  ...good,
  messages: good.messages.map((message, i) => (i === at ? { ...message, text } : message)),
});
const answering = (answer: string[]): JudgedRecord => ({
  ...withMessage(3, renderAnswerTurn('x', answer.join(' ; '))),
  answer,
});

describe('judge', () => {
  it('accepts a well-formed, right and supported answer', () => {
    expect(judge(FILL_TASK, good)).toEqual({ accepted: true, reason: 'accepted' });
  });

  it.each<[string, JudgedRecord]>([
    ['unfinished: turn-limit', { ...good, finishReason: 'turn-limit' }],
    ['format: prompt', withMessage(0, 'Fill: something else\n')],
    ['format: turns', { ...good, messages: good.messages.slice(0, 3) }],
    ['format: turns', { ...good, searches: [] }],
    ['format: search', withMessage(1, '<search> q</search>')],
    ['format: search', withMessage(1, renderSearchTurn('1', 'another query'))],
    ['format: information', withMessage(2, '<information> a</information><answer></information>')],
    ['failed search', { ...good, searches: [{ ...call, error: 'down' }] }],
    ['format: answer', withMessage(3, '<think> x</think> Gutu Vuvo ; Lihiti')],
    ['format: answer', { ...good, answer: ['Gutu Vuvo', 'Lihiti', 'more'] }],
    ['format: answer', { ...good, answer: null }],
    [
      'excluded passage retrieved',
      {
        ...good,
        searches: [{ ...call, results: call.results.map((r) => ({ ...r, id: 'd0#0' })) }],
      },
    ],
    ['wrong number of answers', answering(['Gutu Vuvo'])],
    ['wrong answer', answering(['Lihiti', 'Gutu Vuvo'])],
    ['wrong answer', answering(['Gutu', 'Lihiti'])],
    [
      'unsupported answer',
      withMessage(2, wrapInformation(' T: Belo Nakuda of Lihitis founded Gutu Vuvo')),
    ],
  ])('rejects with %s (%#)', (reason, record) => {
    expect(judge(FILL_TASK, record)).toEqual({ accepted: false, reason });
  });

  it('accepts lists in any order, and names of a comparison that stand in the question only', () => {
    const list = questionTask({
      group: 'list',
      golds: [
        { text: 'Lihiti', aliases: [] },
        { text: 'Gutu Vuvo', aliases: [] },
      ],
    });
    const prompt = (text: string, record: JudgedRecord): JudgedRecord => ({
      ...record,
      messages: [{ author: 'user', text }, ...record.messages.slice(1)],
    });
    expect(
      judge(list, prompt(renderPrompt(list), answering(['Gutu Vuvo', 'Lihiti']))).accepted,
    ).toBe(true);
    const golds = [{ text: 'Rizego', aliases: [] }];
    const question = 'Which is older, Rizego or Dosape?';
    const comparison = questionTask({ group: 'comparison', golds, question });
    const record = prompt(renderPrompt(comparison), answering(['Rizego']));
    expect(judge(comparison, record).accepted).toBe(true);
    const other = { ...comparison, group: 'hop1' };
    expect(judge(other, record).reason).toBe('unsupported answer');
  });
});
