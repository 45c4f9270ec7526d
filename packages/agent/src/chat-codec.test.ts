import {
  encodePieces,
  renderPieces,
  type ChatMessage,
  type Tokenizer,
} from '@masksearch/tokenizer';
import { buildIndexInMemory } from '@masksearch/search';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { CHATS, headers, plain, REAL_MISSING, thinking, turns } from '../test/chat.ts';
import { FILL_TASK, FixedSearch, HOSTILE, PASSAGES, questionTask } from '../test/fixtures.ts';
import { scriptedSampler } from '../test/fake-sampler.ts';
import { createChatCodec } from './chat-codec.ts';
import type { EpisodeCodec } from './episode-codec.ts';
import { resolveEpisodeConfig } from './episode-config.ts';
import { teach } from './oracle-teacher.ts';
import { renderAnswerTurn, renderPrompt, renderSearchTurn } from './protocol.ts';
import { runEpisode } from './run-episode.ts';
import { SEARCH_TOOL } from './tool-format.ts';
import { trajectoryToExample } from './trajectory-example.ts';

const search = await buildIndexInMemory(PASSAGES);
const config = resolveEpisodeConfig({ topK: 2, maxContextTokens: 8192, maxTurnTokens: 512 });
const content = fc
  .string({ unit: 'grapheme', minLength: 1 })
  .filter((text) => !/[<>]/.test(text) && text.trim() !== '' && text.isWellFormed())
  // A number and a colon in front are the protocol's label.
  .map((text) => `q ${text}`.normalize('NFC'));
const result = (text: string) => ({ id: 'p', documentId: 'd', title: 'T', text, score: 1 });

function specialsIn(tokenizer: Tokenizer, ids: ArrayLike<number>): string[] {
  const byId = new Map(tokenizer.specialTokens.map((token) => [tokenizer.specialId(token), token]));
  return Array.from(ids).flatMap((id) => byId.get(id) ?? []);
}

function endsWithStop(codec: EpisodeCodec, ids: Int32Array): number {
  for (let end = 1; end <= ids.length; end++) {
    const head = [...ids.subarray(0, end)];
    if (codec.stop.some((stop) => stop.every((id, i) => id === head.at(i - stop.length)))) {
      return end;
    }
  }
  return -1;
}

describe.each(CHATS)('chat codec, $name', ({ template, tokenizer, toolCalls }) => {
  const codec = createChatCodec({ template, tokenizer, toolCalls, answerForm: 'slots' });

  it('gives every token of a prompt to the system or the user, in the words of the template', () => {
    const { text, ids, parts } = codec.prompt(FILL_TASK);
    expect(text).toBe(renderPrompt(FILL_TASK));
    expect(parts.flatMap((part) => [...part.ids])).toEqual([...ids]);
    expect(parts.map(({ author }) => author)).toEqual(['system', 'user']);
    const whole = tokenizer.decode(ids);
    expect(whole).toContain(FILL_TASK.masked);
    expect(whole.includes(SEARCH_TOOL.description)).toBe(toolCalls !== 'tags');
    expect(tokenizer.decode(parts[0]?.ids ?? [])).not.toContain(FILL_TASK.masked);
  });

  it('makes no special token of what a task or a passage says', () => {
    const task = (question: string) => codec.prompt(questionTask({ question })).ids;
    const information = (text: string) => codec.information([result(text)], 4000)?.ids ?? [];
    for (const text of HOSTILE) {
      const special = (ids: ArrayLike<number>): string[] => specialsIn(tokenizer, ids);
      expect(special(task(`a ${text} b`))).toEqual(special(task('a b')));
      expect(special(information(text))).toEqual(special(information('x')));
    }
  });

  it('writes turns that stop at their end and read back as they were', () => {
    fc.assert(
      fc.property(content, content, fc.option(fc.nat(99)), (thought, text, intent) => {
        const label = intent ?? undefined;
        for (const turn of [
          renderSearchTurn(thought, text, label),
          renderAnswerTurn(thought, text),
        ]) {
          const ids = codec.encodeTurn(turn);
          expect(endsWithStop(codec, ids)).toBe(ids.length);
          expect(codec.parse(ids)).toMatchObject({ thought: thought.trim() });
          expect(codec.parse(codec.encodeTurn(codec.decode(ids)))).toEqual(codec.parse(ids));
        }
      }),
      { numRuns: 60 },
    );
  });

  it('keeps what was found within its budget, the words around it included', () => {
    const long = result('The "river" Rizego \\ flows. '.repeat(40));
    for (const budget of [codec.minimumInformationTokens, 90, 150, 400]) {
      const block = codec.information([long, long], budget);
      if (block === null) continue;
      expect(block.ids.length).toBeLessThanOrEqual(budget);
      expect([...codec.encodeInformation(block.text)]).toEqual([...block.ids]);
    }
    expect(codec.information([long], 400)).not.toBeNull();
    expect(codec.information([long], 2)).toBeNull();
  });

  it('makes of a teacher’s trajectory the tokens of a rollout with the same turns', async () => {
    const trajectory = await teach(FILL_TASK, { tokenizer, codec, search, config });
    expect(trajectory.verdict).toEqual({ accepted: true, reason: 'accepted' });
    const example = trajectoryToExample(trajectory, FILL_TASK, tokenizer, codec);
    const written = trajectory.messages.filter(({ author }) => author === 'policy');
    const sampler = scriptedSampler(written.map(({ text }) => codec.encodeTurn(text)));
    const episode = await runEpisode({
      task: FILL_TASK,
      sampleIndex: 0,
      tokenizer,
      codec,
      sampler,
      search,
      config,
      keyParts: [1],
      policyVersion: 0,
    });
    expect(episode.ids).toEqual(example.ids);
    expect(episode.mask).toEqual(example.mask);
    expect(episode.segments).toEqual(example.segments);
    expect(episode.messages).toEqual(trajectory.messages);
    expect(episode.answer).toEqual(trajectory.answer);
  });
});

