// Answers that must be JSON: what the sampler is held to, and the check of what a grammar cannot say.
import type { ZodType } from 'zod';
import { z } from 'zod';
import { anyObject, type JsonPattern, jsonPatternOf } from '../grammar/json-pattern.ts';
import { readJsonSchema } from './json-schema.ts';

/** What a client may ask for. */
export const responseFormatSchema = z.discriminatedUnion('type', [
  z.object({ type: z.literal('text') }),
  z.object({ type: z.literal('json_object') }),
  z.object({
    type: z.literal('json_schema'),
    json_schema: z.object({
      name: z.string(),
      schema: z.unknown(),
      strict: z.boolean().nullish(),
    }),
  }),
]);
export type ResponseFormat = z.infer<typeof responseFormatSchema>;

/** What is wrong with a text, or null. */
export type JsonCheck = (text: string) => string | null;

/** JSON that a request asks for. */
export interface JsonAsked {
  /** The same for requests that ask for the same. */
  readonly key: string;
  readonly pattern: JsonPattern;
  readonly check: JsonCheck;
}

const recordSchema = z.record(z.string(), z.unknown());

/**
 * What a request's format asks for, or null where any text will do.
 * @throws {HttpError} 400: the schema says something that could not be checked.
 * @throws {InputError} no value could fit it.
 */
export function jsonAskedOf(format: ResponseFormat | null | undefined): JsonAsked | null {
  switch (format?.type) {
    case undefined:
    case 'text':
      return null;
    case 'json_object':
      return { key: '', pattern: anyObject, check: checkWith(recordSchema) };
    case 'json_schema': {
      const { node, check } = readJsonSchema(format.json_schema.schema);
      const key = JSON.stringify(node);
      return { key, pattern: jsonPatternOf(node), check: checkWith(check) };
    }
    default:
      return format satisfies never;
  }
}

function checkWith(schema: ZodType): JsonCheck {
  return (text) => {
    let value: unknown;
    try {
      value = JSON.parse(text);
    } catch {
      return 'it is no JSON';
    }
    const issue = schema.safeParse(value).error?.issues[0];
    if (issue === undefined) return null;
    return `${issue.path.map(String).join('.') || 'the value'}: ${issue.message}`;
  };
}
