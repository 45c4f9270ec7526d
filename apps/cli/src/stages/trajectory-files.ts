// The trajectories of a stage: what was kept and what was rejected in a file each, counted by group and by reason.
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { JsonlWriter, type Trajectory } from '@masksearch/core';

export class TrajectoryFiles {
  /** `kept/<group>` and `rejected/<reason>` → how many. */
  readonly counts: Record<string, number> = {};
  readonly #kept: JsonlWriter;
  readonly #rejected: JsonlWriter;

  /** @param folder Of the stage. What a killed process may have left half written there is written anew. */
  constructor(folder: string) {
    const open = (name: string): JsonlWriter => {
      const path = join(folder, name);
      rmSync(path, { force: true });
      return new JsonlWriter(path);
    };
    this.#kept = open('trajectories.jsonl');
    this.#rejected = open('rejected.jsonl');
  }

  write(trajectory: Trajectory): void {
    const { accepted, reason } = trajectory.verdict;
    (accepted ? this.#kept : this.#rejected).write(trajectory);
    const name = accepted ? `kept/${trajectory.group}` : `rejected/${reason}`;
    this.counts[name] = (this.counts[name] ?? 0) + 1;
  }

  close(): void {
    this.#kept.close();
    this.#rejected.close();
  }
}
