// The suite that every LanguageModel passes: scores, gradients, optimizer, sampler, calls, adapters.
import { describe } from 'vitest';
import { adapterTests } from './adapter-tests.ts';
import { callTests } from './call-tests.ts';
import { drawTests } from './draw-tests.ts';
import { gradientTests } from './gradient-tests.ts';
import { optimizerTests } from './optimizer-tests.ts';
import { scoreTests } from './score-tests.ts';
import { turnTests } from './turn-tests.ts';
import { Suite, type ConformanceOptions } from './suite.ts';

/** Registers the conformance tests of one implementation with vitest. */
export function runConformance(options: ConformanceOptions): void {
  describe(`conformance of ${options.name}`, () => {
    const suite = new Suite(options);
    scoreTests(suite);
    gradientTests(suite);
    optimizerTests(suite);
    drawTests(suite);
    turnTests(suite);
    callTests(suite);
    adapterTests(suite);
    suite.checkSkips();
  });
}
