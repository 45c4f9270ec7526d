// From an error to one clear message and an exit code.
import { MaskSearchError } from '@masksearch/core';
import { CommanderError } from 'commander';

/** Exit code of a process that was interrupted, as shells count it. */
export const EXIT_INTERRUPTED = 130;

/**
 * Prints `error` and returns the exit code: 130 after an interrupt, otherwise 1 (0 for `--help`).
 * @param options.signal Fires on Ctrl-C.
 */
export function reportFailure(
  error: unknown,
  options: { readonly json: boolean; readonly signal: AbortSignal },
): number {
  if (error instanceof CommanderError) return reportUsage(error, options.json);
  const code = codeOf(error, options.signal);
  if (options.signal.aborted && code === 'cancelled') {
    process.stderr.write('interrupted; the same command continues from what was saved\n');
    return EXIT_INTERRUPTED;
  }
  const message = error instanceof Error ? error.message : String(error);
  process.stderr.write(`masksearch: ${message}\n`);
  if (code === 'unexpected' || process.env['MASKSEARCH_DEBUG'] !== undefined) {
    process.stderr.write(`${error instanceof Error ? (error.stack ?? '') : ''}\n`);
  }
  if (options.json) printJson(code, message);
  return options.signal.aborted ? EXIT_INTERRUPTED : 1;
}

/** Commander has printed its own message by now; `--help` and `--version` come here too, with exit code 0. */
function reportUsage({ exitCode, message }: CommanderError, json: boolean): number {
  if (json && exitCode !== 0) printJson('config', message.replace(/^error: /, ''));
  return exitCode;
}

function printJson(code: string, message: string): void {
  process.stdout.write(`${JSON.stringify({ error: { code, message } })}\n`);
}

/** `unexpected` is what nobody foresaw: a fault of ours, shown with its stack. */
function codeOf(error: unknown, signal: AbortSignal): string {
  if (MaskSearchError.isInstance(error)) return error.code;
  if (signal.aborted && error === signal.reason) return 'cancelled';
  return isSystemError(error) ? 'unavailable' : 'unexpected';
}

/** What the operating system refused: no permission, no space, … Its message names the reason and the path. */
function isSystemError(error: unknown): boolean {
  return error instanceof Error && 'syscall' in error && 'code' in error;
}
