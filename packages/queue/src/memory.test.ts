// 100,000 queued tasks: what a worker holds does not grow with what it has done or has before it.
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it } from 'vitest';

const script = (folder: string): string => `
  import { createWriteStream } from 'node:fs';
  import { once } from 'node:events';
  import { join } from 'node:path';
  const { planShards, runWorker, SqliteQueue, PartFiles } = await import(${JSON.stringify(join(import.meta.dirname, 'index.ts'))});
  const folder = ${JSON.stringify(folder)};
  const items = join(folder, 'items.jsonl');
  const out = createWriteStream(items);
  for (let n = 0; n < 100_000; n++) {
    if (!out.write(JSON.stringify({ n, text: 'x'.repeat(200) }) + '\\n')) await once(out, 'drain');
  }
  await new Promise((resolve) => out.end(resolve));
  const queue = new SqliteQueue(join(folder, 'queue.sqlite'));
  await queue.add(planShards(items, 1000));
  const megabytes = () => { gc(); return process.memoryUsage().heapUsed / 2 ** 20; };
  const seen = {};
  let done = 0;
  const recorded = await runWorker({
    queue, items, parts: join(folder, 'parts'), concurrency: 64,
    work: async ({ line }) => { await null; return { n: JSON.parse(line).n, text: 'y'.repeat(200) }; },
    onRecord: () => { if (++done % 20_000 === 0) seen[done] = megabytes(); },
  });
  const { done: shards } = await queue.counts();
  await queue.close();
  console.log(JSON.stringify({ recorded, shards, seen }));`;

it('works through 100,000 tasks in the memory of the first 20,000', () => {
  const folder = mkdtempSync(join(tmpdir(), 'queue-memory-'));
  try {
    const { stdout, stderr } = spawnSync(
      process.execPath,
      ['--expose-gc', '--input-type=module', '-e', script(folder)],
      { encoding: 'utf8' },
    );
    expect(stdout, stderr).not.toBe('');
    const { recorded, shards, seen } = JSON.parse(stdout) as {
      recorded: number;
      shards: number;
      seen: Record<string, number>;
    };
    expect([recorded, shards]).toEqual([100_000, 100]);
    const [first = 0, ...later] = Object.values(seen);
    expect(later).toHaveLength(4);
    expect(Math.max(...later)).toBeLessThan(first + 4);
    // 40 MB of tasks and results would not fit in this.
    expect(first).toBeLessThan(40);
  } finally {
    rmSync(folder, { recursive: true });
  }
}, 300_000);
