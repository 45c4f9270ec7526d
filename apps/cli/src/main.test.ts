// The command as a person meets it: real processes on a tiny run. Needs the native engine (`npm run setup`).
import { spawn, spawnSync } from 'node:child_process';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { RandomStream } from '@masksearch/core';
import { z } from 'zod';
import {
  copyRun as copyRunIn,
  hashesOf as hashesOfFolder,
  killCommand,
  runCommand,
  type CommandResult,
} from '../test/run-command.ts';

const MAIN = join(import.meta.dirname, 'main.ts');
const SMOKE = join(import.meta.dirname, '../../../runs/configs/smoke.yaml');

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'masksearch-'));
});
afterAll(() => {
  rmSync(folder, { recursive: true });
});

const masksearch = (...args: string[]): CommandResult => runCommand(folder, args);
const copyRun = (from: string, to: string, stages: readonly string[]): string =>
  copyRunIn(folder, from, to, stages);
const hashesOf = (stage: string): Record<string, string> => hashesOfFolder(join(folder, stage));

function writeFile(name: string, text: string): string {
  writeFileSync(join(folder, name), text);
  return join(folder, name);
}

describe('the command line', () => {
  test('lists the stages and shows examples', () => {
    const { status, stdout } = masksearch('--help');
    expect(status).toBe(0);
    for (const word of ['corpus', 'trajectories', 'rl', 'doctor', 'Examples:']) {
      expect(stdout).toContain(word);
    }
  });

  test('loads nothing that does work to show help', () => {
    const hooks = `import { registerHooks } from 'node:module';
      registerHooks({ load(url, context, next) { console.error(url); return next(url, context); } });`;
    const preload = `data:text/javascript,${encodeURIComponent(hooks)}`;
    const args = ['--import', preload, MAIN, '--help'];
    const { stderr } = spawnSync(process.execPath, args, { encoding: 'utf8' });
    const loaded = stderr.trim().split('\n');
    expect(loaded.some((url) => url.endsWith('/program.ts'))).toBe(true);
    const heavy = /undici|hyparquet|@tensorflow|\/native\/|\/packages\/(search|tokenizer|train)\//;
    expect(loaded.filter((url) => heavy.test(url))).toEqual([]);
  });

  test('describes every key of a stage with range, default and source', () => {
    const { stdout } = masksearch('rl', '--help');
    expect(stdout.replace(/\s+/g, ' ')).toContain(
      '--clipHigh <number> upper clip bound; unused by grpo, whose clip is symmetric [> 0; default 0.28; DAPO §4.1]',
    );
  });

  test('prints the JSON Schema and the resolved configuration', () => {
    expect(JSON.parse(masksearch('run', '--print-schema').stdout)).toHaveProperty('properties.rl');
    const { stdout } = masksearch('run', '--print-config', '--index.k1', '1.5');
    expect(stdout).toMatch(/index:\n {2}k1: 1\.5\n/);
  });

  test('finds an input beside the file that names it, from any working folder', () => {
    mkdirSync(join(folder, 'mine'));
    const document = { id: '1', title: 'Riga', text: 'Riga is the capital of Latvia.' };
    writeFile('mine/wiki.jsonl', `${JSON.stringify(document)}\n`);
    const config = 'corpus: { input: wiki.jsonl }\ntokenizer: { vocabularySize: 280 }\n';
    writeFile('mine/a.yaml', config);
    const made = masksearch('corpus', '--config', 'mine/a.yaml', '--run', 'beside');
    expect(made.status, made.stderr).toBe(0);
    const again = runCommand(join(folder, 'mine'), ['corpus', '--run', '../beside', '--fresh']);
    expect(again.status, again.stderr).toBe(0);
  });

  test.each<[string, () => string[], RegExp]>([
    ['an unknown flag', () => ['sft', '--learningrate', '1'], /Did you mean --learningRate/],
    ['an unknown command', () => ['evalution'], /Did you mean evaluation/],
    ['a value out of range', () => ['index', '--b', '2'], /index\.b: .*received 2/],
    ['an absent configuration', () => ['run', '--config', 'none.yaml'], /none\.yaml: expected/],
    ['a folder as configuration', () => ['run', '--config', folder], /expected .* file, found a f/],
    [
      'a file as run folder',
      () => ['corpus', '--run', writeFile('file', '')],
      /file: expected a run folder, found a file; choose another/,
    ],
    [
      'an unknown key',
      () => ['run', '--config', writeFile('a.yaml', 'sft:\n  lerningRate: 1\n')],
      /a\.yaml:2: .*sft\.lerningRate; did you mean sft\.learningRate/,
    ],
    ['a missing stage', () => ['tasks', '--run', 'empty'], /masksearch corpus --run/],
    [
      'a missing input',
      () => ['corpus', '--run', 'x', '--input', 'absent.xml'],
      /absent\.xml: expected a file or folder/,
    ],
    [
      'a broken input',
      () => [
        'corpus',
        '--run',
        'x',
        '--input',
        writeFile('bad.jsonl', '{"id":"1","text":"a"}\n{"id"\n'),
      ],
      /bad\.jsonl:2: expected one JSON/,
    ],
  ])('refuses %s with one message, exit code 1 and no output', (_, args, message) => {
    const { status, stdout, stderr } = masksearch(...args());
    expect(stderr).toMatch(message);
    expect(stderr).not.toContain('    at ');
    expect(status).toBe(1);
    expect(stdout).toBe('');
    for (const run of ['x', 'empty', 'runs']) expect(existsSync(join(folder, run))).toBe(false);
  });

  test('gives errors as JSON too', () => {
    const missing = masksearch('tasks', '--run', 'empty', '--json');
    expect(JSON.parse(missing.stdout)).toMatchObject({ error: { code: 'input' } });
    expect(missing.status).toBe(1);
    const usage = masksearch('sft', '--learningrate', '1', '--json');
    expect(JSON.parse(usage.stdout)).toMatchObject({ error: { code: 'config' } });
    expect(usage.status).toBe(1);
  });
});

