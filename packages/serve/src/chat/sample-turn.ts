// One sampled turn, piece by piece: the engine's tokens go into a TurnText as they come.
import { CancelledError, type StreamKey } from '@masksearch/core';
import type { Sampler, StopSequence } from '@masksearch/model';
import type { GrammarPosition } from '../grammar/token-grammar.ts';
import { type SamplingRequest, stopStringsOf } from './sampling-request.ts';
import { type TextOptions, TurnText } from './turn-text.ts';

/** Tokens between two looks at the text: of a stream, and where a stop string may end the turn. */
const PIECE_TOKENS = 4;

export interface TurnJob {
  readonly sampler: Sampler;
  readonly prompt: Int32Array;
  /** Decides every draw; what else is sampled at the same time does not. */
  readonly key: StreamKey;
  readonly maxTokens: number;
  readonly temperature: number;
  /** Share of the nucleus that is sampled from; 1 = all tokens. */
  readonly topP: number;
  /** What the turn is held to, token by token; null for any text. */
  readonly grammar: GrammarPosition | null;
  readonly stop: readonly StopSequence[];
  readonly text: TurnText;
  /** Tokens between two looks at the text; sampled past a stop string at most. */
  readonly pieceTokens: number;
  readonly signal: AbortSignal;
}

type FromRequest = 'temperature' | 'topP' | 'pieceTokens' | 'text';

/** A turn as a request wants it; what the request leaves open is as in OpenAI's API. */
export function turnJobOf(
  request: SamplingRequest,
  turn: Omit<TurnJob, FromRequest>,
  format: Pick<TextOptions, 'tokenizer' | 'silent' | 'holdFrom'>,
): TurnJob {
  const stop = stopStringsOf(request);
  const looksOften = request.stream === true || stop.length > 0;
  return {
    ...turn,
    temperature: request.temperature ?? 1,
    topP: request.top_p ?? 1,
    pieceTokens: looksOften ? PIECE_TOKENS : turn.maxTokens,
    text: new TurnText({
      ...format,
      stop,
      includeStop: request.include_stop_str_in_output === true,
    }),
  };
}

/** Work on several turns; when it fails, the signal that it was given tells those that still run to stop. */
export async function together<T>(
  signal: AbortSignal,
  work: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const failed = new AbortController();
  try {
    return await work(AbortSignal.any([signal, failed.signal]));
  } catch (error) {
    failed.abort();
    throw error;
  }
}

/**
 * Samples until a stop or the end of the budget; yields after every piece.
 * @returns whether the model ended the turn or its length did.
 * @throws {CancelledError} `signal` fired.
 */
export async function* sampleTurn(job: TurnJob): AsyncGenerator<void, 'stop' | 'length'> {
  const { sampler, prompt, key, maxTokens, temperature, topP, stop, text, signal, grammar } = job;
  const pieceTokens = grammar === null ? job.pieceTokens : 1; // the next mask needs this token
  if (maxTokens === 0) {
    text.end();
    return 'length';
  }
  const sequence = sampler.open(prompt, key);
  try {
    let sampled = 0;
    for (;;) {
      const { tokens, logProbs, reason } = await sequence.generate({
        maxTokens: Math.min(pieceTokens, maxTokens - sampled),
        temperature,
        topP,
        ...(grammar === null ? {} : { allowed: grammar.allowed(maxTokens - sampled) }),
        stop,
        turn: 0,
        signal,
      });
      if (reason === 'cancelled') throw new CancelledError('chat: cancelled.');
      for (const [i, id] of tokens.entries()) text.add(id, logProbs[i] ?? 0);
      sampled += tokens.length;
      if (grammar !== null && reason !== 'stop') for (const id of tokens) grammar.take(id);
      const wasStopped = text.isStopped || reason === 'stop' || grammar?.isOver === true;
      if (wasStopped || reason !== 'length' || sampled >= maxTokens) {
        text.end();
        yield;
        return wasStopped && grammar?.wasHurried !== true ? 'stop' : 'length';
      }
      yield;
    }
  } finally {
    sequence.close();
  }
}

/** Samples a whole turn. @returns what ended it. @throws as `sampleTurn`. */
export async function sampleWholeTurn(job: TurnJob): Promise<'stop' | 'length'> {
  const pieces = sampleTurn(job);
  let piece = await pieces.next();
  while (piece.done !== true) piece = await pieces.next();
  return piece.value;
}
