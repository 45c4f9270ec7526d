// Conversations for models with a chat template of their own.
import { InputError } from '@masksearch/core';
import {
  type ChatMessage,
  type ChatTemplate,
  encodePieces,
  renderPieces,
  type Tokenizer,
} from '@masksearch/tokenizer';
import { z } from 'zod';
import { HttpError } from '../http/http-error.ts';
import type { ChatFormat, ReadTurn, ToolCall } from './chat-format.ts';
import type { WireMessage, WireTool } from './chat-request.ts';
import { markerStart } from './turn-text.ts';

const CALL_OPEN = '<tool_call>';
const CALL = /<tool_call>([^]*?)(?:<\/tool_call>|$)/g;

/**
 * Messages are written by the template; only its own text can hold special tokens. Tool calls are read as Qwen and
 * Hermes write them, `<tool_call>{"name": …, "arguments": …}</tool_call>`, or as Llama 3 does, the JSON alone.
 *
 * @param endTokens Special tokens that end a turn, e.g. `<|im_end|>`.
 */
export function templateFormat(options: {
  readonly tokenizer: Tokenizer;
  readonly template: ChatTemplate;
  readonly endTokens: readonly string[];
}): ChatFormat {
  const { tokenizer, template, endTokens } = options;
  const ends = endTokens.map((token) => tokenizer.specialId(token));
  return {
    name: 'template',
    stop: ends.map((id) => [id]),
    silent: new Set(ends),
    encode: (messages, tools) => {
      try {
        const pieces = renderPieces(template, messages.map(templateMessage), {
          addGenerationPrompt: true,
          tools: tools.map(templateTool),
        });
        const trusted = pieces.map(({ text, isContent }) => ({ text, isTrusted: !isContent }));
        return encodePieces(tokenizer, trusted).ids;
      } catch (error) {
        if (error instanceof InputError) throw new HttpError(400, `messages: ${error.message}`);
        throw error;
      }
    },
    callStart: (text) => {
      const start = markerStart(text, CALL_OPEN);
      return start < 0 && /^\s*\{/.test(text) ? 0 : start;
    },
    read: (text) => readCalls(text),
  };
}

function templateMessage(message: WireMessage): ChatMessage {
  const content = message.content ?? '';
  switch (message.role) {
    case 'developer':
      return { role: 'system', content };
    case 'assistant': {
      const calls = (message.tool_calls ?? []).map(({ function: { name, arguments: json } }) =>
        [CALL_OPEN, `{"name": ${JSON.stringify(name)}, "arguments": ${json}}`, '</tool_call>'].join(
          '\n',
        ),
      );
      return { role: 'assistant', content: [content, ...calls].filter(Boolean).join('\n') };
    }
    case 'system':
    case 'user':
    case 'tool':
      return { role: message.role, content };
    default:
      return message satisfies never;
  }
}

function templateTool({ function: { name, description, parameters } }: WireTool) {
  return {
    name,
    description: description ?? '',
    parameters: parameters ?? { type: 'object', properties: {} },
  };
}

const callSchema = z.object({
  name: z.string(),
  arguments: z.record(z.string(), z.unknown()).optional(),
  parameters: z.record(z.string(), z.unknown()).optional(),
});

/** What is no well-formed call stays text. */
function readCalls(text: string): ReadTurn {
  const whole = readCall(text);
  if (whole !== undefined) return { content: '', calls: [whole] };
  const calls: ToolCall[] = [];
  const content = text.replace(CALL, (match, inner: string) => {
    const call = readCall(inner);
    if (call === undefined) return match;
    calls.push(call);
    return '';
  });
  return { content: calls.length === 0 ? text : content.trim(), calls };
}

function readCall(json: string): ToolCall | undefined {
  let value: unknown;
  try {
    value = JSON.parse(json);
  } catch {
    return undefined;
  }
  const parsed = callSchema.safeParse(value);
  if (!parsed.success) return undefined;
  const { name, arguments: own, parameters } = parsed.data;
  return { name, arguments: JSON.stringify(own ?? parameters ?? {}) };
}
