// The thoughts of the oracle teacher. Minimal and regular, so that a model of a few million parameters can learn them:
// everything but the step number and the two fixed words is copied.

export const THOUGHTS = {
  /** Before the first search: which step is due, by the number of its sentence in the prompt. */
  plan: (step: number): string => `${step}`,
  /** The last search showed what was looked for. */
  found: (finding: string): string => finding,
  /** It did not; another query follows. */
  notFound: 'none',
  /** What was learned, and the step that is due now. */
  next: (learned: string, step: number): string => `${learned}. ${step}`,
  /** Two findings side by side before a comparison is answered. */
  compare: (first: string, second: string): string => `${first} vs ${second}`,
} as const;

/** The answer of a teacher that gave up; such trajectories are rejected. */
export const UNKNOWN_ANSWER = 'unknown';
