// Conversations for models without a chat template: the episode protocol, whose tags are the only markup.
import { END_OF_TEXT, neutralise, ProtocolCodec, TAGS, wrapInformation } from '@masksearch/agent';
import type { Tokenizer } from '@masksearch/tokenizer';
import { z } from 'zod';
import { HttpError } from '../http/http-error.ts';
import type { ChatFormat, ReadTurn } from './chat-format.ts';
import type { WireMessage, WireTool } from './chat-request.ts';
import { markerStart } from './turn-text.ts';

/**
 * The plain rendering. `Question: …` and `Fill: …` are what our models are trained on.
 * - system and user: the content and a line break
 * - assistant: the content as it is; a tool call follows as `<search> query</search>`
 * - tool: `<information>` with one line per line of the content, neutralised
 *
 * A turn ends at `</search>` or `</answer>`, which are part of its text. One tool can be offered: the search, its
 * argument the first that is a string or a list of strings.
 *
 * @throws {InputError} as `ProtocolCodec`.
 */
export function plainFormat(tokenizer: Tokenizer): ChatFormat {
  const codec = new ProtocolCodec(tokenizer);
  const ends = tokenizer.specialTokens.filter((token) => token === END_OF_TEXT);
  return {
    name: 'plain',
    stop: codec.stop,
    silent: new Set(ends.map((token) => tokenizer.specialId(token))),
    encode: (messages, tools) => {
      searchArgument(tools);
      const parts = messages.map((message) => encodeMessage(codec, message));
      return Int32Array.from(parts.flatMap((ids) => [...ids]));
    },
    callStart: (text) => markerStart(text, TAGS.search.open),
    read: readSearch,
  };
}

function encodeMessage(codec: ProtocolCodec, message: WireMessage): Int32Array {
  const content = message.content ?? '';
  switch (message.role) {
    case 'system':
    case 'developer':
    case 'user':
      return codec.encodePrompt(`${content}\n`);
    case 'assistant': {
      const searches = (message.tool_calls ?? []).map(
        (call) => `${TAGS.search.open} ${queryOf(call.function.arguments)}${TAGS.search.close}`,
      );
      return codec.encodeTurn(`${content}${searches.join('')}`);
    }
    case 'tool': {
      const lines = content.split('\n').map((line) => ` ${neutralise(line)}`);
      return codec.encodeInformation(wrapInformation(lines.join('\n')));
    }
    default:
      return message satisfies never;
  }
}

function readSearch(text: string, tools: readonly WireTool[]): ReadTurn {
  const argument = searchArgument(tools);
  const start = text.lastIndexOf(TAGS.search.open);
  const end = text.lastIndexOf(TAGS.search.close);
  if (argument === undefined || start < 0 || end < start) return { content: text, calls: [] };
  const query = text.slice(start + TAGS.search.open.length, end).trim();
  const value = argument.isList ? [query] : query;
  return {
    content: text.slice(0, start),
    calls: [{ name: argument.tool, arguments: JSON.stringify({ [argument.name]: value }) }],
  };
}

const propertiesSchema = z.object({
  properties: z.record(
    z.string(),
    z.looseObject({ type: z.unknown(), items: z.looseObject({ type: z.unknown() }).optional() }),
  ),
});

interface SearchArgument {
  readonly tool: string;
  readonly name: string;
  readonly isList: boolean;
}

/** @throws {HttpError} 400: there are several tools, or one that takes no text. */
function searchArgument(tools: readonly WireTool[]): SearchArgument | undefined {
  const [tool, ...others] = tools;
  if (tool === undefined) return undefined;
  const parsed = propertiesSchema.safeParse(tool.function.parameters);
  const properties = Object.entries(parsed.data?.properties ?? {});
  const isText = (type: unknown): boolean => type === 'string';
  const found = properties.find(([, { type, items }]) => isText(type) || isText(items?.type));
  if (others.length > 0 || found === undefined) {
    throw new HttpError(
      400,
      'tools: this model can call one tool, a search with a string or a list of strings as argument',
    );
  }
  const [name, { type }] = found;
  return { tool: tool.function.name, name, isList: !isText(type) };
}

/** The texts of a call's arguments, joined; of arguments that are no JSON, the text itself. */
function queryOf(json: string): string {
  try {
    const value: unknown = JSON.parse(json);
    return textsIn(value).join(' ; ');
  } catch {
    return json;
  }
}

function textsIn(value: unknown): string[] {
  if (typeof value === 'string') return [value];
  return typeof value === 'object' && value !== null ? Object.values(value).flatMap(textsIn) : [];
}
