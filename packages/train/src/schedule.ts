// Learning rates as functions of the optimizer's schedule step.
import { ConfigError } from '@masksearch/core';

/** Learning rate of schedule step `step` (from 0) of `totalSteps`. Skipped updates do not advance it. */
export type Schedule = (step: number, totalSteps: number) => number;

/** The same rate at every step. @throws {ConfigError} the rate is negative or not finite. */
export function constantSchedule(learningRate: number): Schedule {
  checkRate('constantSchedule', learningRate);
  return () => learningRate;
}

export interface WarmUpOptions {
  /** Rate at the end of the warm-up. */
  readonly peak: number;
  /** Steps of linear warm-up; the first has rate peak / warmUpSteps, so no step is wasted on rate 0. */
  readonly warmUpSteps: number;
}

export interface DecayOptions extends WarmUpOptions {
  /** Rate that the last step approaches. Default 0. */
  readonly floor?: number;
}

/** Linear warm-up, then constant: what DAPO uses (§4.1). @throws {ConfigError} out of range. */
export function warmUpSchedule(options: WarmUpOptions): Schedule {
  checkWarmUp('warmUpSchedule', options);
  return (step) => warmUpRate(step, options) ?? options.peak;
}

/** Linear warm-up, then half a cosine from peak to floor. @throws {ConfigError} out of range. */
export function cosineSchedule(options: DecayOptions): Schedule {
  return decaySchedule(
    'cosineSchedule',
    options,
    (progress) => (1 + Math.cos(Math.PI * progress)) / 2,
  );
}

/** Linear warm-up, then a straight line from peak to floor. @throws {ConfigError} out of range. */
export function linearSchedule(options: DecayOptions): Schedule {
  return decaySchedule('linearSchedule', options, (progress) => 1 - progress);
}

function decaySchedule(
  where: string,
  options: DecayOptions,
  shareLeft: (progress: number) => number,
): Schedule {
  checkWarmUp(where, options);
  const { peak, warmUpSteps, floor = 0 } = options;
  checkRate(where, floor);
  return (step, totalSteps) => {
    const progress = (step - warmUpSteps) / Math.max(totalSteps - warmUpSteps, 1);
    return warmUpRate(step, options) ?? floor + (peak - floor) * shareLeft(Math.min(progress, 1));
  };
}

function warmUpRate(step: number, { peak, warmUpSteps }: WarmUpOptions): number | undefined {
  return step < warmUpSteps ? (peak * (step + 1)) / warmUpSteps : undefined;
}

function checkWarmUp(where: string, { peak, warmUpSteps }: WarmUpOptions): void {
  checkRate(where, peak);
  if (!Number.isInteger(warmUpSteps) || warmUpSteps < 0) {
    throw new ConfigError(
      `${where}: expected warmUpSteps to be an integer >= 0, received ${warmUpSteps}.`,
    );
  }
}

function checkRate(where: string, rate: number): void {
  if (!(Number.isFinite(rate) && rate >= 0)) {
    throw new ConfigError(`${where}: expected a finite learning rate >= 0, received ${rate}.`);
  }
}
