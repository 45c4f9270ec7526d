// Stage corpus: documents and passages of the training and the held-out side, and the tokenizer.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import {
  CancelledError,
  InputError,
  JsonlWriter,
  RandomStream,
  writeFileAtomic,
  type Document,
} from '@masksearch/core';
import { readCorpus, splitPassages } from '@masksearch/corpus';
import { parseTokenizer, PROTOCOL_TOKENS, trainBpe } from '@masksearch/tokenizer';
import { generateWorld } from '@masksearch/world';
import type { RunConfig } from '../config/run-config.ts';
import { hashPath } from '../run/hash-path.ts';
import type { RunContext } from '../run/run-folder.ts';
import { runStage, type StageOutcome, type StageWork } from '../run/run-stage.ts';
import { SIDES, type Side } from './sides.ts';

export async function corpusStage(run: RunContext, config: RunConfig): Promise<StageOutcome> {
  const { corpus, tokenizer, model } = config;
  const tokenizerFile = model.from === null ? null : join(model.from, 'tokenizer.json');
  const read = [corpus.input, tokenizerFile].filter((path) => path !== null);
  return runStage(run, {
    name: 'corpus',
    config: { corpus, tokenizer, tokenizerFile },
    inputs: Object.fromEntries(
      await Promise.all(read.map(async (path) => [path, await hashPath(path)])),
    ),
    resumable: false,
    execute: async (work) => {
      const copied = tokenizerFile === null ? undefined : readTokenizerText(tokenizerFile);
      const writer = new CorpusWriter(work, config);
      if (corpus.input === null) writeWorlds(writer, work, config);
      else await writeInput(writer, corpus.input, work, config);
      const counts = writer.close();
      const text = copied ?? trainTokenizer(writer.texts, config);
      writeFileAtomic(join(work.folder, 'tokenizer.json'), text);
      return { counts, device: 'cpu' };
    },
  });
}

/** The training world and the held-out world, each with its own passages. */
function writeWorlds(writer: CorpusWriter, work: StageWork, { corpus }: RunConfig): void {
  const articles = { train: corpus.world.articles, heldout: corpus.world.heldoutArticles };
  for (const side of SIDES) {
    const options = { seed: work.seed, articles: articles[side], split: side };
    for (const document of generateWorld(options)) {
      writer.document(document, side);
      writer.passages(document, side);
    }
  }
}

/** Documents of an input; some are held out from training, all are searched together. */
async function writeInput(
  writer: CorpusWriter,
  input: string,
  work: StageWork,
  { corpus }: RunConfig,
): Promise<void> {
  let documents = 0;
  const onSkip = (reason: string): void => writer.skip(reason);
  for await (const document of readCorpus(input, { onSkip })) {
    const random = new RandomStream(work.seed, 'heldout-document', document.id);
    writer.document(document, random.uniform() < corpus.heldoutShare ? 'heldout' : 'train');
    writer.passages(document, 'train');
    documents++;
    if (documents === corpus.maxDocuments) break;
  }
  if (documents === 0) {
    throw new InputError(`${input}: expected at least one document with text, found none.`);
  }
}

/** Writes the files of the stage, counts what goes into them and keeps text for the tokenizer. */
class CorpusWriter {
  /** Text of the training side, up to `tokenizer.maxCharacters`. */
  readonly texts: string[] = [];
  readonly #work: StageWork;
  readonly #config: RunConfig;
  readonly #progress;
  readonly #files = new Map<string, JsonlWriter>();
  readonly #counts: Record<string, number> = {};
  #characters = 0;

  constructor(work: StageWork, config: RunConfig) {
    this.#work = work;
    this.#config = config;
    this.#progress = work.progress('documents');
  }

  /** @throws {CancelledError} the run was interrupted. */
  document(document: Document, side: Side): void {
    if (this.#work.signal.aborted) throw new CancelledError('corpus: cancelled.');
    this.#write(`${side}/documents.jsonl`, document);
    this.#count(`documents/${side}`);
    this.#progress.update(this.#counts[`documents/${side}`] ?? 0, undefined, side);
    if (side === 'train' && this.#characters < this.#config.tokenizer.maxCharacters) {
      this.texts.push(document.text);
      this.#characters += document.text.length;
    }
  }

  passages(document: Document, side: Side): void {
    const maxWords = this.#config.corpus.passageWords;
    for (const passage of splitPassages(document, { maxWords })) {
      this.#write(`${side}/passages.jsonl`, passage);
      this.#count(`passages/${side}`);
    }
  }

  skip(reason: string): void {
    this.#count(`skipped/${reason}`);
  }

  close(): Readonly<Record<string, number>> {
    for (const file of this.#files.values()) file.close();
    return this.#counts;
  }

  #write(name: string, record: unknown): void {
    const file = this.#files.get(name) ?? new JsonlWriter(join(this.#work.folder, name));
    this.#files.set(name, file);
    file.write(record);
  }

  #count(name: string): void {
    this.#counts[name] = (this.#counts[name] ?? 0) + 1;
  }
}

function trainTokenizer(texts: readonly string[], { tokenizer }: RunConfig): string {
  const { vocabularySize, minimumPairCount } = tokenizer;
  const options = { vocabularySize, minimumPairCount, specialTokens: PROTOCOL_TOKENS };
  return trainBpe(texts, options).serialize();
}

/** The text of a tokenizer.json, after a look whether it is one. */
function readTokenizerText(path: string): string {
  const text = readFileSync(path, 'utf8');
  parseTokenizer(text, path);
  return text;
}
