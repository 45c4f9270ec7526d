// Loading the addon, and what the addon itself does with arguments that no wrapper has checked.
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { UnavailableError } from '@masksearch/core';
import { loadAddon, loadAddonFrom } from './addon.ts';
import type { Addon } from './addon.ts';

describe('addon', () => {
  it('says how to build it where it is missing', () => {
    const load = () => loadAddonFrom('/nowhere/masking.node');
    expect(load).toThrow(UnavailableError);
    expect(load).toThrow('pnpm --filter @masksearch/native-masking run build:native');
  });

  it('answers any arguments with a number or an Error, never with a crash', () => {
    const addon = loadAddon();
    const names = Object.keys(addon) as (keyof Addon)[];
    const small = fc.integer({ min: -2, max: 6 });
    const argument = fc.oneof(
      { arbitrary: fc.array(small, { maxLength: 6 }).map((a) => Int32Array.from(a)), weight: 6 },
      fc.array(fc.nat({ max: 4 }), { maxLength: 6 }).map((a) => Uint8Array.from(a)),
      fc.array(fc.double(), { maxLength: 3 }).map((a) => Float64Array.from(a)),
      { arbitrary: small, weight: 2 },
      fc.double(),
      fc.anything(),
    );
    fc.assert(
      fc.property(
        fc.constantFrom(...names),
        fc.array(argument, { maxLength: 13 }),
        (name, args) => {
          try {
            expect(typeof Reflect.apply(addon[name], undefined, args)).toBe('number');
          } catch (error) {
            expect(error).toBeInstanceOf(Error);
          }
        },
      ),
      { numRuns: 5000, seed: 20_253 },
    );
  });
});
