// The scorer sees the gap from both sides and labels the span's tokens only.
import { renderAnswerTurn } from '@masksearch/agent';
import type { LanguageModel, PackedBatch } from '@masksearch/model';
import type { SpanToScore } from '@masksearch/ramp';
import { PROTOCOL_TOKENS, trainBpe } from '@masksearch/tokenizer';
import { expect, it } from 'vitest';
import { createSpanScorer } from './span-scorer.ts';

const TEXT = 'The printer Belo Nakuda opened Gutu Vuvo in 1703 near Lihiti.';
const texts = [TEXT, `Fill: ${TEXT}`, '<think> a</think><answer> b</answer>'];
const tokenizers = [PROTOCOL_TOKENS, []].map((specialTokens) =>
  trainBpe(texts, { vocabularySize: 400, specialTokens }),
);

/** Gives every label the log-probability −(its id + 1) / 1000 and remembers what it was shown. */
function fakeModel(seen: PackedBatch[]): Pick<LanguageModel, 'score'> {
  return {
    score: (batch) => {
      seen.push(batch);
      const logProbs = Float32Array.from(batch.tokens, (id, t) =>
        batch.lossMask[t] === 1 ? -(id + 1) / 1000 : 0,
      );
      return Promise.resolve({ logProbs, entropies: new Float32Array(batch.tokens.length) });
    },
  };
}

const spanOf = (text: string): SpanToScore => {
  const start = TEXT.indexOf(text);
  return {
    title: 'Printing',
    text: TEXT,
    span: { start, end: start + text.length, text, kind: 'name', aliases: [] },
  };
};

it.each(tokenizers.map((tokenizer, i) => [i, tokenizer] as const))(
  'labels the answer and nothing else, and means over its tokens, tokenizer %i',
  async (_, tokenizer) => {
    const seen: PackedBatch[] = [];
    const spans = ['Belo Nakuda', 'Gutu Vuvo', '1703', 'Lihiti'].map(spanOf);
    const model = fakeModel(seen) as LanguageModel;
    const scores = await createSpanScorer(model, tokenizer)(spans);
    // One forward pass for all.
    expect(seen).toHaveLength(1);
    const [batch] = seen as [PackedBatch];
    for (const [b, { span }] of spans.entries()) {
      const [start = 0, end = 0] = [batch.offsets[b], batch.offsets[b + 1]];
      const ids = batch.tokens.subarray(start, end);
      const labels = ids.filter((_id, t) => batch.lossMask[start + t] === 1);
      expect(tokenizer.decode(labels).trim()).toBe(span.text);
      const shown = tokenizer.decode(ids);
      const masked = TEXT.replace(span.text, '[mask]');
      expect(shown).toBe(`Fill: ${masked}\n 1: ${masked}\n${renderAnswerTurn('', span.text)}`);
      const mean = labels.reduce((sum, id) => sum - (id + 1) / 1000, 0) / labels.length;
      expect(scores[b]).toBeCloseTo(mean, 5);
    }
  },
);
