// An answer that fits a schema: held to it by the endpoint, or parsed tolerantly and asked for once more.
import { InputError } from '@masksearch/core';
import { z, type ZodType } from 'zod';
import type { ChatMessage, ChatModel, ChatOptions, ChatRequest, Usage } from './chat-types.ts';
import { parseTolerantJson } from './tolerant-json.ts';

/** What is shown of a wrong answer in the repair round. */
const SHOWN_CHARACTERS = 4000;

export interface JsonAnswer<T> {
  readonly value: T;
  readonly usage: Usage;
  /** Answers asked for: 1, or 2 after a repair. */
  readonly rounds: number;
}

/** Says in the language of the prompt what was wrong. */
export type RepairMessage = (problem: string) => string;

const englishRepair: RepairMessage = (problem) =>
  `That was not the JSON asked for: ${problem} Reply with the corrected JSON value only.`;

/**
 * Asks for JSON of a schema. An answer that does not fit is shown to the model once, with what is wrong with it.
 * @throws {InputError} the second answer does not fit either. Errors of the model pass through.
 */
export async function completeJson<T>(
  model: ChatModel,
  request: ChatRequest,
  format: { readonly name: string; readonly schema: ZodType<T>; readonly repair?: RepairMessage },
  options: ChatOptions = {},
): Promise<JsonAnswer<T>> {
  const json = { name: format.name, schema: wireSchema(format.schema) };
  const first = await model.complete({ ...request, json }, options);
  const read = readJson(format.schema, first.text);
  if ('value' in read) return { value: read.value, usage: first.usage, rounds: 1 };
  const repair: ChatMessage[] = [
    { role: 'assistant', content: first.text.slice(0, SHOWN_CHARACTERS) },
    { role: 'user', content: (format.repair ?? englishRepair)(read.problem) },
  ];
  const second = await model.complete(
    { ...request, messages: [...request.messages, ...repair], json },
    options,
  );
  const again = readJson(format.schema, second.text);
  if ('problem' in again) {
    throw new InputError(
      `${format.name}: expected JSON of its schema, received none; ${again.problem}`,
    );
  }
  const usage = {
    inputTokens: first.usage.inputTokens + second.usage.inputTokens,
    outputTokens: first.usage.outputTokens + second.usage.outputTokens,
  };
  return { value: again.value, usage, rounds: 2 };
}

const wireSchemas = new WeakMap<ZodType, Record<string, unknown>>();

/** The schema as endpoints in strict mode want it: the draft is not named. Made once, since a role asks for one again and again. */
function wireSchema(schema: ZodType): Record<string, unknown> {
  const known = wireSchemas.get(schema);
  if (known !== undefined) return known;
  const { $schema: _, ...rest } = z.toJSONSchema(schema);
  wireSchemas.set(schema, rest);
  return rest;
}

function readJson<T>(schema: ZodType<T>, text: string): { value: T } | { problem: string } {
  let value: unknown;
  try {
    value = parseTolerantJson(text);
  } catch (error) {
    return { problem: error instanceof Error ? error.message : String(error) };
  }
  const result = schema.safeParse(value);
  if (result.success) return { value: result.data };
  const issue = result.error.issues[0];
  return { problem: `${issue?.path.join('.') || 'the value'}: ${issue?.message ?? 'is invalid'}.` };
}
