// A model behind the OpenAI API: chat and text completions, whole or streamed, over one sampler that batches all requests.
import type {
  DecoderConfig,
  PackedBatch,
  Sampler,
  SamplerOptions,
  TokenScores,
} from '@masksearch/model';
import type { ChatTemplate, Tokenizer } from '@masksearch/tokenizer';
import {
  completionsRequestSchema,
  refuseUnsupportedCompletions,
} from '../completions/completions-request.ts';
import { CompletionsService } from '../completions/completions-service.ts';
import { Admission } from '../http/admission.ts';
import { HttpError } from '../http/http-error.ts';
import {
  type Call,
  type ListenOptions,
  type Route,
  type RunningServer,
  startServer,
} from '../http/server.ts';
import { type AgentOptions, AgentService } from './agent-service.ts';
import type { ChatFormat } from './chat-format.ts';
import { type ChatRequest, chatRequestSchema, refuseUnsupportedChat } from './chat-request.ts';
import { CompletionService } from './completion-service.ts';
import { plainFormat } from './plain-format.ts';
import { templateFormat } from './template-format.ts';

/** What is needed of a model; a `LanguageModel` is one. */
export interface ServableModel {
  readonly device: string;
  readonly config: Pick<DecoderConfig, 'maxPositions'>;
  sampler(options: SamplerOptions): Sampler;
  /** For the log-probabilities of prompts; without it they are refused. */
  score?(batch: PackedBatch): Promise<Pick<TokenScores, 'logProbs'>>;
}

export interface ChatServerOptions extends ListenOptions {
  /** Under which clients ask for the model; with `-agent` for the agent. */
  readonly name: string;
  readonly model: ServableModel;
  readonly tokenizer: Tokenizer;
  /** Identifies the weights; part of every answer. */
  readonly fingerprint: string;
  /** Without one the plain rendering is used; see `plainFormat`. */
  readonly template?: { readonly template: ChatTemplate; readonly endTokens: readonly string[] };
  /** Offers the whole search loop as a second model. */
  readonly agent?: AgentOptions;
  readonly limits?: Partial<ChatLimits>;
}

export interface ChatLimits {
  /** Sequences that are decoded together; so many requests are worked on at once. */
  readonly maxSequences: number;
  /** Requests that wait; more get 503. */
  readonly queue: number;
  /** Tokens of prompt and answer together; at most the model's positions. */
  readonly maxContextTokens: number;
  /** Tokens that one choice may have. */
  readonly maxTokens: number;
  /** Choices of one request. */
  readonly maxChoices: number;
  readonly maxBodyBytes: number;
}

const DEFAULT_LIMITS: ChatLimits = {
  maxSequences: 32,
  queue: 256,
  maxContextTokens: 4096,
  maxTokens: 4096,
  maxChoices: 16,
  maxBodyBytes: 2 ** 20,
};

/** What the services under one server share. */
export interface ServedModel {
  readonly name: string;
  readonly fingerprint: string;
  readonly sampler: Sampler;
  readonly tokenizer: Tokenizer;
  readonly format: ChatFormat;
  readonly limits: ChatLimits;
  readonly score?: NonNullable<ServableModel['score']>;
}

/**
 * Starts the server. Closing it ends the requests under way and the sampler; the model stays the caller's.
 * @throws as `startServer`; {InputError} the tokenizer knows a part of the protocol's tags only.
 */
export async function startChatServer(options: ChatServerOptions): Promise<RunningServer> {
  const { model, tokenizer, template } = options;
  const wanted = { ...DEFAULT_LIMITS, ...options.limits };
  const maxContextTokens = Math.min(wanted.maxContextTokens, model.config.maxPositions);
  const limits = { ...wanted, maxContextTokens };
  const format =
    template === undefined ? plainFormat(tokenizer) : templateFormat({ tokenizer, ...template });
  const sampler = model.sampler({ maxSequences: limits.maxSequences, maxContextTokens });
  const score = model.score === undefined ? {} : { score: model.score.bind(model) };
  const served = { ...options, sampler, format, limits, ...score };
  try {
    const server = await startServer({
      ...options,
      maxBodyBytes: limits.maxBodyBytes,
      routes: routesOf(served, options),
      errorBody: openAiError,
    });
    return {
      url: server.url,
      close: async (graceMs) => {
        await server.close(graceMs);
        await sampler.close();
      },
    };
  } catch (error) {
    await sampler.close();
    throw error;
  }
}

/** Answers the requests for one name. */
interface Service<R> {
  readonly name: string;
  /** @throws {HttpError} 400: the request cannot be answered. */
  readonly answer: (request: R, call: Call) => Promise<void>;
}

function routesOf(served: ServedModel, options: ChatServerOptions): Route[] {
  const services: Service<ChatRequest>[] = [new CompletionService(served)];
  if (options.agent !== undefined) services.push(new AgentService(served, options.agent));
  const admission = new Admission({
    concurrency: served.limits.maxSequences,
    queue: served.limits.queue,
  });
  const created = Math.floor(Date.now() / 1000);
  const models = services.map(({ name }) => ({
    id: name,
    object: 'model',
    created,
    owned_by: 'masksearch',
  }));
  const chat = async (call: Call): Promise<void> => {
    const request = await call.json(chatRequestSchema);
    const service = serviceFor(services, request.model);
    refuseUnsupportedChat(request);
    await admission.run(call.signal, () => service.answer(request, call));
  };
  const texts = [new CompletionsService(served)];
  const complete = async (call: Call): Promise<void> => {
    const request = await call.json(completionsRequestSchema);
    const service = serviceFor(texts, request.model);
    refuseUnsupportedCompletions(request);
    await admission.run(call.signal, () => service.answer(request, call));
  };
  const health = () => ({
    status: 'ok',
    device: options.model.device,
    format: served.format.name,
    running: admission.running,
    waiting: admission.waiting,
  });
  return [
    { method: 'POST', path: '/v1/chat/completions', handle: chat },
    { method: 'POST', path: '/v1/completions', handle: complete },
    {
      method: 'GET',
      path: '/v1/models',
      handle: async (call) => call.send(200, { object: 'list', data: models }),
    },
    {
      method: 'GET',
      path: '/health',
      isOpen: true,
      handle: async (call) => call.send(200, health()),
    },
  ];
}

/** A request that names no model gets the first one. */
function serviceFor<R>(
  services: readonly Service<R>[],
  name: string | null | undefined,
): Service<R> {
  const found = services.find((service) => service.name === (name ?? services[0]?.name));
  if (found !== undefined) return found;
  const known = services.map((service) => service.name).join(', ');
  throw new HttpError(404, `model: expected one of ${known}, received ${JSON.stringify(name)}`);
}

const ERROR_TYPES: Readonly<Record<number, string>> = {
  401: 'authentication_error',
  404: 'not_found_error',
  503: 'overloaded_error',
};

function openAiError({ status, message }: HttpError): object {
  const fallback = status < 500 ? 'invalid_request_error' : 'server_error';
  return { error: { message, type: ERROR_TYPES[status] ?? fallback, param: null, code: null } };
}
