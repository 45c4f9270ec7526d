// Fields of a config.json, read one by one; every refusal names the field and what it holds.
import { ConfigError } from '@masksearch/core';

export type Json = Readonly<Record<string, unknown>>;

export function expectOneOf(
  source: Json,
  key: string,
  allowed: readonly unknown[],
  where: string,
): void {
  const value = source[key];
  if (!isAbsent(value) && !allowed.includes(value)) {
    throw new ConfigError(
      `${where}: expected ${key} to be ${describe(allowed[0])}, received ${describe(value)}; other values are not supported.`,
    );
  }
}

export function isAbsent(value: unknown): value is null | undefined {
  return value === undefined || value === null;
}

export function isOff(value: unknown): boolean {
  if (isAbsent(value) || value === false || value === 0) return true;
  return typeof value === 'object' && Object.keys(value).length === 0;
}

export function number(source: Json, key: string, where: string): number {
  const value = source[key];
  if (typeof value !== 'number' || !Number.isFinite(value)) {
    throw new ConfigError(`${where}: expected ${key} to be a number, received ${describe(value)}.`);
  }
  return value;
}

export function integer(source: Json, key: string, where: string): number {
  const value = number(source, key, where);
  if (!Number.isSafeInteger(value)) {
    throw new ConfigError(`${where}: expected ${key} to be an integer, received ${value}.`);
  }
  return value;
}

export function boolean(source: Json, key: string, where: string): boolean {
  const value = source[key];
  if (typeof value !== 'boolean') {
    throw new ConfigError(
      `${where}: expected ${key} to be true or false, received ${describe(value)}.`,
    );
  }
  return value;
}

export function describe(value: unknown): string {
  if (value === undefined) return 'nothing';
  const text = JSON.stringify(value);
  return text.length > 80 ? `${text.slice(0, 80)}…` : text;
}
