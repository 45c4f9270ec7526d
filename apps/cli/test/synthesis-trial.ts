// A whole synthesis against a server that misbehaves, by worker processes that are killed: used by a test and by the bench.
import { spawn, type ChildProcess } from 'node:child_process';
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { oracleRoles } from '@masksearch/agent';
import { MisbehavingServer, type Fault, type ServerStatistics } from '@masksearch/chat/testing';
import {
  RandomStream,
  readAllJsonl,
  taskSchema,
  trajectorySchema,
  type Trajectory,
} from '@masksearch/core';
import { stringify } from 'yaml';

const MAIN = join(import.meta.dirname, '../src/main.ts');
/** A key that must not be found in any byte written. */
export const CANARY = 'sk-canary-5f0c9a1e77';

export interface TrialOptions {
  /** A run folder with the stage tasks done. */
  readonly run: string;
  readonly processes: number;
  /** Calls under way at most, all processes together. */
  readonly concurrency: number;
  readonly latencyMs: number;
  readonly faults: Partial<Record<Fault, number>>;
  /** Processes killed, one after the other. */
  readonly kills: number;
  readonly killEveryMs: number;
  readonly redis?: string;
  readonly seed: number;
}

export interface TrialResult {
  readonly tasks: number;
  readonly kept: Trajectory[];
  readonly rejected: Trajectory[];
  readonly kills: number;
  /** From the first process started to the result in place. */
  readonly seconds: number;
  /** Time that the server was busy with requests, divided by the places there were. */
  readonly idealSeconds: number;
  readonly statistics: ServerStatistics;
  /** Everything that the processes printed. */
  readonly output: string;
  /** Files of the run that hold the key. */
  readonly leaks: string[];
}

export async function synthesisTrial(options: TrialOptions): Promise<TrialResult> {
  const { run, processes, concurrency, latencyMs, faults, seed } = options;
  const tasks = await readAllJsonl(join(run, 'tasks', 'train.jsonl'), taskSchema);
  const server = new MisbehavingServer({
    answer: oracleRoles(tasks),
    latencyMs,
    faults,
    seed,
    apiKey: CANARY,
  });
  const baseUrl = await server.listen();
  try {
    writeConfig(options, baseUrl, Math.ceil(concurrency / processes));
    const started = performance.now();
    const crew = new Crew(run, processes);
    const kills = await crew.work(options);
    const seconds = (performance.now() - started) / 1000;
    const statistics = server.statistics();
    const [kept = [], rejected = []] = await Promise.all(
      ['trajectories.jsonl', 'rejected.jsonl'].map((file) =>
        readAllJsonl(join(run, 'trajectories', file), trajectorySchema),
      ),
    );
    return {
      tasks: tasks.length,
      kept,
      rejected,
      kills,
      seconds,
      idealSeconds: statistics.busyMs / 1000 / concurrency,
      statistics,
      output: crew.output,
      leaks: crew.output.includes(CANARY) ? ['output'] : leaksIn(run),
    };
  } finally {
    await server.close();
  }
}

function writeConfig({ redis, ...options }: TrialOptions, baseUrl: string, places: number): void {
  const endpoint = {
    baseUrl,
    model: 'test',
    apiKeyVariable: 'TRIAL_KEY',
    concurrency: places,
    timeouts: { firstByteMs: 5000 },
    retries: { attempts: 20, baseMs: 50, maxMs: 500 },
    stream: true,
  };
  const roles = { planner: 'main', rewriter: 'main', observer: 'main', judge: 'main' };
  const budgets = { maxTurnTokens: 600, maxPolicyTokens: 2000, maxContextTokens: 6000 };
  const config = {
    name: 'trial',
    episode: { topK: 4, maxTurns: 6, maxInformationTokens: 400, ...budgets },
    trajectories: { teacher: 'models' },
    synthesis: {
      endpoints: { main: endpoint },
      roles,
      // More tasks than places, so that one that waits to try again leaves no place empty.
      concurrency: Math.ceil(places * 1.6) + 4,
      itemsPerShard: 5, // so that no worker is left alone with many at the end
      leaseSeconds: 8,
      ...(redis === undefined ? {} : { redis }),
    },
  };
  writeFileSync(join(options.run, 'config.yaml'), stringify(config));
}

/** One `masksearch synthesize` and the workers beside it; who is killed is replaced at once. */
class Crew {
  readonly #run: string;
  readonly #members: ChildProcess[] = [];
  readonly #workers: number;
  output = '';

  constructor(run: string, processes: number) {
    this.#run = run;
    this.#workers = processes - 1;
  }

  async work(options: Pick<TrialOptions, 'kills' | 'killEveryMs' | 'seed'>): Promise<number> {
    const random = new RandomStream('kills', options.seed);
    let kills = 0;
    const main = this.#start(0, 'synthesize');
    let done = this.#endOf(main);
    const work = join(this.#run, 'trajectories.work', 'parts');
    while (!existsSync(work) && main.exitCode === null) await sleep(20);
    for (let i = 1; i <= this.#workers; i++) this.#start(i, 'worker');
    for (;;) {
      const isKilling = kills < options.kills;
      const ended = await (isKilling ? Promise.race([done, sleep(options.killEveryMs)]) : done);
      if (ended !== undefined) {
        if (ended !== 0) throw new Error(`synthesize ended with ${ended}:\n${this.output}`);
        break;
      }
      const victim = random.below(this.#members.length);
      if (this.#members[victim]?.exitCode !== null) continue;
      const gone = this.#endOf(this.#members[victim]);
      this.#members[victim].kill('SIGKILL');
      await gone;
      kills++;
      const next = this.#start(victim, victim === 0 ? 'synthesize' : 'worker');
      if (victim === 0) done = this.#endOf(next);
    }
    const left = this.#members.filter(
      ({ exitCode, signalCode }) => exitCode === null && signalCode === null,
    );
    await Promise.all(left.map((member) => this.#endOf(member)));
    return kills;
  }

  #start(place: number, command: string): ChildProcess {
    const child = spawn(process.execPath, [MAIN, command, '--run', this.#run], {
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { ...process.env, TRIAL_KEY: CANARY },
    });
    for (const stream of [child.stdout, child.stderr]) {
      stream.on('data', (text: Buffer) => (this.output += text.toString()));
    }
    this.#members[place] = child;
    return child;
  }

  #endOf(child: ChildProcess): Promise<number> {
    return new Promise((resolve) => child.once('exit', (code) => resolve(code ?? -1)));
  }
}

function leaksIn(folder: string): string[] {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name))
    .filter((file) => readFileSync(file).includes(CANARY));
}
