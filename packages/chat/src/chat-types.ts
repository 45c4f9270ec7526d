// What is said to a language model and what comes back; the port that every client implements.

/** A tool that the model may call; `parameters` is a JSON Schema. */
export interface ToolDefinition {
  readonly name: string;
  readonly description?: string;
  readonly parameters: Readonly<Record<string, unknown>>;
}

/** A call that the model asked for. `arguments` is what it wrote: JSON if it kept to the format. */
export interface ToolCall {
  readonly id: string;
  readonly name: string;
  readonly arguments: string;
}

export type ChatMessage =
  | { readonly role: 'system' | 'user'; readonly content: string }
  | {
      readonly role: 'assistant';
      readonly content: string;
      readonly toolCalls?: readonly ToolCall[];
    }
  | { readonly role: 'tool'; readonly content: string; readonly toolCallId: string };

/** How the answer must look, where the endpoint can hold a model to it. */
export interface JsonFormat {
  readonly name: string;
  readonly schema: Readonly<Record<string, unknown>>;
}

export interface ChatRequest {
  readonly messages: readonly ChatMessage[];
  /** Tokens the model may write. */
  readonly maxTokens: number;
  /** 0 is greedy. Default 0. */
  readonly temperature?: number;
  readonly topP?: number;
  /** Passed on where the endpoint knows it; also tells apart samples of one prompt in the cache. */
  readonly seed?: number;
  readonly stop?: readonly string[];
  readonly tools?: readonly ToolDefinition[];
  readonly json?: JsonFormat;
  /** How many alternatives per token to report log-probabilities for; absent = none at all. */
  readonly topLogProbs?: number;
}

/** A token with its log-probability in nats. */
export interface TokenLogProb {
  readonly token: string;
  readonly logProb: number;
  readonly top: readonly { readonly token: string; readonly logProb: number }[];
}

export interface Usage {
  readonly inputTokens: number;
  readonly outputTokens: number;
}

export type ChatFinish = 'stop' | 'length' | 'tool-calls' | 'content-filter';

export interface ChatResponse {
  readonly text: string;
  readonly toolCalls: readonly ToolCall[];
  readonly finish: ChatFinish;
  readonly usage: Usage;
  /** The model as the endpoint names it. */
  readonly model: string;
  readonly logProbs?: readonly TokenLogProb[];
}

export interface ChatOptions {
  readonly signal?: AbortSignal | undefined;
  /** Called with each piece of text as it comes. A piece of a call that is retried comes again. */
  readonly onText?: (piece: string) => void;
}

/** Something that answers chats. */
export interface ChatModel {
  /** Recorded with what it made, e.g. `local:qwen2.5-7b-instruct`. */
  readonly name: string;
  /** True if it holds its answers to `ChatRequest.json`. */
  readonly structured: boolean;
  /** @throws {MaskSearchError} see the implementation. */
  complete(request: ChatRequest, options?: ChatOptions): Promise<ChatResponse>;
}
