import { readFileSync } from 'node:fs';
import { CancelledError, InputError } from '@masksearch/core';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { EXIT_INTERRUPTED, reportFailure } from './failure.ts';

let stderr: string;
beforeEach(() => {
  stderr = '';
  vi.spyOn(process.stderr, 'write').mockImplementation((text) => {
    stderr += String(text);
    return true;
  });
});
afterEach(() => void vi.restoreAllMocks());

const calm = { json: false, signal: new AbortController().signal };
const reason = new Error('SIGINT');
const interrupted = { json: false, signal: AbortSignal.abort(reason) };

test('an error of ours is one line', () => {
  expect(reportFailure(new InputError('a.jsonl:2: expected x.'), calm)).toBe(1);
  expect(stderr).toBe('masksearch: a.jsonl:2: expected x.\n');
});

test('what the system refuses is one line that names the path', () => {
  let refusal: unknown;
  try {
    readFileSync(import.meta.dirname);
  } catch (error) {
    refusal = error;
  }
  expect(reportFailure(refusal, calm)).toBe(1);
  expect(stderr).toMatch(/^masksearch: EISDIR: .*\n$/);
});

test('what nobody foresaw comes with its stack', () => {
  expect(reportFailure(new TypeError('x is not a function'), calm)).toBe(1);
  expect(stderr).toContain('failure.test.ts');
});

test.each([new CancelledError('sft: stopped.'), reason])(
  '%s after Ctrl-C is no failure',
  (error) => {
    expect(reportFailure(error, interrupted)).toBe(EXIT_INTERRUPTED);
    expect(stderr).toBe('interrupted; the same command continues from what was saved\n');
  },
);

test('another failure after Ctrl-C is told, with the exit code of an interrupt', () => {
  expect(reportFailure(new InputError('disk.'), interrupted)).toBe(EXIT_INTERRUPTED);
  expect(stderr).toBe('masksearch: disk.\n');
});
