// Four ways to choose what is masked, side by side on the paragraphs of a run: how many spans, how many can be found, how many
// a model guesses without searching.
//
//   node apps/cli/test/span-selectors-bench.ts --run runs/enwiki --model runs/enwiki/sft/model --paragraphs 60
//
// Without --endpoint the spans of the row `model` come from a stand-in: the rule-based extractor behind the prompt, with one
// string in five changed, so that the checks have something to refuse. Appends rows to bench/results/spans.jsonl.
import { appendFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { ChatClient, type ChatModel } from '@masksearch/chat';
import {
  RandomStream,
  type Document,
  type MaskTask,
  type Passage,
  type Span,
} from '@masksearch/core';
import { splitPassages } from '@masksearch/corpus';
import { createNativeModel } from '@masksearch/engine';
import { loadModelFolder } from '@masksearch/model';
import {
  eligibleSpans,
  extractSpans,
  Gazetteer,
  gazetteerEntry,
  makeTasks,
  resolveRampConfig,
  words,
  type RampConfig,
} from '@masksearch/ramp';
import { openIndex } from '@masksearch/search';
import { loadTokenizer } from '@masksearch/tokenizer';
import { createSpanScorer } from '../src/stages/span-scorer.ts';
import { readDocuments } from '../src/stages/sides.ts';
import { createSpanLister } from '../src/synthesis/span-lister.ts';

/** Slots of each task: the most that the paper masks. */
const K = 4;
/** A span counts as guessable if the model gives it, whole, at least this probability. */
const GUESSABLE = 0.5;

const { values } = parseArgs({
  options: {
    run: { type: 'string', default: 'runs/enwiki' },
    model: { type: 'string', default: 'runs/enwiki/sft/model' },
    paragraphs: { type: 'string', default: '60' },
    endpoint: { type: 'string' },
    endpointModel: { type: 'string' },
  },
});
const run = { folder: resolve(values.run) };
const limit = Number(values.paragraphs);
const tokenizer = loadTokenizer(join(values.model, 'tokenizer.json'));
const model = await createNativeModel(loadModelFolder(values.model));
const scoreSpans = createSpanScorer(model, tokenizer);
const search = openIndex(join(run.folder, 'index', 'train'));
const documents: Document[] = [];
for await (const document of readDocuments(run, 'train')) documents.push(document);
const gazetteer = new Gazetteer(documents.map((document) => gazetteerEntry(document, 'title')));

/** Paragraphs that every way of choosing can use: long enough, with more than K salient spans. */
function chosenPassages(): Map<string, Passage[]> {
  const chosen = new Map<string, Passage[]>();
  let count = 0;
  for (const document of documents) {
    const fit = splitPassages(document, { maxWords: 60 }).filter(
      (passage) => words(passage.text).length >= 25 && salient(document, passage).length > K,
    );
    const few = fit.slice(0, 3).slice(0, limit - count);
    count += few.length;
    if (few.length > 0) chosen.set(document.id, few);
  }
  return chosen;
}

function salient({ title, aliases }: Document, { text }: Passage): readonly Span[] {
  const spans = [...gazetteer.find(text), ...extractSpans(text)];
  return eligibleSpans({ text, title, aliases }, spans, { allowLeadingMask: false }).eligible;
}

function standIn(): ChatModel {
  return {
    name: 'stand-in',
    structured: false,
    complete: ({ messages }) => {
      const text = (messages[1]?.content ?? '').split('\n').slice(1).join('\n');
      const random = new RandomStream('stand-in', text);
      const spans = extractSpans(text).map((span) =>
        random.below(5) === 0 ? `${span.text} etc` : span.text,
      );
      return Promise.resolve({
        text: JSON.stringify({ spans: spans.slice(0, 40) }),
        toolCalls: [],
        finish: 'stop',
        usage: { inputTokens: 0, outputTokens: 0 },
        model: 'stand-in',
      });
    },
  };
}

const passages = chosenPassages();
const total = [...passages.values()].flat().length;
const { endpoint, endpointModel = 'default' } = values;
const client =
  endpoint === undefined
    ? null
    : new ChatClient({ name: 'lister', config: { baseUrl: endpoint, model: endpointModel } });
const lister = createSpanLister(client ?? standIn());

for (const spans of ['salient', 'random', 'model', 'perplexity'] as const) {
  const offered: number[] = [];
  const tasks = await tasksBy(spans, offered);
  const slots = tasks.flatMap((task) =>
    task.slots.map((span, i) => ({
      title: task.title,
      text: task.text,
      span,
      found: task.retrievable[i],
    })),
  );
  const means = await scoreSpans(slots);
  const lengths = slots.map(({ span }) => tokenizer.encode(` ${span.text}`).length);
  const guessed = means.filter((mean, i) => Math.exp(mean * (lengths[i] ?? 1)) >= GUESSABLE).length;
  const found = slots.filter((slot) => slot.found).length;
  const row = {
    case: spans === 'model' ? `model (${client?.name ?? 'stand-in'})` : spans,
    paragraphs: total,
    tasks: tasks.length,
    spansPerParagraph: offered.reduce((sum, count) => sum + count, 0) / Math.max(1, offered.length),
    slots: slots.length,
    recoverable: found / slots.length,
    guessable: guessed / slots.length,
    meanLogProb: means.reduce((sum, mean) => sum + mean, 0) / slots.length,
    scorer: values.model,
    ...(spans === 'model' ? { lister: lister.counts } : {}),
    date: new Date().toISOString().slice(0, 10),
  };
  appendFileSync(
    join(import.meta.dirname, '../../../bench/results/spans.jsonl'),
    `${JSON.stringify(row)}\n`,
  );
  console.log(row);
}
await client?.close();
search.close();
await model.dispose();

async function tasksBy(spans: RampConfig['spans'], offered: number[]): Promise<MaskTask[]> {
  const tasks: MaskTask[] = [];
  const outcomes = makeTasks({
    documents: documents.filter(({ id }) => passages.has(id)),
    passagesOf: (document) => {
      const own = passages.get(document.id) ?? [];
      if (spans === 'salient' || spans === 'perplexity') {
        offered.push(...own.map((passage) => salient(document, passage).length));
      }
      return own;
    },
    search,
    config: resolveRampConfig({
      ks: [K],
      spans,
      rules: 'always',
      minWords: 25,
      requireRetrievable: false,
    }),
    seed: 1,
    gazetteer,
    scoreSpans,
    listSpans: async (paragraph) => {
      const listed = await lister.list(paragraph);
      const fit = eligibleSpans({ ...paragraph, aliases: [] }, listed ?? [], {
        allowLeadingMask: false,
      });
      offered.push(fit.eligible.length);
      return listed;
    },
  });
  for await (const outcome of outcomes) if ('task' in outcome) tasks.push(outcome.task);
  if (spans === 'random') offered.push(...tasks.map(({ k }) => k));
  return tasks;
}
