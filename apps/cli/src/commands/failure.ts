// From an error to one clear message and an exit code.
import { MaskSearchError } from '@masksearch/core';
import { CommanderError } from 'commander';

/** Exit code of a process that was interrupted, as shells count it. */
export const EXIT_INTERRUPTED = 130;

/** Prints `error` and returns the exit code: 130 after an interrupt, otherwise 1 (0 for `--help`). */
export function reportFailure(
  error: unknown,
  options: { json: boolean; interrupted: boolean },
): number {
  // Commander has printed its own message (usage errors, --help, --version).
  if (error instanceof CommanderError) return error.exitCode;
  const code = MaskSearchError.isInstance(error) ? error.code : 'unexpected';
  if (options.interrupted && code === 'cancelled') {
    process.stderr.write('interrupted; the same command continues from what was saved\n');
    return EXIT_INTERRUPTED;
  }
  const message = error instanceof Error ? error.message : String(error);
  process.stderr.write(`masksearch: ${message}\n`);
  if (code === 'unexpected' || process.env['MASKSEARCH_DEBUG'] !== undefined) {
    process.stderr.write(`${error instanceof Error ? (error.stack ?? '') : ''}\n`);
  }
  if (options.json) process.stdout.write(`${JSON.stringify({ error: { code, message } })}\n`);
  return options.interrupted ? EXIT_INTERRUPTED : 1;
}
