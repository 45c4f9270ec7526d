// Codecs of an episode under a model's chat template: in the protocol's tags, or in the model's own tool format.
import { ConfigError, type SearchResult, type Task } from '@masksearch/core';
import type { StopSequence } from '@masksearch/model';
import {
  encodePieces,
  endOfTurn,
  renderPieces,
  type ChatMessage,
  type ChatTemplate,
  type Tokenizer,
} from '@masksearch/tokenizer';
import {
  encodeChatPrompt,
  tagInstructions,
  toolInstructions,
  withoutOpenThought,
  type AnswerForm,
} from './chat-prompt.ts';
import type { EncodedPrompt, EncodedText, EpisodeCodec } from './episode-codec.ts';
import { fitDocuments, innerInformation, renderDocument, wrapInformation } from './observation.ts';
import {
  END_OF_TEXT,
  invalidTurn,
  parseTurn,
  renderAnswerTurn,
  renderSearchTurn,
  type Action,
} from './protocol.ts';
import { decodeSampled, invalidToken, ProtocolCodec, spellsOut } from './protocol-codec.ts';
import { hermesFormat, llamaFormat, SEARCH_TOOL, type ToolFormat } from './tool-format.ts';

/** How searches are written: in the protocol's tags, or as Qwen's (Hermes') or Llama 3.x's tool calls. */
export const TOOL_CALLS = ['tags', 'hermes', 'llama'] as const;
export type ToolCalls = (typeof TOOL_CALLS)[number];

export interface ChatCodecOptions {
  readonly tokenizer: Tokenizer;
  readonly template: ChatTemplate;
  readonly toolCalls: ToolCalls;
  readonly answerForm: AnswerForm;
}

const FORMATS: Readonly<Record<Exclude<ToolCalls, 'tags'>, ToolFormat>> = {
  hermes: hermesFormat,
  llama: llamaFormat,
};

/**
 * The codec of a chat model.
 * @throws {InputError} the template cannot serve: see `renderPieces` and `endOfTurn`.
 * @throws {ConfigError} it does not show tools or their output to the model, as `hermes` and `llama` need.
 */
export function createChatCodec(options: ChatCodecOptions): EpisodeCodec {
  return options.toolCalls === 'tags'
    ? new ChatTagCodec(options)
    : new ChatToolCodec(options, FORMATS[options.toolCalls]);
}

/**
 * All of an episode is one message of the assistant, in which searches, results and the answer follow one another as in
 * the plain protocol. The template renders only what stands before it, so it can rewrite nothing.
 */
class ChatTagCodec extends ProtocolCodec {
  readonly #options: ChatCodecOptions;

  constructor(options: ChatCodecOptions) {
    const { template, tokenizer } = options;
    // Ending the message before an answer ends the turn, as an invalid one.
    super(tokenizer, [[endOfTurn(template, tokenizer, ANY_USER)]]);
    this.#options = options;
  }

  override prompt(task: Task): EncodedPrompt {
    const { tokenizer, template, answerForm } = this.#options;
    const instructions = tagInstructions(answerForm);
    return encodeChatPrompt(task, { tokenizer, template, instructions });
  }
}

const ANY_USER: readonly ChatMessage[] = [{ role: 'user', content: 'x' }];
const ANY_TURN: readonly ChatMessage[] = [...ANY_USER, { role: 'assistant', content: 'x' }];
const tools = [SEARCH_TOOL];

/**
 * Every turn is a message of the assistant, ended by the policy with the template's end-of-turn token; what a search
 * found is a tool's message, in the template's words. These include what stands between the end of the turn and the
 * tool's message (Qwen's line break after `<|im_end|>`), which no policy writes.
 */
class ChatToolCodec implements EpisodeCodec {
  readonly stop: readonly StopSequence[];
  readonly minimumInformationTokens: number;
  readonly #options: ChatCodecOptions;
  readonly #format: ToolFormat;
  readonly #end: number;
  readonly #marks: readonly string[];

