// Further worker processes of this machine, each a `masksearch worker` of its own.
import { spawn, type ChildProcess } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { MaskSearchError } from '@masksearch/core';

const MAIN = fileURLToPath(new URL(`../main${import.meta.filename.slice(-3)}`, import.meta.url));

/** Processes at work; `done` rejects when one ended badly, with what it said last. */
export interface WorkerProcesses {
  readonly done: Promise<void>;
  stop(): void;
}

/** Starts `count` workers of a run. */
export function startWorkers(runFolder: string, count: number): WorkerProcesses {
  const children: ChildProcess[] = [];
  const ends = Array.from({ length: count }, () => {
    const child = spawn(process.execPath, [MAIN, 'worker', '--run', runFolder], {
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    children.push(child);
    return endOf(child);
  });
  const done = Promise.all(ends).then(() => undefined);
  // Whoever awaits it later still sees the rejection.
  done.catch(() => undefined);
  return { done, stop: () => children.forEach((child) => child.kill('SIGTERM')) };
}

function endOf(child: ChildProcess): Promise<void> {
  return new Promise((resolve, reject) => {
    let last = '';
    child.stderr?.on('data', (text: Buffer) => {
      last = (last + text.toString()).slice(-500);
    });
    child.once('error', reject);
    child.once('exit', (code, signal) => {
      if (code === 0 || signal !== null) return resolve();
      const said = last.trim().split('\n').at(-1) ?? '';
      reject(
        new MaskSearchError(
          'unavailable',
          `worker ${child.pid ?? ''}: ended with ${code}; ${said}`,
        ),
      );
    });
  });
}
