// Configuration of what the model learns from: corpus, tokenizer, index, tasks, trajectories.
import { z } from 'zod';
import { section, setting } from './setting.ts';

const count = (about: string, value: number) =>
  setting(z.int().min(0), { about, unit: 'tasks' }).default(value);

export const corpusSchema = section(
  {
    input: setting(z.string().nullable(), {
      about:
        'file or folder to read: Wikipedia dump (.xml, .xml.bz2), Parquet, JSON lines or text; null generates a world',
    }).default(null),
    maxDocuments: setting(z.int().min(1).nullable(), {
      about: 'stop after so many documents; null reads all',
      unit: 'documents',
    }).default(null),
    world: section(
      {
        articles: setting(z.int().min(100).max(1_000_000), {
          about: 'articles of the generated training world',
          unit: 'articles',
        }).default(2000),
        heldoutArticles: setting(z.int().min(100).max(1_000_000), {
          about: 'articles of the held-out world, which shares no name with the training world',
          unit: 'articles',
        }).default(1000),
      },
      'the generated encyclopedia, used when there is no input',
    ).prefault({}),
    heldoutShare: setting(z.number().min(0).max(0.5), {
      about: 'share of the documents of an input that only held-out tasks are made from',
    }).default(0.1),
    passageWords: setting(z.int().min(5).max(1000), {
      about: 'longest passage; sentences are kept whole where they fit',
      unit: 'words',
      source: 'half of DPR (arXiv:2004.04906 §4.1), as small models read little',
    }).default(60),
  },
  'documents and passages',
);

export const tokenizerSchema = section(
  {
    vocabularySize: setting(z.int().min(266).max(200_000), {
      about: 'tokens of the byte-level BPE trained on the corpus; a model folder brings its own',
      unit: 'tokens',
    }).default(1024),
    minimumPairCount: setting(z.int().min(2), {
      about: 'a pair of tokens must occur so often to become one; keeps rare names in pieces',
      unit: 'occurrences',
    }).default(2),
    maxCharacters: setting(z.int().min(1000), {
      about: 'text that the tokenizer is trained on at most',
      unit: 'characters',
    }).default(20_000_000),
  },
  'the tokenizer',
);

export const indexSchema = section(
  {
    k1: setting(z.number().min(0), {
      about: 'BM25 term-frequency saturation',
      source: 'Anserini',
    }).default(0.9),
    b: setting(z.number().min(0).max(1), {
      about: 'BM25 length normalisation',
      source: 'Anserini',
    }).default(0.4),
  },
  'the search index (BM25)',
);

const perGroup = (defaults: { ramp: number; questions: number }) => ({
  ramp: count('RAMP tasks for each k of 1..4', defaults.ramp),
  questions: count('questions of each group; only a world has questions', defaults.questions),
});

export const tasksSchema = section(
  {
    train: section(perGroup({ ramp: 500, questions: 500 }), 'training tasks').prefault({}),
    heldout: section(perGroup({ ramp: 200, questions: 200 }), 'held-out tasks').prefault({}),
    trainGroups: setting(z.array(z.enum(['hop1', 'hop2', 'comparison', 'hop3', 'list'])), {
      about: 'question groups to train on; the others are out of domain',
    }).default(['hop1', 'hop2', 'comparison']),
    spans: setting(z.enum(['salient', 'random', 'model', 'perplexity']), {
      about:
        'what is masked: salient spans, random words of the same lengths (a control), spans that a language model lists, or the salient spans that a model finds hardest to fill in',
    }).default('salient'),
    spanEndpoint: setting(z.string().nullable(), {
      about: 'for spans model: the endpoint of synthesis.endpoints that lists them',
    }).default(null),
    spanModel: setting(z.string().nullable(), {
      about:
        'for spans perplexity: Hugging Face folder of the model that scores them, with its tokenizer.json; null takes model.from',
    }).default(null),
    rules: setting(z.enum(['never', 'unannotated', 'always']), {
      about: 'find spans by rules: never, in documents without annotations, or always',
    }).default('unannotated'),
    minWords: setting(z.int().min(1), {
      about: 'shorter passages make no task',
      unit: 'words',
    }).default(8),
    requireRetrievable: setting(z.boolean(), {
      about: 'keep a task only if search finds every slot without the source',
    }).default(true),
    evidenceTopK: setting(z.int().min(1).max(1000), {
      about: 'results looked through for a slot',
      unit: 'passages',
    }).default(10),
    allowSource: setting(z.boolean(), {
      about: 'let retrieval return the passage that a task was made from',
    }).default(false),
  },
  'RAMP tasks and questions',
);

export const trajectoriesSchema = section(
  {
    share: setting(z.number().gt(0).max(1), {
      about: 'share of the training tasks of each group that the teacher plays, the first ones',
    }).default(1),
    teacher: setting(z.enum(['oracle', 'models']), {
      about: 'who makes them: the oracle, or the language models of the synthesis section',
    }).default('oracle'),
    queryOrder: setting(z.enum(['surest', 'drawn']), {
      about:
        'which query of a look-up the oracle tries first: the surest, or one drawn, so that the student sees searches that fail, and reinforcement learning can find out which work',
    }).default('surest'),
    concurrency: setting(z.int().min(1).max(4096), {
      about: 'episodes under way at once; changes no result',
      unit: 'episodes',
    }).default(16),
  },
  "the teacher's trajectories",
);
