// How hard a span is to fill in, by a language model on our engine: its log-probability as the answer to its gap.
import { ProtocolCodec, renderAnswerTurn } from '@masksearch/agent';
import type { LanguageModel } from '@masksearch/model';
import { makeTask, type ScoreSpans, type SpanToScore } from '@masksearch/ramp';
import type { Tokenizer } from '@masksearch/tokenizer';

/** Tokens of one forward pass; spans that do not fit wait for the next. */
const BATCH_TOKENS = 8192;

interface Sequence {
  readonly ids: Int32Array;
  /** [first, last) of the span's tokens. */
  readonly first: number;
  readonly last: number;
}

/**
 * A scorer for `makeTasks`: the model reads the paragraph with the span masked, as the fill task shows it, and the span is
 * the answer. Several spans share a forward pass.
 * @returns mean log-probability per token of each span, nats.
 */
export function createSpanScorer(model: LanguageModel, tokenizer: Tokenizer): ScoreSpans {
  const codec = new ProtocolCodec(tokenizer);
  return async (spans) => {
    const sequences = spans.map((span) => sequenceOf(codec, span));
    const scores: number[] = [];
    for (const batch of batchesOf(sequences)) scores.push(...(await scoreBatch(model, batch)));
    return scores;
  };
}

function sequenceOf(codec: ProtocolCodec, { title, text, span }: SpanToScore): Sequence {
  const passage = { version: 1 as const, id: 'p', documentId: 'd', title, text, start: 0 };
  const task = makeTask({
    passage,
    slots: [span],
    excludedPassages: [],
    ranks: [null],
    topK: 1,
    kMax: 1,
  });
  const prompt = codec.prompt(task).ids;
  const turn = codec.encodeTurn(renderAnswerTurn('', span.text));
  // The same turn with another answer has the same tokens around it.
  const other = codec.encodeTurn(renderAnswerTurn('', '?'));
  const before = commonPrefix(turn, other);
  const after = Math.min(
    commonPrefix(turn.toReversed(), other.toReversed()),
    turn.length - before - 1,
  );
  return {
    ids: Int32Array.of(...prompt, ...turn),
    first: prompt.length + before,
    last: prompt.length + turn.length - after,
  };
}

function commonPrefix(a: Int32Array, b: Int32Array): number {
  let length = 0;
  while (length < Math.min(a.length, b.length) - 1 && a[length] === b[length]) length++;
  return length;
}

function* batchesOf(sequences: readonly Sequence[]): Generator<Sequence[]> {
  let batch: Sequence[] = [];
  let tokens = 0;
  for (const sequence of sequences) {
    if (batch.length > 0 && tokens + sequence.ids.length > BATCH_TOKENS) {
      yield batch;
      [batch, tokens] = [[], 0];
    }
    batch.push(sequence);
    tokens += sequence.ids.length;
  }
  if (batch.length > 0) yield batch;
}

async function scoreBatch(model: LanguageModel, batch: readonly Sequence[]): Promise<number[]> {
  const offsets = [0];
  for (const { ids } of batch) offsets.push((offsets.at(-1) ?? 0) + ids.length);
  const total = offsets.at(-1) ?? 0;
  const tokens = new Int32Array(total);
  const lossMask = new Uint8Array(total);
  for (const [b, { ids, first, last }] of batch.entries()) {
    const start = offsets[b] ?? 0;
    tokens.set(ids, start);
    lossMask.fill(1, start + first, start + last);
  }
  const { logProbs } = await model.score({ tokens, offsets: Int32Array.from(offsets), lossMask });
  return batch.map(({ first, last }, b) => {
    const start = offsets[b] ?? 0;
    const sum = logProbs.subarray(start + first, start + last).reduce((all, one) => all + one, 0);
    // Rounding may leave a certain token a hair above zero.
    return Math.min(0, sum / (last - first));
  });
}
