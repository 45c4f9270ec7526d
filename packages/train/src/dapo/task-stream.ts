// An endless, resumable stream of tasks through a curriculum, with an account of what became of each.
import { z } from 'zod';
import { ConfigError, IntegrityError, RandomStream } from '@masksearch/core';

/** What the trainer needs to know of a task; the rest is between the tasks and `collect`. */
export interface StreamTask {
  readonly id: string;
  /** Reporting key (k1..k4, hop1, …); curriculum phases select by it. */
  readonly group: string;
}

/** One stage of the curriculum. The last one goes on for as long as the run. */
export interface CurriculumPhase {
  readonly name: string;
  /** Task groups that are drawn from, in one shuffled pool. */
  readonly groups: readonly string[];
  /** Rollout steps. */
  readonly steps: number;
}

export interface Curriculum<T extends StreamTask> {
  readonly tasks: readonly T[];
  /** Absent or empty: one phase with all tasks. */
  readonly curriculum?: readonly CurriculumPhase[];
}

/** One visit of a task. `serial` is unique in the run: key the visit's random streams with it. */
export interface TaskVisit<T extends StreamTask> {
  readonly task: T;
  /** Index in the list of all tasks. */
  readonly taskIndex: number;
  readonly serial: number;
}

const count = z.int().min(0);

/** Visits by state. queued + … + expired = enqueued, always. */
const ledgerSchema = z.strictObject({
  enqueued: count,
  /** Of the current epoch, not handed out yet. */
  queued: count,
  /** Handed out, not judged yet. */
  inflight: count,
  accepted: count,
  rejected: count,
  /** No usable samples came back. */
  failed: count,
  /** Accepted, but too old when its turn came. */
  expired: count,
});
export type TaskLedger = z.infer<typeof ledgerSchema>;

export const taskStreamStateSchema = z.strictObject({
  phase: count,
  epoch: count,
  position: count,
  nextSerial: count,
  ledger: ledgerSchema,
});
export type TaskStreamState = z.infer<typeof taskStreamStateSchema>;

export const TASK_STREAM_START: TaskStreamState = {
  phase: 0,
  epoch: 0,
  position: 0,
  nextSerial: 0,
  ledger: { enqueued: 0, queued: 0, inflight: 0, accepted: 0, rejected: 0, failed: 0, expired: 0 },
};

export type VisitResult = 'accepted' | 'rejected' | 'failed';

/** Hands out tasks; the order depends on (seed, phase, epoch) and nothing else. */
export class TaskStream<T extends StreamTask> {
  readonly #tasks: readonly T[];
  /** Per phase: indices of its tasks. */
  readonly #pools: readonly (readonly number[])[];
  readonly #phases: readonly CurriculumPhase[];
  readonly #seed: number;
  #state: TaskStreamState;
  #order: { key: string; indices: readonly number[] } | undefined;

  /** @throws {ConfigError} there are no tasks, or a phase has none. */
  constructor(options: Curriculum<T> & { readonly seed: number; readonly state: TaskStreamState }) {
    this.#tasks = options.tasks;
    this.#phases = phasesOf(options);
    this.#pools = checkCurriculum(options);
    this.#seed = options.seed;
    this.#state = options.state;
  }

  get state(): TaskStreamState {
    return this.#state;
  }

  /** Name of the curriculum phase that `step` (from 0) belongs to. */
  phaseName(step: number): string {
    return this.#phases[this.#phaseOf(step)]?.name ?? '';
  }

