// Checks settings against their schema and fills in defaults.
import type { ZodType } from 'zod';
import { ConfigError } from '@masksearch/core';

/** @throws {ConfigError} naming the first key that is unknown or out of range. */
export function parseConfig<T>(schema: ZodType<T>, value: unknown, where: string): T {
  const result = schema.safeParse(value);
  if (result.success) return result.data;
  const issue = result.error.issues[0];
  const path = issue && issue.path.length > 0 ? issue.path.map(String).join('.') : 'the settings';
  throw new ConfigError(`${where}: ${path}: ${issue?.message ?? 'is invalid'}.`, {
    data: { path },
    cause: result.error,
  });
}
