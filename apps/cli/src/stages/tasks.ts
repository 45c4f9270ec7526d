// Stage tasks: RAMP tasks from documents, and questions where the facts are known. Held-out tasks come first,
// so that no training task shares text with one.
import { join } from 'node:path';
import { writeJsonl, type MaskTask, type QuestionTask, type Task } from '@masksearch/core';
import { splitPassages } from '@masksearch/corpus';
import {
  createDecontaminator,
  Gazetteer,
  gazetteerEntry,
  makeTasks,
  resolveRampConfig,
  TaskTally,
  tasksOf,
} from '@masksearch/ramp';
import type { SearchTool } from '@masksearch/search';
import { generateQuestions, QUESTION_GROUPS } from '@masksearch/world';
import type { RunConfig } from '../config/run-config.ts';
import { stageOutputs, type RunContext } from '../run/run-folder.ts';
import { runStage, type StageOutcome, type StageWork } from '../run/run-stage.ts';
import { openSpanChoosing, spanInputs, taskSettings, type SpanChoosing } from './span-choosing.ts';
import {
  corpusOf,
  readDocuments,
  readPassages,
  withIndex,
  SIDES,
  type RecordedCorpus,
  type Side,
} from './sides.ts';

/** Numbers of masks, in the paper 1 to 4 (MaskSearch §3.1). */
const KS = [1, 2, 3, 4];

export async function tasksStage(run: RunContext, config: RunConfig): Promise<StageOutcome> {
  return runStage(run, {
    name: 'tasks',
    config: taskSettings(config),
    inputs: {
      ...stageOutputs(run, 'corpus'),
      ...stageOutputs(run, 'index'),
      ...(await spanInputs(config)),
    },
    resumable: false,
    execute: async (work) => {
      const recorded = corpusOf(run);
      const isWorld = recorded.corpus.input === null;
      const gazetteer = isWorld ? undefined : await titleGazetteer(run);
      const choosing = await openSpanChoosing(run, config);
      const { functions } = choosing;
      const maker = { ...recorded, run, config: config.tasks, work, gazetteer, functions };
      try {
        const heldout = await makeSide(maker, 'heldout', []);
        const train = await makeSide(maker, 'train', heldout.tasks);
        writeJsonl(join(work.folder, 'heldout.jsonl'), heldout.tasks);
        writeJsonl(join(work.folder, 'train.jsonl'), train.tasks);
        return { counts: { ...train.counts, ...heldout.counts }, device: choosing.device };
      } finally {
        await choosing.close();
      }
    },
  });
}

interface Maker extends RecordedCorpus {
  readonly run: RunContext;
  readonly config: RunConfig['tasks'];
  readonly work: StageWork;
  readonly gazetteer: Gazetteer | undefined;
  readonly functions: SpanChoosing['functions'];
}

interface MadeTasks {
  readonly tasks: readonly Task[];
  readonly counts: Readonly<Record<string, number>>;
}

async function makeSide(maker: Maker, side: Side, forbidden: readonly Task[]): Promise<MadeTasks> {
  const ramp = await withIndex(maker.run, side, (search) =>
    makeRampTasks(maker, side, search, forbidden),
  );
  const questions = maker.corpus.input === null ? await makeQuestions(maker, side) : [];
  const made = [...ramp.tasks, ...questions];
  const tasks = maker.config.allowSource
    ? made.map((task) => ({ ...task, excludedPassages: [] }))
    : made;
  return { tasks, counts: { ...countGroups(tasks, side), ...ramp.counts } };
}

/** RAMP tasks of one side until every k has as many as wanted, or the documents end. */
async function makeRampTasks(
  maker: Maker,
  side: Side,
  search: SearchTool,
  forbidden: readonly Task[],
): Promise<{ tasks: MaskTask[]; counts: Record<string, number> }> {
  const { run, config, corpus, work, gazetteer, functions } = maker;
  const { spans, rules, minWords, requireRetrievable, evidenceTopK } = config;
  const wanted = config[side].ramp;
  const progress = work.progress('tasks');
  const tally = new TaskTally();
  const outcomes = makeTasks({
    documents: readDocuments(run, side),
    passagesOf: (document) => splitPassages(document, { maxWords: corpus.passageWords }),
    search,
    config: resolveRampConfig({ ks: KS, spans, rules, minWords, requireRetrievable, evidenceTopK }),
    seed: work.seed,
    isContaminated: createDecontaminator(forbidden.flatMap(paragraphOf)),
    signal: work.signal,
    ...(gazetteer === undefined ? {} : { gazetteer }),
    ...functions,
  });
  const tasks: MaskTask[] = [];
  const perGroup = new Map<string, number>();
  if (wanted > 0) {
    for await (const task of tasksOf(outcomes, tally)) {
      const count = perGroup.get(task.group) ?? 0;
      if (count < wanted) {
        tasks.push(task);
        perGroup.set(task.group, count + 1);
      }
      progress.update(tasks.length, wanted * KS.length, side);
      if (tasks.length === wanted * KS.length) break;
    }
  }
  const counts = Object.fromEntries(
    Object.entries(tally.rejected).map(([reason, count]) => [`rejected/${side}/${reason}`, count]),
  );
  return { tasks, counts };
}

function paragraphOf(task: Task): { title: string; text: string }[] {
  return task.type === 'ramp' ? [{ title: task.title, text: task.text }] : [];
}

async function makeQuestions(maker: Maker, side: Side): Promise<QuestionTask[]> {
  const { run, config, seed } = maker;
  const { world } = maker.corpus;
  const kinds = side === 'train' ? config.trainGroups : QUESTION_GROUPS;
  const perGroup = config[side].questions;
  if (perGroup === 0 || kinds.length === 0) return [];
  return [
    ...generateQuestions({
      seed,
      split: side,
      articles: side === 'train' ? world.articles : world.heldoutArticles,
      kinds,
      count: perGroup * kinds.length,
      passageIdAt: await passageLocator(run, side),
    }),
  ];
}

/** Finds the passage that holds an offset of a document. */
async function passageLocator(
  run: RunContext,
  side: Side,
): Promise<(documentId: string, offset: number) => string> {
  const starts = new Map<string, { start: number; id: string }[]>();
  for await (const { documentId, id, start } of readPassages(run, side)) {
    const known = starts.get(documentId);
    if (known) known.push({ start, id });
    else starts.set(documentId, [{ start, id }]);
  }
  return (documentId, offset) =>
    starts.get(documentId)?.findLast(({ start }) => start <= offset)?.id ?? `${documentId}#0`;
}

/** The titles of all documents: names that rules would miss. */
async function titleGazetteer(run: RunContext): Promise<Gazetteer> {
  const entries = [];
  for (const side of SIDES) {
    for await (const document of readDocuments(run, side)) {
      if (document.title !== '') entries.push(gazetteerEntry(document, 'title'));
    }
  }
  return new Gazetteer(entries);
}

function countGroups(tasks: readonly Task[], side: Side): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const { group } of tasks) {
    const name = `${side}/${group}`;
    counts[name] = (counts[name] ?? 0) + 1;
  }
  return counts;
}
