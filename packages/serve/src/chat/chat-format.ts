// How a conversation becomes tokens and how a turn is read back; what differs between models.
import type { StopSequence } from '@masksearch/model';
import type { WireMessage, WireTool } from './chat-request.ts';

export interface ToolCall {
  readonly name: string;
  /** JSON. */
  readonly arguments: string;
}

export interface ReadTurn {
  readonly content: string;
  readonly calls: readonly ToolCall[];
}

export interface ChatFormat {
  /** Shown by /v1/models. */
  readonly name: string;
  /**
   * The tokens that the model continues. Foreign text in messages never becomes a special token.
   * @throws {HttpError} 400: the conversation cannot be written in this format.
   */
  readonly encode: (messages: readonly WireMessage[], tools: readonly WireTool[]) => Int32Array;
  /** Token sequences that end a turn. */
  readonly stop: readonly StopSequence[];
  /** Tokens that end a turn and are no part of its text. */
  readonly silent: ReadonlySet<number>;
  /** Where in a turn a tool call may begin: from there on text is not streamed. -1 for nowhere yet. */
  readonly callStart: (text: string) => number;
  /** Takes the tool calls out of a turn. */
  readonly read: (text: string, tools: readonly WireTool[]) => ReadTurn;
}
