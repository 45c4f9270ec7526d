// The search tool of a stage, as the configuration selects it: the index of the run, recorded or replayed.
import { join } from 'node:path';
import {
  openIndex,
  RandomSearch,
  RecordSearch,
  ReplaySearch,
  type SearchTool,
} from '@masksearch/search';
import type { RunConfig } from '../config/run-config.ts';
import { hashPath } from '../run/hash-path.ts';
import { stageFile, type RunContext } from '../run/run-folder.ts';
import { openRemoteSearch } from './remote-search.ts';
import { searchedSide, type Side } from './sides.ts';

/** What a stage searches with; everything opened is closed when the stage is done. */
export interface SearchSource {
  readonly search: SearchTool;
  /** Random passages of the index, the same for the same seed: the control of evaluation. */
  readonly random: () => SearchTool;
  /** Tells how much of the training is done, 0..1: simulated searches grow noisier with it. */
  readonly setProgress: (share: number) => void;
}

interface Closable {
  close(): void | Promise<void>;
}

/** Opens the search tool for tasks of `side`, and closes it when `use` is done. */
export async function withSearch<T>(
  { run, config, side }: { run: RunContext; config: RunConfig; side: Side },
  use: (source: SearchSource) => Promise<T>,
): Promise<T> {
  const open: Closable[] = [];
  const keep = <C extends Closable>(opened: C): C => {
    open.push(opened);
    return opened;
  };
  const { record, replay } = config.search;
  const searched = searchedSide(run, side);
  const index = once(() => keep(openIndex(stageFile(run, 'index', searched))));
  const onTape = (name: string, tool: () => SearchTool): SearchTool => {
    if (replay !== null) return keep(new ReplaySearch(join(replay, `${name}.jsonl`)));
    if (record !== null) return keep(new RecordSearch(tool(), join(record, `${name}.jsonl`)));
    return tool();
  };
  try {
    let progress = 0;
    let tool: () => SearchTool = index;
    if (replay === null && config.search.tool !== 'index') {
      const options = { config, seed: run.seed, progress: () => progress };
      const remote = keep(await openRemoteSearch(options));
      tool = () => remote.tool;
    }
    return await use({
      search: onTape(searched, tool),
      setProgress: (share) => {
        progress = share;
      },
      random: once(() => onTape(`${searched}-random`, () => new RandomSearch(index(), run.seed))),
    });
  } finally {
    for (const opened of open.toReversed()) await opened.close();
  }
}

function once<T>(make: () => T): () => T {
  let made: { readonly value: T } | undefined;
  return () => (made ??= { value: make() }).value;
}

/** What of the search section decides a stage's results; nothing for the index itself, so that old runs stay valid. */
export function searchSettings({ search }: RunConfig): { readonly search?: RunConfig['search'] } {
  const isPlain = search.tool === 'index' && search.record === null && search.replay === null;
  return isPlain ? {} : { search };
}

/** Hash of the recorded calls that are replayed, for manifests. @throws {InputError} there are none. */
export async function searchInputs({ search }: RunConfig): Promise<Record<string, string>> {
  const { replay } = search;
  return replay === null ? {} : { [replay]: await hashPath(replay) };
}
