import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { FILL_TASK, questionTask } from '../test/fixtures.ts';
import {
  ALL_TAGS,
  isJoinable,
  joinSlots,
  parseTurn,
  renderAnswerTurn,
  renderPrompt,
  renderSearchTurn,
  splitSlots,
} from './protocol.ts';

const content = fc
  .string({ unit: 'grapheme', minLength: 1 })
  .filter((text) => !/[<>]/.test(text) && text.trim() !== '' && !/^\s*\d{1,2}: /.test(text));

describe('renderPrompt', () => {
  it('shows a masked paragraph without instructions, then its sentences that have gaps, numbered', () => {
    expect(renderPrompt(FILL_TASK)).toBe(
      'Fill: Belo Nakuda founded the firm [mask] in 1703. Belo Nakuda was born in [mask].\n' +
        ' 1: Belo Nakuda founded the firm [mask] in 1703.\n' +
        ' 2: Belo Nakuda was born in [mask].\n',
    );
  });
  it('shows a question', () => {
    expect(renderPrompt(questionTask({}))).toBe('Question: When did Gutu Vuvo open?\n');
  });
});

describe('parseTurn', () => {
  it('reads what a search is for, and does not search for it', () => {
    const turn = renderSearchTurn('Lihiti', 'Belo Nakuda was born in', 2);
    expect(turn).toBe('<think> Lihiti</think><search> 2: Belo Nakuda was born in</search>');
    expect(parseTurn(turn)).toEqual({
      type: 'search',
      thought: 'Lihiti',
      query: 'Belo Nakuda was born in',
      intent: 2,
    });
    expect(parseTurn(renderSearchTurn('', '12:'))).toMatchObject({ query: '12:' });
  });

  it('reads back what was rendered', () => {
    fc.assert(
      fc.property(content, content, (thought, text) => {
        expect(parseTurn(renderSearchTurn(thought, text))).toEqual({
          type: 'search',
          thought: thought.trim(),
          query: text.trim(),
        });
        expect(parseTurn(renderAnswerTurn(thought, text))).toEqual({
          type: 'answer',
          thought: thought.trim(),
          text: text.trim(),
        });
      }),
    );
  });

  it.each([
    ['', /expected a thought/],
    ['<search> q</search>', /expected a thought/],
    ['x<think> t</think><search> q</search>', /expected a thought/],
    ['<think> t<search> q</search>', /expected a thought/],
    ['<think> t</think><search> q', /expected a thought/],
    ['<think> t</think><search> </search>', /an empty action/],
    ['<think> t</think><answer></answer>', /an empty action/],
    ['<think> t</think><search> q</search><answer> a</answer>', /text after the action/],
    ['<think> t</think><search> q</search> ', /text after the action/],
    ['<think> <search> q</search></think><answer> a</answer>', /a tag inside a tag/],
    ['<think> t</think><answer> a<information> i</information></answer>', /a tag inside a tag/],
    ['<think> t</think><answer> a<|endoftext|></answer>', /a tag inside a tag/],
    ['<think> a</think><think> b</think><answer> a</answer>', /a tag inside a tag/],
  ])('refuses %j', (turn, reason) => {
    const action = parseTurn(turn);
    expect(action.type).toBe('invalid');
    expect(action.type === 'invalid' && action.reason).toMatch(reason);
  });

  it('never reads an action out of a text that closes none', () => {
    fc.assert(
      fc.property(fc.array(fc.oneof(fc.constantFrom(...ALL_TAGS), fc.string())), (parts) => {
        const turn = parts.join('');
        if (!/<\/(search|answer)>$/.test(turn)) expect(parseTurn(turn).type).toBe('invalid');
      }),
    );
  });
});

describe('slots', () => {
  it('survive joining and splitting when they are joinable', () => {
    fc.assert(
      fc.property(fc.array(content, { minLength: 1 }), (slots) => {
        fc.pre(slots.every(isJoinable));
        expect(splitSlots(joinSlots(slots))).toEqual(slots);
      }),
    );
  });
  it('are not joinable when they hold the separator or outer spaces', () => {
    expect(isJoinable('a ; b')).toBe(false);
    expect(isJoinable(' a')).toBe(false);
    expect(isJoinable('a; b')).toBe(true);
  });
});