  /** The next `size` visits, for rollout step `step` (from 0). Starts new epochs as needed. */
  take(size: number, step: number): TaskVisit<T>[] {
    this.#enterPhase(this.#phaseOf(step));
    return Array.from({ length: size }, () => this.#takeOne());
  }

  /** Books visits that came back. */
  settle(result: VisitResult, visits: number): void {
    const { ledger } = this.#state;
    this.#book({
      ...ledger,
      inflight: ledger.inflight - visits,
      [result]: ledger[result] + visits,
    });
  }

  /** Books accepted visits that became too old to train on. */
  expire(visits: number): void {
    const { ledger } = this.#state;
    this.#book({
      ...ledger,
      accepted: ledger.accepted - visits,
      expired: ledger.expired + visits,
    });
  }

  #takeOne(): TaskVisit<T> {
    const { phase, ledger, nextSerial } = this.#state;
    const pool = this.#pools[phase] ?? [];
    if (ledger.queued === 0) {
      const epoch = this.#state.position === 0 ? this.#state.epoch : this.#state.epoch + 1;
      this.#state = { ...this.#state, epoch, position: 0 };
      this.#book({ ...ledger, enqueued: ledger.enqueued + pool.length, queued: pool.length });
    }
    const { epoch, position } = this.#state;
    const taskIndex = this.#orderOf(phase, epoch)[position] as number;
    this.#state = { ...this.#state, position: position + 1, nextSerial: nextSerial + 1 };
    const current = this.#state.ledger;
    this.#book({ ...current, queued: current.queued - 1, inflight: current.inflight + 1 });
    return { task: this.#tasks[taskIndex] as T, taskIndex, serial: nextSerial };
  }

  /** On a change of phase what is left of the epoch is withdrawn from the queue. */
  #enterPhase(phase: number): void {
    if (phase === this.#state.phase) return;
    const { ledger } = this.#state;
    this.#state = { ...this.#state, phase, epoch: 0, position: 0 };
    this.#book({ ...ledger, enqueued: ledger.enqueued - ledger.queued, queued: 0 });
  }

  #phaseOf(step: number): number {
    let end = 0;
    for (const [index, { steps }] of this.#phases.entries()) {
      end += steps;
      if (step < end) return index;
    }
    return this.#phases.length - 1;
  }

  #orderOf(phase: number, epoch: number): readonly number[] {
    const key = `${phase}/${epoch}`;
    if (this.#order?.key !== key) {
      const random = new RandomStream(this.#seed, 'task-order', phase, epoch);
      this.#order = { key, indices: random.shuffled(this.#pools[phase] ?? []) };
    }
    return this.#order.indices;
  }

  #book(ledger: TaskLedger): void {
    checkLedger(ledger);
    this.#state = { ...this.#state, ledger };
  }
}

/** @throws {IntegrityError} a count is negative or they do not add up: a task was lost or doubled. */
export function checkLedger(ledger: TaskLedger): void {
  const { enqueued, ...states } = ledger;
  const sum = Object.values(states).reduce((total, visits) => total + visits, 0);
  if (sum === enqueued && Object.values(states).every((visits) => visits >= 0)) return;
  throw new IntegrityError(
    `task stream: expected counts >= 0 that add up to ${enqueued}, received ${JSON.stringify(states)}.`,
  );
}

/**
 * Indices of the tasks that each phase draws from.
 *
 * @throws {ConfigError} there are no tasks, or a phase has none.
 */
export function checkCurriculum<T extends StreamTask>(options: Curriculum<T>): number[][] {
  const { tasks } = options;
  if (tasks.length === 0) throw new ConfigError('dapo: expected at least one task, received none.');
  return phasesOf(options).map((phase) => poolOf(phase, tasks));
}

function phasesOf<T extends StreamTask>({
  tasks,
  curriculum = [],
}: Curriculum<T>): readonly CurriculumPhase[] {
  if (curriculum.length > 0) return curriculum;
  return [{ name: 'all', groups: [...new Set(tasks.map(({ group }) => group))], steps: 1 }];
}

function poolOf(phase: CurriculumPhase, tasks: readonly StreamTask[]): number[] {
  const groups = new Set(phase.groups);
  const pool = tasks.flatMap(({ group }, index) => (groups.has(group) ? [index] : []));
  if (pool.length === 0) {
    throw new ConfigError(
      `dapo: expected tasks of group ${phase.groups.join(' or ')} for curriculum phase ${phase.name}, received none.`,
    );
  }
  if (!Number.isInteger(phase.steps) || phase.steps < 1) {
    throw new ConfigError(
      `dapo: expected steps >= 1 for curriculum phase ${phase.name}, received ${phase.steps}.`,
    );
  }
  return pool;
}
