// The thoughts of the oracle teacher. Minimal and regular, so that a model of a few million parameters can learn them:
// everything but the step number and the two fixed words is copied.

export const THOUGHTS = {
  /** Before the first search: how many there will be. */
  plan: (searches: number): string => `${searches}`,
  /** The last search showed what was looked for. */
  found: (finding: string): string => finding,
  /** It did not; another query follows. */
  notFound: 'none',
  /** Two findings side by side before a comparison is answered. */
  compare: (first: string, second: string): string => `${first} vs ${second}`,
} as const;

/** The answer of a teacher that gave up; such trajectories are rejected. */
export const UNKNOWN_ANSWER = 'unknown';
