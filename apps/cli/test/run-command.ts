// The command as real processes in a working folder, and what of a run's files has to be the same whenever it is killed.
import { spawn, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { cpSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

const MAIN = join(import.meta.dirname, '../src/main.ts');

export interface CommandResult {
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** `masksearch …args` in `folder`, to its end. */
export function runCommand(folder: string, args: readonly string[]): CommandResult {
  return spawnSync(process.execPath, [MAIN, ...args], { cwd: folder, encoding: 'utf8' });
}

/** `masksearch …args` in `folder`, killed as soon as `moment` has come. */
export async function killCommand(
  folder: string,
  args: readonly string[],
  moment: () => Promise<unknown>,
): Promise<void> {
  const child = spawn(process.execPath, [MAIN, ...args], { cwd: folder, stdio: 'ignore' });
  const exit = new Promise((resolve) => child.on('exit', resolve));
  await Promise.race([moment(), exit]);
  child.kill('SIGKILL');
  await exit;
}

/** A new run with some finished stages of another; both in `folder`. @returns its name. */
export function copyRun(
  folder: string,
  from: string,
  to: string,
  stages: readonly string[],
): string {
  for (const entry of ['config.yaml', ...stages]) {
    cpSync(join(folder, from, entry), join(folder, to, entry), { recursive: true });
  }
  return to;
}

/** The rows of a stage's metrics. */
export function readMetrics(stage: string): Record<string, number | string>[] {
  const text = readFileSync(join(stage, 'metrics.jsonl'), 'utf8');
  return text
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as Record<string, number | string>);
}

/** What holds times or the path of the run. */
const UNSTABLE = /manifest\.json$|adapter_config\.json$/;

/** File → sha256 below a stage's folder, without `UNSTABLE` files and the clock columns of metrics. */
export function hashesOf(stage: string): Record<string, string> {
  const files = readdirSync(stage, { recursive: true, encoding: 'utf8' })
    .filter((file) => /\.\w+$/.test(file) && !UNSTABLE.test(file))
    .toSorted();
  return Object.fromEntries(
    files.map((file) => {
      const bytes = readFileSync(join(stage, file));
      const stable = file.endsWith('metrics.jsonl')
        ? bytes.toString().replace(/"(timing_s|perf)\/[^,}]*[,}]/g, '')
        : bytes;
      return [file, createHash('sha256').update(stable).digest('hex')];
    }),
  );
}
