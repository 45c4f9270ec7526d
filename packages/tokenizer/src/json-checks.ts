// Checks of untrusted JSON values; each failure names the place, what was expected and what came.
import { InputError } from '@masksearch/core';

export type JsonObject = Readonly<Record<string, unknown>>;

// Ids beyond this are no vocabulary but a mistake (or an attack on memory); the largest known have 262,144.
const MAXIMUM_ID = 2 ** 24;

/** `where: expected X, received Y; hint.` */
export function expectation(
  where: string,
  expected: string,
  received: unknown,
  hint?: string,
): InputError {
  const shown = JSON.stringify(received) ?? 'nothing';
  const short = shown.length > 80 ? `${shown.slice(0, 80)}…` : shown;
  return new InputError(
    `${where}: expected ${expected}, received ${short}${hint === undefined ? '' : `; ${hint}`}.`,
    { data: { where } },
  );
}

export function asObject(value: unknown, where: string): JsonObject {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw expectation(where, 'an object', value);
  }
  return value as JsonObject;
}

export function asArray(value: unknown, where: string): readonly unknown[] {
  if (!Array.isArray(value)) throw expectation(where, 'an array', value);
  return value;
}

export function asText(value: unknown, where: string): string {
  if (typeof value !== 'string') throw expectation(where, 'a string', value);
  return value;
}

export function asId(value: unknown, where: string): number {
  if (typeof value !== 'number' || !Number.isInteger(value) || value < 0 || value > MAXIMUM_ID) {
    throw expectation(where, `an id in 0..${MAXIMUM_ID}`, value);
  }
  return value;
}

/** Flattens `{type: 'Sequence', [key]: […]}` into its components; null gives none. */
export function componentsOf(value: unknown, key: string, where: string): JsonObject[] {
  if (value === null) return [];
  const component = asObject(value, where);
  if (component['type'] !== 'Sequence') return [component];
  return asArray(component[key], `${where}.${key}`).flatMap((part, i) =>
    componentsOf(part, key, `${where}.${key}[${i}]`),
  );
}

/** Refuses every component whose type is not in `types`. @throws {InputError} naming it. */
export function allowOnly(
  value: unknown,
  key: string,
  where: string,
  types: readonly string[],
): JsonObject[] {
  const components = componentsOf(value, key, where);
  for (const component of components) {
    const type = component['type'];
    if (typeof type !== 'string' || !types.includes(type)) {
      throw expectation(where, types.join(' or '), type, 'other components are not supported');
    }
  }
  return components;
}
