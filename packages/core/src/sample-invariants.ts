// The contract between rollouts and losses, checked before a sample may reach a loss.
import { InputError } from './errors.ts';
import type { Sample } from './records.ts';

/**
 * Checks one sample: equal lengths, mask = 1 exactly on policy segments, finite non-positive
 * log-probabilities there and 0 elsewhere, segments partition the ids, the first token is not
 * trained, at least one token is.
 *
 * @throws {InputError} naming the first broken invariant, the sample and the position.
 */
export function checkSample(sample: Sample): void {
  const where = `checkSample(${sample.taskId}#${sample.sampleIndex})`;
  const n = sample.ids.length;
  if (sample.mask.length !== n || sample.logProbs.length !== n) {
    throw new InputError(
      `${where}: expected ids, mask and logProbs of one length, received ${n}, ${sample.mask.length}, ${sample.logProbs.length}.`,
    );
  }
  if (sample.mask[0] === 1) {
    throw new InputError(
      `${where}: expected the first token to be untrained, received mask[0] = 1.`,
    );
  }
  let cursor = 0;
  let trained = 0;
  for (const segment of sample.segments) {
    if (segment.start !== cursor || segment.end < segment.start) {
      throw new InputError(
        `${where}: expected a segment starting at ${cursor}, received [${segment.start}, ${segment.end}).`,
      );
    }
    const expected = segment.author === 'policy' ? 1 : 0;
    for (let t = segment.start; t < Math.min(segment.end, n); t++) {
      const logProb = sample.logProbs[t] as number;
      if (sample.mask[t] !== expected) {
        throw new InputError(
          `${where}: expected mask ${expected} for author ${segment.author} at token ${t}, received ${sample.mask[t]}.`,
        );
      }
      if (expected === 0 ? logProb !== 0 : !(Number.isFinite(logProb) && logProb <= 0)) {
        throw new InputError(
          `${where}: expected ${expected === 0 ? '0' : 'a finite log-probability <= 0'} at token ${t}, received ${logProb}.`,
        );
      }
      trained += expected;
    }
    cursor = segment.end;
  }
  if (cursor !== n) {
    throw new InputError(`${where}: expected segments to cover ${n} tokens, received ${cursor}.`);
  }
  if (trained === 0) {
    throw new InputError(
      `${where}: expected at least one token written by the policy, received none.`,
    );
  }
}
