// A model of the engine as a chat model in this process: answers as `/v1/chat/completions` would, without HTTP.
import {
  type ChatModel,
  type ChatOptions,
  type ChatRequest,
  type ChatResponse,
  readCompletion,
  toWire,
} from '@masksearch/chat';
import { InputError } from '@masksearch/core';
import { Admission } from '../http/admission.ts';
import { HttpError } from '../http/http-error.ts';
import { chatRequestSchema, refuseUnsupportedChat } from './chat-request.ts';
import { CompletionService } from './completion-service.ts';
import { type ModelOptions, openModel, type ServedModel } from './served-model.ts';

/** Requests beyond `maxSequences` wait; none is turned away. */
const QUEUE = Number.MAX_SAFE_INTEGER;

export class InProcessChat implements ChatModel {
  readonly name: string;
  readonly structured = true;
  readonly #served: ServedModel;
  readonly #service: CompletionService;
  readonly #admission: Admission;

  /** @throws {InputError} the tokenizer knows a part of the protocol's tags only. */
  constructor(options: ModelOptions) {
    this.name = `in-process:${options.name}`;
    this.#served = openModel(options);
    this.#service = new CompletionService(this.#served);
    const { maxSequences } = this.#served.limits;
    this.#admission = new Admission({ concurrency: maxSequences, queue: QUEUE });
  }

  /**
   * @throws {InputError} the conversation does not fit, or asks for what the sampler does not have.
   * @throws {CancelledError} `signal` fired.
   */
  async complete(request: ChatRequest, options: ChatOptions = {}): Promise<ChatResponse> {
    const wire = chatRequestSchema.parse(
      toWire(request, {
        model: this.#served.name,
        stream: false,
        structuredOutput: 'json-schema',
        maxTokensField: 'max_tokens',
      }),
    );
    const signal = options.signal ?? new AbortController().signal;
    try {
      refuseUnsupportedChat(wire);
      const answer = await this.#admission.run(signal, () => this.#service.complete(wire, signal));
      const response = readCompletion(answer);
      options.onText?.(response.text);
      return response;
    } catch (error) {
      if (!(error instanceof HttpError)) throw error;
      throw new InputError(`${this.name}: ${error.message}.`, { cause: error });
    }
  }

  /** Ends the sampler; the model stays its owner's. */
  close(): Promise<void> {
    return this.#served.sampler.close();
  }
}
