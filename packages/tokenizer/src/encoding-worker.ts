// The worker thread of an EncodingPool: encodes batches of texts with a tokenizer of its own.
import { parentPort, workerData } from 'node:worker_threads';
import { parseTokenizer } from './byte-level-tokenizer.ts';
import type { EncodedBatch, TextBatch } from './encoding-pool.ts';

const tokenizer = parseTokenizer(workerData as string);

parentPort?.on('message', ({ serial, texts }: TextBatch) => {
  const encodings = texts.map((text) => tokenizer.encodeWithOffsets(text));
  const answer: EncodedBatch = { serial, encodings };
  const buffers = encodings.flatMap(({ ids, starts, ends }) => [ids, starts, ends]);
  parentPort?.postMessage(
    answer,
    buffers.map(({ buffer }) => buffer as ArrayBuffer),
  );
});
