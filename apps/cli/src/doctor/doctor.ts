// The doctor: what this machine has, what it lacks, and the fix for each.
import { styleText } from 'node:util';
import { checkBackends } from './backends.ts';
import type { Check } from './check.ts';
import { checkGpu } from './gpu.ts';
import { checkMachine } from './machine.ts';
import { checkTools } from './tools.ts';

export async function examine(): Promise<Check[]> {
  return [...checkTools(), ...checkMachine(), ...(await checkBackends()), ...checkGpu()];
}

/** True when nothing required is missing. */
export function isHealthy(checks: readonly Check[]): boolean {
  return checks.every((check) => check.state === 'ok' || !check.required);
}

/** The report as a table for a terminal. */
export function formatChecks(checks: readonly Check[], stream: NodeJS.WriteStream): string {
  const width = Math.max(...checks.map((check) => check.name.length));
  const rows = checks.map((check) => {
    const mark =
      check.state === 'ok'
        ? styleText('green', 'ok      ', { stream })
        : styleText(check.required ? 'red' : 'yellow', check.required ? 'MISSING ' : 'absent  ', {
            stream,
          });
    const fix = check.fix === undefined ? '' : `\n${' '.repeat(width + 12)}fix: ${check.fix}`;
    return `  ${check.name.padEnd(width)}  ${mark}${check.detail}${fix}`;
  });
  const verdict = isHealthy(checks)
    ? 'Everything required is here.'
    : 'Something required is missing: see the lines marked MISSING.';
  return `${rows.join('\n')}\n\n${verdict}`;
}