  constructor(options: ChatCodecOptions, format: ToolFormat) {
    const { tokenizer, template, toolCalls } = options;
    this.#options = options;
    this.#format = format;
    this.#end = endOfTurn(template, tokenizer, ANY_USER);
    this.#marks = format.marks.filter((mark) => tokenizer.specialTokens.includes(mark));
    const others = [END_OF_TEXT, '<|eom_id|>'].filter((mark) =>
      tokenizer.specialTokens.includes(mark),
    );
    const ends = [this.#end, ...others.map((mark) => tokenizer.specialId(mark))];
    this.stop = [...new Set(ends)].map((id) => [id]);
    this.minimumInformationTokens = this.#observation('a').length;
    const messages: ChatMessage[] = [{ role: 'system', content: 'x' }, ...ANY_USER];
    if (!template.render(messages, { tools }).includes(SEARCH_TOOL.description)) {
      throw new ConfigError(
        `${template.where}: expected a template that shows tools for tool calls as ${toolCalls}, received one that does not; use tags.`,
      );
    }
  }

  prompt(task: Task): EncodedPrompt {
    const { tokenizer, template, answerForm } = this.#options;
    const instructions = toolInstructions(answerForm);
    return encodeChatPrompt(task, { tokenizer, template, instructions, tools });
  }

  encodeTurn(text: string): Int32Array {
    const action = parseTurn(text);
    const pieces =
      action.type === 'invalid' ? [{ text, isMark: false }] : this.#format.write(action);
    const { ids } = encodePieces(
      this.#options.tokenizer,
      pieces.map((piece) => ({ text: piece.text, isTrusted: piece.isMark })),
    );
    return Int32Array.of(...ids, this.#end);
  }

  parse(ids: Int32Array): Action {
    const { tokenizer } = this.#options;
    if (ids.at(-1) !== this.#end)
      return invalidTurn('a turn that ended without its end-of-turn token');
    const written = ids.subarray(0, -1);
    if (!written.every((id) => tokenizer.isToken(id))) return invalidToken();
    const text = tokenizer.decode(written);
    const foreign = tokenizer.specialTokens.filter((token) => !this.#marks.includes(token));
    const isForeign = foreign.some((token) => written.includes(tokenizer.specialId(token)));
    if (isForeign) return invalidTurn('a special token inside a turn');
    if (spellsOut(tokenizer, this.#marks, written, text)) {
      return invalidTurn('a tag spelled out in ordinary characters');
    }
    return this.#format.parse(text);
  }

  decode(ids: Int32Array): string {
    const action = this.parse(ids);
    switch (action.type) {
      case 'search':
        return renderSearchTurn(action.thought, action.query, action.intent);
      case 'answer':
        return renderAnswerTurn(action.thought, action.text);
      case 'invalid':
        return decodeSampled(this.#options.tokenizer, ids);
      default:
        return action satisfies never;
    }
  }

  encodeInformation(text: string): Int32Array {
    return this.#observation(innerInformation(text));
  }

  information(results: readonly SearchResult[], budgetTokens: number): EncodedText | null {
    const { tokenizer } = this.#options;
    const documents = results.map(renderDocument);
    let budget = budgetTokens - this.minimumInformationTokens + 1;
    for (;;) {
      const inner = fitDocuments(documents, (text) => tokenizer.encode(text).length, budget);
      if (inner === null) return null;
      const ids = this.#observation(inner);
      if (ids.length <= budgetTokens) return { text: wrapInformation(inner), ids };
      // A template may quote the text, which takes more tokens than the text itself.
      budget -= ids.length - budgetTokens;
    }
  }

  /** From after the end of the policy's turn to where its next one is open. */
  #observation(inner: string): Int32Array {
    const { tokenizer, template } = this.#options;
    const messages: ChatMessage[] = [...ANY_TURN, { role: 'tool', content: inner.trim() }];
    const pieces = renderPieces(template, messages, { addGenerationPrompt: true });
    const assistant = pieces.findIndex(({ message, isContent }) => message === 1 && isContent);
    const end = tokenizer.decode([this.#end]);
    const after = withoutOpenThought(pieces.slice(assistant + 1)).map(({ text, isContent }, i) => ({
      text: i === 0 ? text.slice(end.length) : text,
      isTrusted: !isContent,
    }));
    return encodePieces(tokenizer, after).ids;
  }
}
