// From a YAML file and flags to a checked configuration; every refusal names file, key and fix.
import { readFileSync, statSync } from 'node:fs';
import { ConfigError } from '@masksearch/core';
import { isMap, isScalar, isSeq, LineCounter, parseDocument } from 'yaml';
import type { ZodType, z } from 'zod';
import { leavesOf } from './leaves.ts';
import { nearest } from './nearest.ts';

/** Reads a YAML file into plain data. @throws {ConfigError} absent, not YAML, or not a mapping. */
export function readConfigFile(path: string): Record<string, unknown> {
  const found = statSync(path, { throwIfNoEntry: false });
  if (found === undefined || found.isDirectory()) {
    throw new ConfigError(
      `${path}: expected a configuration file, found ${found ? 'a folder' : 'none'}; runs/configs/ holds examples.`,
    );
  }
  const value = parseYaml(path, readFileSync(path, 'utf8'));
  if (value === null) return {};
  if (typeof value !== 'object' || Array.isArray(value)) {
    throw new ConfigError(`${path}: expected keys and values, received ${JSON.stringify(value)}.`);
  }
  return value as Record<string, unknown>;
}

function parseYaml(path: string, text: string): unknown {
  const document = parseDocument(text);
  const problem = document.errors[0];
  if (problem !== undefined) {
    const line = problem.linePos?.[0].line;
    const where = line === undefined ? path : `${path}:${line}`;
    throw new ConfigError(`${where}: expected YAML; ${problem.message}`, { cause: problem });
  }
  try {
    const value: unknown = document.toJS();
    // An alias within its own anchor has no end.
    JSON.stringify(value);
    return value;
  } catch (error) {
    const [reason = ''] = (error instanceof Error ? error.message : String(error)).split('\n');
    throw new ConfigError(`${path}: expected YAML; ${reason}.`, { cause: error });
  }
}

/** Line of a dotted key in a YAML file, from 1; undefined where the file does not have it. */
export function lineOfKey(path: string, key: string): number | undefined {
  const lines = new LineCounter();
  let node: unknown = parseDocument(readFileSync(path, 'utf8'), { lineCounter: lines }).contents;
  let line: number | undefined;
  for (const part of key.split('.')) {
    if (isSeq(node)) {
      node = node.items[Number(part)];
    } else if (isMap(node)) {
      const pair = node.items.find((item) => isScalar(item.key) && String(item.key.value) === part);
      const at = isScalar(pair?.key) ? pair.key.range?.[0] : undefined;
      line = at === undefined ? line : lines.linePos(at).line;
      node = pair?.value;
    }
  }
  return line;
}

/** A copy of `base` with the dotted `path` set to `value`. */
export function withSetting(
  base: Readonly<Record<string, unknown>>,
  path: string,
  value: unknown,
): Record<string, unknown> {
  const [head = '', ...rest] = path.split('.');
  if (rest.length === 0) return { ...base, [head]: value };
  const child = base[head];
  const inner = typeof child === 'object' && child !== null && !Array.isArray(child) ? child : {};
  return { ...base, [head]: withSetting(inner as Record<string, unknown>, rest.join('.'), value) };
}

/**
 * Checks `value` and fills in defaults.
 * @param where The file or command that the value came from, for messages; of a key, if that is known better.
 * @throws {ConfigError} naming the first wrong key: unknown (with the nearest known one), wrong type, out of range.
 */
export function parseConfig<S extends ZodType>(
  schema: S,
  value: unknown,
  where: string | ((key: string) => string),
): z.output<S> {
  const result = schema.safeParse(value);
  if (result.success) return result.data;
  const issue = result.error.issues[0];
  const path = issue?.path.map(String) ?? [];
  const placeOf = (key: string): string => (typeof where === 'string' ? where : where(key));
  if (issue?.code === 'unrecognized_keys') {
    const key = [...path, issue.keys[0] ?? ''].join('.');
    const guess = nearest(key, keysOf(schema));
    const hint = guess === undefined ? 'see --help for the keys' : `did you mean ${guess}`;
    throw new ConfigError(`${placeOf(key)}: expected known keys, received ${key}; ${hint}.`, {
      data: { key },
    });
  }
  const key = path.join('.');
  const received = JSON.stringify(valueAt(value, path));
  throw new ConfigError(
    `${placeOf(key)}: ${key || 'the configuration'}: ${issue?.message ?? 'is invalid'}, received ${received}.`,
    { data: { key }, cause: result.error },
  );
}

/** All dotted keys, inner ones included. */
function keysOf(schema: ZodType): string[] {
  const keys = new Set<string>();
  for (const { path } of leavesOf(schema)) {
    const parts = path.split('.');
    for (let i = 1; i <= parts.length; i++) keys.add(parts.slice(0, i).join('.'));
  }
  return [...keys];
}

/** What stands at a path of keys, or undefined. */
export function valueAt(value: unknown, path: readonly string[]): unknown {
  return path.reduce<unknown>(
    (inner, key) =>
      typeof inner === 'object' && inner !== null ? Reflect.get(inner, key) : undefined,
    value,
  );
}
