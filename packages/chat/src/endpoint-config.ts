// One endpoint: address, model, limits, price. Holds no key, only the name of the variable that does.
import { ConfigError } from '@masksearch/core';
import { z } from 'zod';

const milliseconds = (value: number) => z.int().min(1).default(value);
const httpUrl = z.url({ protocol: /^https?$/ }).refine((value) => {
  const { username, password, search } = new URL(value);
  return username === '' && password === '' && search === '';
}, 'expected no user, password or query; keys come from the environment');

export const endpointConfigSchema = z.strictObject({
  /** Base URL, up to and with `/v1`. */
  baseUrl: httpUrl,
  model: z.string().min(1),
  /** Environment variable with the API key; null sends none. */
  apiKeyVariable: z
    .string()
    .regex(/^[A-Za-z_][A-Za-z0-9_]*$/, 'expected the name of an environment variable')
    .nullable()
    .default(null),
  /** Requests under way at most. */
  concurrency: z.int().min(1).max(4096).default(16),
  requestsPerMinute: z.number().positive().nullable().default(null),
  /** Tokens read and written together. */
  tokensPerMinute: z.number().positive().nullable().default(null),
  /** US dollars per million tokens. */
  price: z
    .strictObject({ input: z.number().min(0).default(0), output: z.number().min(0).default(0) })
    .prefault({}),
  timeouts: z
    .strictObject({
      connectMs: milliseconds(10_000),
      /** From the request to the first byte of the answer: queueing and reading the prompt. */
      firstByteMs: milliseconds(120_000),
      /** Between two pieces of an answer. */
      idleMs: milliseconds(60_000),
      /** One attempt from start to end. */
      totalMs: milliseconds(600_000),
    })
    .prefault({}),
  retries: z
    .strictObject({
      /** Attempts of one call, the first included. */
      attempts: z.int().min(1).max(100).default(8),
      /** Upper bound of the first wait; it doubles with every attempt and is drawn from [0, bound). */
      baseMs: milliseconds(500),
      maxMs: milliseconds(30_000),
      /** A longer Retry-After is not waited for: the call fails. */
      maxRetryAfterMs: milliseconds(300_000),
    })
    .prefault({}),
  /** How answers are held to a schema: by the endpoint (`json-schema`, `json-object`), or by asking and parsing. */
  structuredOutput: z.enum(['json-schema', 'json-object', 'none']).default('none'),
  /** Ask for the answer in pieces, so that a stall is noticed early. */
  stream: z.boolean().default(false),
  /** The request field that limits the answer; newer OpenAI models want `max_completion_tokens`. */
  maxTokensField: z.enum(['max_tokens', 'max_completion_tokens']).default('max_tokens'),
  maxResponseBytes: z.int().min(1024).default(16_777_216),
});
export type EndpointConfig = z.output<typeof endpointConfigSchema>;

/** Fills in defaults. @throws {ConfigError} naming the key that is unknown, out of range or impossible. */
export function resolveEndpointConfig(
  values: z.input<typeof endpointConfigSchema>,
): EndpointConfig {
  const result = endpointConfigSchema.safeParse(values);
  if (result.success) return result.data;
  const issue = result.error.issues[0];
  throw new ConfigError(
    `endpoint: ${issue?.path.join('.') ?? ''}: ${issue?.message ?? 'is invalid'}.`,
    { cause: result.error },
  );
}
