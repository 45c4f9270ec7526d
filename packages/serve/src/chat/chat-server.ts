// A model behind the OpenAI API: chat and text completions, whole or streamed, over one sampler that batches all requests.
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
import { type ChatRequest, chatRequestSchema, refuseUnsupportedChat } from './chat-request.ts';
import { CompletionService } from './completion-service.ts';
import { type ModelOptions, openModel, type ServedModel } from './served-model.ts';

export interface ChatServerOptions extends ListenOptions, ModelOptions {
  /** Offers the whole search loop as a second model. */
  readonly agent?: AgentOptions;
}

/**
 * Starts the server. Closing it ends the requests under way and the sampler; the model stays the caller's.
 * @throws as `startServer`; {InputError} the tokenizer knows a part of the protocol's tags only.
 */
export async function startChatServer(options: ChatServerOptions): Promise<RunningServer> {
  const served = openModel(options);
  const { limits, sampler } = served;
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
