// JSON of an endpoint, checked; what is malformed may be better at the next attempt.
import type { ZodType } from 'zod';
import { AttemptError } from './chat-errors.ts';

/** @throws {AttemptError} `malformed`: the text is no JSON, or not of that form. */
export function parseAnswer<T>(schema: ZodType<T>, text: string): T {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw new AttemptError('malformed', 'expected JSON, received something else.');
  }
  const result = schema.safeParse(value);
  if (result.success) return result.data;
  const issue = result.error.issues[0];
  throw new AttemptError(
    'malformed',
    `expected a completion; ${issue?.path.join('.') ?? ''}: ${issue?.message ?? 'is invalid'}.`,
  );
}
