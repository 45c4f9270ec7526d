import { spawn } from 'node:child_process';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { RandomStream } from '@masksearch/core';
import { runUntilCall } from '../../test/crash.ts';
import { readReproducibleRows } from '../../test/metrics-rows.ts';
import { tinyDapo, tinySft, type TinyRun } from '../../test/tiny-runs.ts';

const CHILD = join(import.meta.dirname, '../../test/tiny-run-child.ts');

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'crash-'));
});
afterEach(() => {
  rmSync(folder, { recursive: true });
});

/** What a run leaves behind that must not depend on how often it was interrupted. */
function traceOf(path: string): unknown {
  return {
    rows: readReproducibleRows(join(path, 'metrics.jsonl')),
    checkpoints: readdirSync(join(path, 'checkpoints')),
  };
}

describe.each<[string, TinyRun]>([
  ['sft', tinySft],
  ['dapo', tinyDapo],
])('%s', { timeout: 120_000 }, (kind, run) => {
  test('dies at any file-system call and resumes to the same weights, metrics and files', async () => {
    const whole = join(folder, 'whole');
    const steps = 2;
    const weights = await run(whole, steps);
    const calls = await runUntilCall(Infinity, () => run(join(folder, 'count'), steps));
    expect(calls).toBeGreaterThan(60);
    for (let deadline = 1; deadline <= calls; deadline++) {
      const path = join(folder, `call-${deadline}`);
      expect(await runUntilCall(deadline, () => run(path, steps))).toBeGreaterThanOrEqual(deadline);
      let resumed = new Float32Array();
      await runUntilCall(Infinity, async () => {
        resumed = (await run(path, steps)) as Float32Array<ArrayBuffer>;
      });
      expect(resumed, `died at call ${deadline}`).toEqual(weights);
      expect(traceOf(path), `died at call ${deadline}`).toEqual(traceOf(whole));
    }
  });

  test('killed with SIGKILL at random moments it resumes to the same weights and metrics', async () => {
    const steps = 10;
    const weights = await run(join(folder, 'whole'), steps);
    const path = join(folder, 'killed');
    const random = new RandomStream('kill', kind);
    let kills = 0;
    while (await runChildAndKill(kind, path, steps, random)) kills++;
    expect(kills).toBeGreaterThanOrEqual(3);
    expect(await run(path, steps)).toEqual(weights);
    expect(traceOf(path)).toEqual(traceOf(join(folder, 'whole')));
  });
});

/** True when the child was killed, false when it had finished before. */
function runChildAndKill(
  kind: string,
  path: string,
  steps: number,
  random: RandomStream,
): Promise<boolean> {
  const child = spawn(process.execPath, [CHILD, kind, path, String(steps)]);
  const stepsLeft = 1 + random.below(4);
  const delayMs = random.below(20); // a step with its checkpoint takes about as long
  let done = 0;
  let errors = '';
  child.stderr.on('data', (text: Buffer) => (errors += text.toString()));
  child.stdout.on('data', (dots: Buffer) => {
    const before = done;
    done += dots.length;
    if (before < stepsLeft && done >= stepsLeft) setTimeout(() => child.kill('SIGKILL'), delayMs);
  });
  return new Promise((resolve, reject) => {
    child.on('close', (code, signal) => {
      if (signal === 'SIGKILL') resolve(true);
      else if (code === 0) resolve(false);
      else reject(new Error(`child failed with ${code}: ${errors}`));
    });
  });
}
