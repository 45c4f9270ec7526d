// Speed of native/masking on batches of a million tokens, one core, one run. Results are verified against
// the reference before anything is timed. One JSON line per case; `--record` also writes them, with machine,
// commit and command, to bench/results/masking.jsonl. Exits with 1 if a case is below its floor.
//
//   node bench/masking.ts [--record]
import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { cpus } from 'node:os';
import { deepStrictEqual } from 'node:assert/strict';
import { RandomStream } from '../packages/core/src/index.ts';
import {
  createPackingOutput,
  createRandomMaskOutput,
  createSpanMaskOutput,
  reference,
} from '../native/masking/src/index.ts';
import * as native from '../native/masking/src/index.ts';
import type {
  AuthorMaskInput,
  Masking,
  RandomMaskInput,
  SpanMaskInput,
} from '../native/masking/src/index.ts';
import { plainMaskSpansCollapsed } from './masking-plain.ts';

const TOKENS = 1_000_000;
/** About a paragraph. */
const SEQUENCE_TOKENS = 200;
const SEQUENCES = TOKENS / SEQUENCE_TOKENS;
const SPANS_PER_SEQUENCE = 4;
const SEGMENT_TOKENS = 20;
const WARM_UP = 5;
const REPEATS = 31;

interface Row {
  readonly case: string;
  /** What is asked for, in `unit`; null where nothing is. */
  readonly floor: number | null;
  readonly measured: number;
  /** measured / floor */
  readonly ratio: number | null;
  readonly unit: string;
  readonly peer: string;
  /** For one batch. */
  readonly milliseconds: Times;
  readonly peerMilliseconds?: Times;
}

const stream = new RandomStream(1, 'bench-masking');

function spanBatch(): SpanMaskInput {
  const starts = new Int32Array(TOKENS);
  const ends = new Int32Array(TOKENS);
  const spanStarts: number[] = [];
  const spanEnds: number[] = [];
  for (let b = 0; b < SEQUENCES; b++) {
    let cursor = 0;
    for (let t = b * SEQUENCE_TOKENS; t < (b + 1) * SEQUENCE_TOKENS; t++) {
      starts[t] = cursor;
      cursor += 1 + stream.below(7);
      ends[t] = cursor;
    }
    const part = Math.floor(cursor / SPANS_PER_SEQUENCE);
    for (let s = 0; s < SPANS_PER_SEQUENCE; s++) {
      const start = s * part + stream.below(Math.floor(part / 2));
      spanStarts.push(start);
      spanEnds.push(start + 4 + stream.below(20));
    }
  }
  return {
    ids: Int32Array.from({ length: TOKENS }, () => stream.below(30_000)),
    offsets: Int32Array.from({ length: SEQUENCES + 1 }, (_, b) => b * SEQUENCE_TOKENS),
    tokenStarts: starts,
    tokenEnds: ends,
    spanStarts: Int32Array.from(spanStarts),
    spanEnds: Int32Array.from(spanEnds),
    spanOffsets: Int32Array.from({ length: SEQUENCES + 1 }, (_, b) => b * SPANS_PER_SEQUENCE),
    maskId: 4,
  };
}

function authorBatch(offsets: Int32Array): AuthorMaskInput {
  const perSequence = SEQUENCE_TOKENS / SEGMENT_TOKENS;
  const count = SEQUENCES * perSequence;
  const starts = Int32Array.from({ length: count }, (_, s) => (s % perSequence) * SEGMENT_TOKENS);
  return {
    offsets,
    segmentStarts: starts,
    segmentEnds: starts.map((start) => start + SEGMENT_TOKENS),
    authors: Uint8Array.from({ length: count }, () => stream.below(4)),
    segmentOffsets: Int32Array.from({ length: SEQUENCES + 1 }, (_, b) => b * perSequence),
  };
}

/** Quantiles of the milliseconds of one function. */
interface Times {
  readonly p20: number;
  readonly p50: number;
  readonly p80: number;
}

/** Times of each function; the functions take turns, so that all see the same machine. */
function times(functions: readonly (() => void)[]): Times[] {
  const milliseconds = functions.map((): number[] => []);
  for (let repeat = 0; repeat < WARM_UP + REPEATS; repeat++) {
    functions.forEach((run, i) => {
      const start = performance.now();
      run();
      if (repeat >= WARM_UP) milliseconds[i]?.push(performance.now() - start);
    });
  }
  return milliseconds.map((list) => {
    list.sort((a, b) => a - b);
    const quantile = (q: number) => list[Math.floor(q * (REPEATS - 1))] ?? Number.NaN;
    return { p20: quantile(0.2), p50: quantile(0.5), p80: quantile(0.8) };
  });
}

function row(fields: Omit<Row, 'ratio'>): Row {
  const { floor, measured } = fields;
  return { ...fields, ratio: floor === null ? null : measured / floor };
}

