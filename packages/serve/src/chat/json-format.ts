// Answers that must be JSON: the sampler cannot be held to a grammar, so what it wrote is checked, and never passed on unchecked.
import type { ZodType } from 'zod';
import { z } from 'zod';
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

const anyObject = z.record(z.string(), z.unknown());

/**
 * The check of a request's format, or null where any text will do.
 * @throws {HttpError} 400: the schema says something that could not be checked.
 */
export function jsonCheckOf(format: ResponseFormat | null | undefined): JsonCheck | null {
  switch (format?.type) {
    case undefined:
    case 'text':
      return null;
    case 'json_object':
      return checkWith(anyObject);
    case 'json_schema':
      return checkWith(readJsonSchema(format.json_schema.schema));
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
