import { expect, test } from 'vitest';
import { checkTool, type Check } from './check.ts';
import { examine, formatChecks, isHealthy } from './doctor.ts';
import { checkCublas } from './gpu.ts';

const missing = { name: 'x', state: 'missing', detail: 'none', fix: 'install x' } as const;

test('only a missing required part makes the doctor fail', () => {
  expect(isHealthy([{ ...missing, required: false }])).toBe(true);
  expect(isHealthy([{ ...missing, required: true }])).toBe(false);
});

test('takes the first command that runs, and says what it tried', () => {
  const tool = { name: 'tool', required: true, fix: 'get it' };
  const found = checkTool({
    ...tool,
    commands: [['no-such-tool'], [process.execPath, '--version']],
  });
  expect(found).toMatchObject({ state: 'ok', detail: process.version });
  const lacking = checkTool({ ...tool, commands: [['no-such-tool'], ['nor-this']] });
  expect(lacking).toMatchObject({
    state: 'missing',
    detail: 'none of no-such-tool, nor-this runs',
  });
});

test('looks for cuBLAS in the file that is chosen', () => {
  expect(checkCublas(process.execPath)).toMatchObject({ state: 'ok', detail: process.execPath });
  const lacking = checkCublas('/nowhere/libcublasLt.so.13');
  expect(lacking).toMatchObject({ state: 'missing', required: false });
  expect(lacking.detail).toContain('MASKSEARCH_CUBLASLT names /nowhere/libcublasLt.so.13');
});

test('shows a fix for everything that is missing', () => {
  const checks: Check[] = [
    { ...missing, required: true },
    { name: 'y', state: 'ok', required: true, detail: 'fine' },
  ];
  const text = formatChecks(checks, process.stdout);
  expect(text).toContain('fix: install x');
  expect(text).toContain('Something required is missing');
});

test('every check of this machine has a detail, and a fix where something is missing', async () => {
  for (const check of await examine()) {
    expect(check.detail, check.name).not.toBe('');
    if (check.state === 'missing') expect(check.fix, check.name).toBeDefined();
  }
});
