// Does a conversation rendered anew start with the exact tokens of the turn before? Agents that append tokens do not
// depend on it; servers that render every turn do.
import { InputError } from '@masksearch/core';
import { renderPieces } from './chat-pieces.ts';
import type { ChatMessage, ChatTemplate, RenderOptions } from './chat-template.ts';
import { encodePieces } from './encode-pieces.ts';
import type { Tokenizer } from './tokenizer.ts';

/** A place where the next turn's rendering leaves the tokens that the model has seen and written. */
export interface PrefixBreak {
  /** Index of the assistant's message whose turn is not continued as it was. */
  readonly message: number;
  /** Tokens that still agree. */
  readonly agreedTokens: number;
  /** What the model saw and wrote from there on, at most 40 tokens. */
  readonly seen: string;
  /** What the next turn shows in its place. */
  readonly rendered: string;
}

/**
 * Compares, for each assistant message but the last, what the model read and wrote with the start of the next turn.
 * What it wrote is its content as plain text and the token that ends a turn.
 *
 * @param messages Alternating as the template asks, the last one not the assistant's.
 * @returns the breaks; empty if the template has the prefix property for these messages.
 */
export function prefixBreaks(
  template: ChatTemplate,
  tokenizer: Tokenizer,
  messages: readonly ChatMessage[],
  options: Pick<RenderOptions, 'tools'> = {},
): PrefixBreak[] {
  const rendered = (count: number): Int32Array =>
    conversationIds(template, tokenizer, messages.slice(0, count), options);
  const breaks: PrefixBreak[] = [];
  for (const [i, { role, content }] of messages.entries()) {
    if (role !== 'assistant') continue;
    const end = endOfTurn(template, tokenizer, messages.slice(0, i), options);
    const written = [...tokenizer.encode(content), end];
    const seen = Int32Array.of(...rendered(i), ...written);
    const next = messages.findIndex((message, j) => j > i && message.role === 'assistant');
    const now = rendered(next < 0 ? messages.length : next);
    const at = seen.findIndex((id, t) => now[t] !== id);
    if (at < 0) continue;
    breaks.push({
      message: i,
      agreedTokens: at,
      seen: tokenizer.decode(seen.subarray(at, at + 40)),
      rendered: tokenizer.decode(now.subarray(at, at + 40)),
    });
  }
  return breaks;
}

/** Ids of a conversation with the assistant's turn opened, as a server makes them: special tokens wherever spelled. */
function conversationIds(
  template: ChatTemplate,
  tokenizer: Tokenizer,
  messages: readonly ChatMessage[],
  options: RenderOptions,
): Int32Array {
  const text = template.render(messages, { ...options, addGenerationPrompt: true });
  return encodePieces(tokenizer, [{ text, isTrusted: true }]).ids;
}

/**
 * The token that ends an assistant's turn: what the template writes right after its content.
 * @param before Messages before the assistant's.
 * @throws {InputError} that is no special token.
 */
export function endOfTurn(
  template: ChatTemplate,
  tokenizer: Tokenizer,
  before: readonly ChatMessage[],
  options: Pick<RenderOptions, 'tools'> = {},
): number {
  const assistant: ChatMessage = { role: 'assistant', content: 'x' };
  const pieces = renderPieces(template, [...before, assistant], options);
  const after = pieces.slice(pieces.findLastIndex(({ isContent }) => isContent) + 1);
  const text = after.map((piece) => piece.text).join('');
  const { ids } = encodePieces(tokenizer, [{ text, isTrusted: true }]);
  const special = tokenizer.specialTokens.find((token) => tokenizer.specialId(token) === ids[0]);
  if (special === undefined || !text.startsWith(special)) {
    throw new InputError(
      `${template.where}: expected a special token right after the assistant's words, received ${JSON.stringify(text.slice(0, 40))}.`,
    );
  }
  return ids[0] as number;
}
