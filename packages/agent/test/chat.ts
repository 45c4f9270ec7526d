// Chat templates and tokenizers for the tests of chat codecs; real ones where MASKSEARCH_DATA and
// MASKSEARCH_TEMPLATES are.
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { ChatTemplate, loadTokenizer, trainBpe } from '@masksearch/tokenizer';
import { CHAT_TOKENS, realTemplate, TEMPLATES } from '@masksearch/tokenizer/testing';
import type { ToolCalls } from '../src/chat-codec.ts';
import { PASSAGES } from './fixtures.ts';

const texts = PASSAGES.map(({ title, text }) => ` ${title}: ${text}`);
const plain = trainBpe(texts, { vocabularySize: 400, specialTokens: CHAT_TOKENS });
/** Has thoughts and tool calls as tokens, like Qwen3. */
const withTags = trainBpe(texts, {
  vocabularySize: 410,
  specialTokens: [...CHAT_TOKENS, '<think>', '</think>', '<tool_call>', '</tool_call>'],
});

const data = process.env['MASKSEARCH_DATA'] ?? join(import.meta.dirname, '../../../../shared/data');
const qwenPath = join(data, 'tokenizers/qwen2.5_tokenizer.rebuilt.json');
const qwenTemplate = realTemplate('qwen2_5');
const qwen =
  existsSync(qwenPath) && qwenTemplate !== null
    ? { tokenizer: loadTokenizer(qwenPath), source: qwenTemplate }
    : null;

const options = { bosToken: '<|begin_of_text|>' };
const turns = new ChatTemplate(TEMPLATES.turns, options);
const headers = new ChatTemplate(TEMPLATES.headers, options);
const thinking = new ChatTemplate(TEMPLATES.thinking, options);

export const CHATS = [
  { name: 'tags', template: turns, tokenizer: plain, toolCalls: 'tags' },
  { name: 'tags, Llama 3', template: headers, tokenizer: withTags, toolCalls: 'tags' },
  { name: 'tags, stripped thoughts', template: thinking, tokenizer: withTags, toolCalls: 'tags' },
  { name: 'tool calls, Qwen2.5', template: turns, tokenizer: plain, toolCalls: 'hermes' },
  { name: 'tool calls, Qwen3', template: turns, tokenizer: withTags, toolCalls: 'hermes' },
  { name: 'tool calls, Llama 3', template: headers, tokenizer: plain, toolCalls: 'llama' },
  ...(qwen === null
    ? []
    : (['tags', 'hermes'] as const).map((toolCalls) => ({
        name: `${toolCalls}, the real Qwen2.5`,
        template: new ChatTemplate(qwen.source),
        tokenizer: qwen.tokenizer,
        toolCalls,
      }))),
] satisfies { name: string; template: ChatTemplate; toolCalls: ToolCalls; tokenizer: unknown }[];

/** Why the real ones are left out, or null. */
export const REAL_MISSING =
  qwen === null ? 'the real Qwen2.5 needs MASKSEARCH_DATA and MASKSEARCH_TEMPLATES' : null;
export { headers, plain, thinking, turns };