describe('chat codec', () => {
  it.runIf(REAL_MISSING !== null)(`skips what is not here: ${REAL_MISSING}`, () => {
    expect(CHATS).toHaveLength(6);
  });

  it.each(
    CHATS.filter(({ toolCalls, template }) => toolCalls === 'hermes' && template !== thinking),
  )('appends exactly what the template would render, $name', ({ template, tokenizer }) => {
    const codec = createChatCodec({
      template,
      tokenizer,
      toolCalls: 'hermes',
      answerForm: 'slots',
    });
    const turn = codec.encodeTurn(renderSearchTurn('t', 'Gutu Vuvo'));
    const block = codec.information([result('Gutu Vuvo opened in 1703.')], 400);
    const { ids } = codec.prompt(FILL_TASK);
    const appended = [...ids, ...turn, ...(block?.ids ?? [])];
    const [system, user] = promptMessages(tokenizer.decode(ids));
    const messages: ChatMessage[] = [
      { role: 'system', content: system },
      { role: 'user', content: user },
      { role: 'assistant', content: tokenizer.decode(turn.subarray(0, -1)) },
      { role: 'tool', content: 'T: Gutu Vuvo opened in 1703.' },
    ];
    const options = { addGenerationPrompt: true, tools: [SEARCH_TOOL] };
    // The turn's tool call may be a special token: trusted here, as a server would read it.
    const pieces = renderPieces(template, messages, options);
    const rendered = encodePieces(
      tokenizer,
      pieces.map(({ text }) => ({ text, isTrusted: true })),
    );
    expect(appended).toEqual([...rendered.ids]);
  });

  it.each<[string, 'hermes' | 'llama', string, RegExp]>([
    ['no action', 'hermes', '<think> t</think>', /expected a thought, then a tool call/],
    ['two calls', 'hermes', `${call('a')}${call('b')}`, /tool call that is none/],
    ['text after the call', 'hermes', `${call('a')} more`, /expected a thought, then a tool call/],
    ['text before the call', 'hermes', `I search: ${call('a')}`, /expected a thought/],
    ['another tool', 'hermes', call('a').replace('search', 'shell'), /none: name/],
    ['another argument', 'hermes', call('a').replace('}}', ', "x": 1}}'), /none: arguments/],
    ['an empty query', 'hermes', call(' '), /none: arguments\.query/],
    ['no JSON', 'hermes', '<tool_call>search("a")</tool_call>', /tool call that is none/],
    ['code', 'llama', 'search.call(query="a")', /expected a thought, then a tool call/],
    [
      'arguments for parameters',
      'llama',
      '{"name": "search", "arguments": {"query": "a"}}',
      /none/,
    ],
    ['an answer in an answer', 'llama', '<answer> <answer>a</answer></answer>', /tag inside a tag/],
    ['an empty answer', 'llama', '<answer> </answer>', /an empty action/],
    ['a tag in a query', 'hermes', call('<information>'), /a tag inside a tag/],
  ])('refuses %s (%s)', (_, toolCalls, text, reason) => {
    const template = toolCalls === 'hermes' ? turns : headers;
    const codec = createChatCodec({ template, tokenizer: plain, toolCalls, answerForm: 'slots' });
    const end = toolCalls === 'hermes' ? '<|im_end|>' : '<|eot_id|>';
    const ids = Int32Array.of(...plain.encode(text), plain.specialId(end));
    expect(codec.parse(ids)).toMatchObject({
      type: 'invalid',
      reason: expect.stringMatching(reason) as string,
    });
    // The text of an invalid turn is what was sampled.
    expect(codec.decode(ids)).toBe(`${text}${end}`);
  });

  it('refuses a turn that another token ended, or that holds one', () => {
    const options = { template: turns, tokenizer: plain, answerForm: 'slots' } as const;
    const codec = createChatCodec({ ...options, toolCalls: 'hermes' });
    const ids = codec.encodeTurn(renderAnswerTurn('t', 'a'));
    const other = plain.specialId('<|endoftext|>');
    expect(codec.parse(ids.with(-1, other))).toMatchObject({
      reason: 'a turn that ended without its end-of-turn token',
    });
    expect(codec.parse(ids.with(0, other))).toMatchObject({
      reason: 'a special token inside a turn',
    });
    const tags = createChatCodec({ ...options, toolCalls: 'tags' });
    expect(tags.parse(Int32Array.of(plain.specialId('<|im_end|>')))).toMatchObject({
      type: 'invalid',
    });
  });

  it.each(CHATS)('takes ids that are no token as an invalid turn, $name', (chat) => {
    const codec = createChatCodec({ ...chat, answerForm: 'slots' });
    const turn = codec.encodeTurn(renderAnswerTurn('t', 'a'));
    const spare = turn.with(1, chat.tokenizer.vocabularySize + 5);
    expect(codec.parse(spare)).toEqual({ type: 'invalid', reason: 'an id that is no token' });
    expect(codec.decode(spare)).toContain('\ufffd');
  });

  it('refuses templates that do not show tools', () => {
    const options = { template: thinking, tokenizer: plain, answerForm: 'slots' } as const;
    expect(() => createChatCodec({ ...options, toolCalls: 'hermes' })).toThrow(
      /expected a template that shows tools for tool calls as hermes.*use tags/,
    );
  });

  it('ends an episode whose context is full without cutting a tool’s message', async () => {
    const options = { template: turns, tokenizer: plain, answerForm: 'slots' } as const;
    const codec = createChatCodec({ ...options, toolCalls: 'hermes' });
    const turn = codec.encodeTurn(renderSearchTurn('t', 'Gutu Vuvo'));
    const prompt = codec.prompt(FILL_TASK).ids.length;
    const maxContextTokens = prompt + turn.length + codec.minimumInformationTokens + 4;
    const episode = await runEpisode({
      task: FILL_TASK,
      sampleIndex: 0,
      tokenizer: plain,
      codec,
      sampler: scriptedSampler([turn, turn]),
      search: new FixedSearch([['T', 'x '.repeat(500)]]),
      config: resolveEpisodeConfig({ maxContextTokens, maxTurnTokens: 512 }),
      keyParts: [1],
      policyVersion: 0,
    });
    expect(episode.finishReason).toBe('context-full');
    expect(episode.ids).toHaveLength(prompt + turn.length);
  });
});

function call(query: string): string {
  return `<tool_call>\n{"name": "search", "arguments": {"query": "${query}"}}\n</tool_call>`;
}

/** The two contents of a ChatML prompt, tools left out. */
function promptMessages(text: string): [string, string] {
  const [, system = '', user = ''] =
    /system\n([^]*?)\n+# Tools[^]*?user\n([^]*?)<\|im_end/.exec(text) ?? [];
  return [system, user];
}