/** One case of "how many times faster than `peer`", by the 20 % quantiles, the least disturbed runs. */
function speedUp(
  name: string,
  [floor, peer]: readonly [floor: number | null, peer: string],
  output: () => object,
  run: readonly [fast: (output: never) => unknown, slow: (output: never) => unknown],
): Row {
  const outputs = run.map(output);
  run.forEach((call, i) => call(outputs[i] as never));
  deepStrictEqual(outputs[0], outputs[1], `${name}: expected equal results`);
  const [fast, slow] = times(run.map((call, i) => () => void call(outputs[i] as never)));
  if (!fast || !slow) throw new Error(`${name}: expected two measurements`);
  return row({
    case: name,
    floor,
    measured: slow.p20 / fast.p20,
    unit: 'x',
    peer,
    milliseconds: fast,
    peerMilliseconds: slow,
  });
}

type SpanOutput = ReturnType<typeof createSpanMaskOutput>;
type RandomOutput = ReturnType<typeof createRandomMaskOutput>;
const PLAIN = 'plain TypeScript on typed arrays (native/masking/src/reference.ts)';

function spanRows(batch: SpanMaskInput): Row[] {
  const output = () => createSpanMaskOutput(batch);
  const collapsed = (masking: Masking) => (out: SpanOutput) =>
    masking.maskSpansCollapsed(batch, out);
  const perToken = (masking: Masking) => (out: SpanOutput) => masking.maskSpansPerToken(batch, out);
  const tuned = (out: SpanOutput) => plainMaskSpansCollapsed(batch, out);
  return [
    speedUp('spans, collapsed', [4, PLAIN], output, [collapsed(native), collapsed(reference)]),
    speedUp('spans, per token', [4, PLAIN], output, [perToken(native), perToken(reference)]),
    speedUp(
      'spans, collapsed, against one tuned loop',
      [null, 'one loop in TypeScript (bench/masking-plain.ts)'],
      output,
      [collapsed(native), tuned],
    ),
  ];
}

function authorRow(batch: AuthorMaskInput): Row {
  const [mask, expected] = [new Uint8Array(TOKENS), new Uint8Array(TOKENS)];
  native.authorMask(batch, mask);
  reference.authorMask(batch, expected);
  deepStrictEqual(mask, expected);
  const [milliseconds] = times([() => void native.authorMask(batch, mask)]);
  if (!milliseconds) throw new Error('author mask: expected a measurement');
  return row({
    case: 'author mask',
    floor: 400,
    measured: TOKENS / milliseconds.p50 / 1000,
    unit: 'M tokens/s',
    peer: 'none',
    milliseconds,
  });
}

function otherRows({ ids, offsets }: SpanMaskInput): Row[] {
  const random: RandomMaskInput = { ids, offsets, key: [1, 2], firstSequence: 0, maskId: 4 };
  const labels = () => new Int32Array(TOKENS);
  const output = () => createRandomMaskOutput(TOKENS);
  const tokens = (masking: Masking) => (out: RandomOutput) =>
    masking.maskRandomTokens({ ...random, probability: 0.15 }, out);
  const spans = (masking: Masking) => (out: RandomOutput) =>
    masking.maskGeometricSpans({ ...random, ratio: 0.15, stop: 0.2, maxLength: 10 }, out);
  const lengths = Int32Array.from({ length: SEQUENCES }, () => 1 + stream.below(400));
  const packing = (masking: Masking) => (out: ReturnType<typeof createPackingOutput>) =>
    masking.packFirstFitDecreasing({ lengths, budgetTokens: 2048 }, out);
  const shift = (masking: Masking) => (out: Int32Array) =>
    masking.shiftedLabels({ ids, offsets }, out);
  return [
    speedUp('shifted labels', [null, PLAIN], labels, [shift(native), shift(reference)]),
    speedUp('random tokens', [null, PLAIN], output, [tokens(native), tokens(reference)]),
    speedUp('geometric spans', [null, PLAIN], output, [spans(native), spans(reference)]),
    speedUp('packing of 5000 sequences', [null, PLAIN], () => createPackingOutput(SEQUENCES), [
      packing(native),
      packing(reference),
    ]),
  ];
}

function record(rows: readonly Row[]): void {
  const about = {
    machine: `${cpus()[0]?.model.trim() ?? 'unknown'}, ${cpus().length} cores, Node ${process.version}`,
    commit: execFileSync('git', ['rev-parse', '--short', 'HEAD'], { encoding: 'utf8' }).trim(),
    command: 'node bench/masking.ts --record',
    date: new Date().toISOString().slice(0, 10),
  };
  const lines = rows.map((line) => `${JSON.stringify({ ...line, ...about })}\n`);
  writeFileSync(new URL('results/masking.jsonl', import.meta.url), lines.join(''));
}

const batch = spanBatch();
const rows = [...spanRows(batch), authorRow(authorBatch(batch.offsets)), ...otherRows(batch)];
for (const line of rows) console.log(JSON.stringify(line));
if (process.argv.includes('--record')) record(rows);
if (rows.some(({ ratio }) => ratio !== null && ratio < 1)) process.exitCode = 1;