/** Arguments that make the smoke configuration smaller still. */
const TINY = ['--tasks.train.ramp', '8', '--tasks.train.questions', '8'];
const SFT_PHASES = '[{ name: all, groups: [k1, hop1, hop2], copyEvery: 3, steps: 30 }]';
const SFT = ['--phases', SFT_PHASES, '--checkpointEvery', '4'];
const RL = ['--steps', '4', '--checkpointEvery', '1'];
const BEFORE_SFT = ['corpus', 'index', 'tasks', 'trajectories'];

describe('a run', () => {
  beforeAll(() => {
    const { status, stderr } = masksearch(
      'run',
      '--config',
      SMOKE,
      '--run',
      'base',
      ...TINY,
      '--json',
    );
    expect(status, stderr).toBe(0);
  }, 300_000);

  test('leaves a report of the agreed shape and a page', () => {
    const metric = z.object({
      mean: z.number(),
      low: z.number(),
      high: z.number(),
      n: z.literal(2),
    });
    const overall = metric.extend({ n: z.literal(10) }); // k1..k4 and hop2
    const entry = z.object({ exact: metric, recall: metric });
    const checkpoint = z.object({
      ramp: z.object({ k1: entry, k2: entry, k3: entry, k4: entry }),
      qa: z.object({ hop1: entry, hop2: entry, comparison: entry, hop3: entry, list: entry }),
      outcome: overall,
      randomRetrieval: z.object({ outcome: overall }),
    });
    const shape = z.object({
      seconds: z.object({ corpus: z.number(), sft: z.number(), rl: z.number(), total: z.number() }),
      evaluation: z.object({ base: checkpoint, sft: checkpoint, rl: checkpoint }),
    });
    shape.parse(JSON.parse(readFileSync(join(folder, 'base/report.json'), 'utf8')));
    expect(readFileSync(join(folder, 'base/report.html'), 'utf8')).toMatch(/^<!doctype html>/);
  });

  test('skips everything the second time, from the configuration it remembers', () => {
    const { stdout, stderr } = masksearch('run', '--run', 'base', '--json');
    const outcomes = JSON.parse(stdout) as { skipped: boolean }[];
    expect(
      outcomes.map(({ skipped }) => skipped),
      stderr,
    ).toEqual(outcomes.map(() => true));
    expect(outcomes).toHaveLength(8);
  });

  test('does not depend on concurrency and threads, bit for bit', () => {
    const copy = copyRun('base', 'serial', ['corpus', 'index']);
    const serial = ['trajectories', 'rl', 'evaluation'].flatMap((s) => [`--${s}.concurrency`, '1']);
    const { status, stderr } = masksearch('run', '--run', copy, ...serial, '--model.threads', '1');
    expect(status, stderr).toBe(0);
    for (const stage of ['tasks', 'trajectories', 'sft', 'rl', 'evaluation']) {
      expect(hashesOf(`serial/${stage}`), stage).toEqual(hashesOf(`base/${stage}`));
    }
  }, 300_000);

  test.each<[string, string, string[], string[]]>([
    ['sft', 'float32', SFT, BEFORE_SFT],
    ['sft', 'bfloat16', SFT, BEFORE_SFT],
    ['rl', 'float32', RL, [...BEFORE_SFT, 'sft']],
    ['rl', 'bfloat16', [...RL, '--lora.rank', '4'], [...BEFORE_SFT, 'sft']],
  ])(
    '%s in %s killed at any moment ends with the weights of an uninterrupted run',
    async (stage, dtype, settings, needed) => {
      const args = [...settings, '--model.dtype', dtype];
      const whole = copyRun('base', `${stage}-${dtype}`, needed);
      const started = performance.now();
      expect(masksearch(stage, '--run', whole, ...args).status).toBe(0);
      const wholeMs = performance.now() - started;
      const killed = copyRun('base', `${stage}-${dtype}-killed`, needed);
      const random = new RandomStream(1, 'kill', stage);
      for (let kill = 0; kill < 4; kill++) {
        const moment = () => sleep(random.uniform() * wholeMs);
        await killCommand(folder, [stage, '--run', killed, ...args], moment);
      }
      const { status, stderr } = masksearch(stage, '--run', killed, ...args);
      expect(status, stderr).toBe(0);
      expect(hashesOf(`${killed}/${stage}`)).toEqual(hashesOf(`${whole}/${stage}`));
    },
    300_000,
  );

  test('replays recorded searches without an index, bit for bit, and stops at an unknown query', () => {
    const data = ['corpus', 'tasks'];
    const stages = ['trajectories', 'rollouts', 'rl', 'evaluation'];
    const recorded = copyRun('base', 'recorded', [...data, 'index', 'sft']);
    const replayed = copyRun('base', 'replayed', [...data, 'sft']);
    for (const stage of stages) {
      const record = masksearch(stage, '--run', recorded, '--record', 'tape');
      expect(record.status, record.stderr).toBe(0);
      const replay = masksearch(stage, '--run', replayed, '--replay', 'tape');
      expect(replay.status, replay.stderr).toBe(0);
      expect(hashesOf(`replayed/${stage}`), stage).toEqual(hashesOf(`recorded/${stage}`));
    }
    expect(hashesOf('recorded/rl')).toEqual(hashesOf('base/rl'));
    const other = masksearch(
      'trajectories',
      '--run',
      replayed,
      '--replay',
      'tape',
      '--episode.topK',
      '3',
    );
    expect(other.stderr).toMatch(/train\.jsonl: expected a recorded answer to ".*" \(topK 3/);
    expect(other.status).toBe(1);
    const both = masksearch('rl', '--run', replayed, '--replay', 'tape', '--record', 'tape');
    expect(both.stderr).toMatch(/search: expected record or replay, not both/);
  }, 300_000);

  test('an interrupt saves, says so, and exits with 130', async () => {
    const copy = copyRun('base', 'interrupted', BEFORE_SFT);
    const child = spawn(process.execPath, [MAIN, 'sft', '--run', copy, ...SFT], {
      cwd: folder,
    });
    let stderr = '';
    child.stderr.on('data', (chunk: Buffer) => (stderr += chunk.toString()));
    const exit = new Promise((resolve) => child.on('exit', resolve));
    await until(() => existsSync(join(folder, copy, 'sft.work/metrics.jsonl')));
    child.kill('SIGINT');
    expect(await exit).toBe(130);
    expect(stderr).toContain('the same command continues');
    expect(readdirSync(join(folder, copy, 'sft.work/checkpoints'))).not.toEqual([]);
    expect(existsSync(join(folder, copy, 'sft'))).toBe(false);
  }, 60_000);
});

async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await sleep(20);
}
