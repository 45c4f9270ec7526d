// Property of every reader of a JSON file: what it does not take is a ConfigError, never another failure.
import fc from 'fast-check';
import { MaskSearchError } from '@masksearch/core';
import { expect } from 'vitest';

/** `known` with up to three of the keys given any value. */
export function anyChangeOf(
  known: Readonly<Record<string, unknown>>,
  keys: readonly string[] = Object.keys(known),
): fc.Arbitrary<Record<string, unknown>> {
  const changes = fc.dictionary(fc.constantFrom(...keys), fc.jsonValue({ maxDepth: 2 }), {
    maxKeys: 3,
  });
  return changes.map((change) => ({ ...known, ...change }));
}

export function expectValueOrConfigError(
  parse: (json: unknown) => unknown,
  json: fc.Arbitrary<unknown>,
): void {
  const property = fc.property(json, (value) => {
    try {
      parse(value);
    } catch (error) {
      expect(MaskSearchError.isInstance(error) && error.code).toBe('config');
    }
  });
  fc.assert(property, { numRuns: 500 });
}
