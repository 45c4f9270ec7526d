// One episode from prompt to finish: turns, searches, budgets. Whoever writes the turns, the rules are these.
import {
  CancelledError,
  InputError,
  MaskSearchError,
  TimeoutError,
  withDeadline,
  type FinishReason,
  type Message,
  type Sample,
  type SearchCall,
  type Task,
} from '@masksearch/core';
import type { SearchTool } from '@masksearch/search';
import type { EpisodeConfig } from './episode-config.ts';
import { alignFilled } from './fill-alignment.ts';
import { searchInterleaved } from './multi-query.ts';
import type { Player } from './player.ts';
import type { EpisodeCodec } from './episode-codec.ts';
import { splitSlots } from './protocol.ts';
import { Transcript } from './transcript.ts';

/** A sample before it is scored, with its text. */
export interface Episode extends Omit<Sample, 'rewardTerms' | 'reward' | 'outcome'> {
  readonly messages: Message[];
  /** Tokens that the policy wrote. */
  readonly policyTokens: number;
}

export interface PlayOptions {
  readonly task: Task;
  readonly sampleIndex: number;
  readonly policyVersion: number;
  readonly codec: EpisodeCodec;
  readonly search: SearchTool;
  readonly config: EpisodeConfig;
  readonly signal?: AbortSignal | undefined;
  /** Makes the player once the prompt is known. */
  readonly open: (prompt: Int32Array) => Player;
}

// Room kept for a turn after a tool's output: tags and a few words. With less, reading it would be in vain.
const MINIMUM_TURN_TOKENS = 8;

/**
 * Plays one episode. Time-outs, cancellation, a failing tool and used-up budgets end it with their finish reason;
 * what was written until then is kept.
 *
 * @throws {InputError} the prompt leaves no room in the context.
 * @throws {IntegrityError} of the search tool: its data is damaged or, in a cassette, absent.
 * @throws {TimeoutError | CancelledError} it ended before the policy wrote anything, so there is no sample.
 */
export async function playEpisode(options: PlayOptions): Promise<Episode> {
  const { task, codec, config } = options;
  const prompt = codec.prompt(task);
  if (prompt.ids.length + MINIMUM_TURN_TOKENS > config.maxContextTokens) {
    throw new InputError(
      `playEpisode(${task.id}): expected a prompt of at most ${config.maxContextTokens - MINIMUM_TURN_TOKENS} tokens, received ${prompt.ids.length}; raise maxContextTokens or leave the task out.`,
    );
  }
  const transcript = new Transcript();
  transcript.appendPrompt(prompt);
  const searches: SearchCall[] = [];
  const limit = new EpisodeLimit(config.episodeTimeoutMs, options.signal);
  const player = options.open(prompt.ids);
  let end: End;
  try {
    end = await playTurns({ ...options, transcript, searches, player, limit });
  } finally {
    limit.clear();
    player.close();
  }
  if (transcript.policyTokens === 0) throw nothingWritten(task, end.finishReason, config);
  return {
    version: 1,
    taskId: task.id,
    group: task.group,
    sampleIndex: options.sampleIndex,
    policyVersion: options.policyVersion,
    ids: transcript.ids,
    mask: transcript.mask,
    logProbs: transcript.logProbs,
    segments: transcript.segments,
    searches,
    answer: end.answer,
    finishReason: end.finishReason,
    messages: transcript.messages,
    policyTokens: transcript.policyTokens,
  };
}

interface End {
  readonly finishReason: FinishReason;
  readonly answer: string[] | null;
}

interface TurnState extends PlayOptions {
  readonly transcript: Transcript;
  readonly searches: SearchCall[];
  readonly player: Player;
  readonly limit: EpisodeLimit;
}

async function playTurns(state: TurnState): Promise<End> {
  const { task, codec, config, transcript, searches, player, limit } = state;
  const finish = (finishReason: FinishReason): End => ({ finishReason, answer: null });
  for (let turn = 0; ; turn++) {
    if (limit.reason !== null) return finish(limit.reason);
    const budget = turnBudget(transcript, config);
    if (budget.maxTokens === 0) return finish(budget.reason);

    const played = await player.act({ turn, maxTokens: budget.maxTokens, signal: limit.signal });
    transcript.appendPolicy(codec.decode(played.ids), played.ids, played.logProbs);
    if (played.reason === 'cancelled') return finish(limit.reason ?? 'cancelled');
    // A turn that was cut off is never executed, whatever it contains.
    if (played.reason === 'context-full') return finish('context-full');
    if (played.reason === 'length') return finish(budget.reason);

    const action = codec.parse(played.ids);
    if (action.type === 'invalid') return finish('invalid-action');
    if (action.type === 'answer') {
      return { finishReason: 'answer', answer: slotsOf(task, action.text, config) };
    }
    if (turn + 1 >= config.maxTurns) return finish('turn-limit');
    if (transcript.policyTokens >= config.maxPolicyTokens) return finish('trajectory-length');
    const room = config.maxContextTokens - transcript.length - MINIMUM_TURN_TOKENS;
    if (room < codec.minimumInformationTokens) return finish('context-full');

    const { call, failure } = await callSearch(state, action.query);
    searches.push(call);
    if (failure !== null) return finish(failure);
    const budgetTokens = Math.min(config.maxInformationTokens, room);
    const information = codec.information(call.results, budgetTokens);
    if (information === null) return finish('context-full');
    transcript.append('tool', information.text, information.ids);
    player.observe(information);
  }
}

/** Tokens the next turn may have, and the budget that ends it. */
function turnBudget(
  transcript: Transcript,
  config: EpisodeConfig,
): { maxTokens: number; reason: FinishReason } {
  const budgets: { maxTokens: number; reason: FinishReason }[] = [
    { maxTokens: config.maxContextTokens - transcript.length, reason: 'context-full' },
    { maxTokens: config.maxPolicyTokens - transcript.policyTokens, reason: 'trajectory-length' },
    { maxTokens: config.maxTurnTokens, reason: 'turn-length' },
  ];
  return budgets.reduce((least, next) => (next.maxTokens < least.maxTokens ? next : least));
}

function slotsOf(task: Task, answer: string, config: EpisodeConfig): string[] {
  return task.type === 'ramp' && config.answerForm === 'paragraph'
    ? alignFilled(task.masked, answer)
    : splitSlots(answer);
}

async function callSearch(
  { task, search, config, limit }: TurnState,
  query: string,
): Promise<{ call: SearchCall; failure: FinishReason | null }> {
  const call: SearchCall = { query, provider: search.provider, results: [] };
  const { searchTimeoutMs: timeoutMs, topK } = config;
  const exclude = new Set(task.excludedPassages);
  try {
    const results = await withDeadline(
      `search(${search.provider})`,
      { timeoutMs, signal: limit.signal },
      async (signal) => searchInterleaved(search, { query, topK, exclude }, { timeoutMs, signal }),
    );
    const excluded = results.find((result) => exclude.has(result.id));
    if (excluded !== undefined) {
      throw new InputError(
        `search(${search.provider}): expected no excluded passage, received ${excluded.id}.`,
      );
    }
    return { call: { ...call, results: results.slice(0, topK) }, failure: null };
  } catch (error) {
    // A damaged index or an incomplete cassette would pass for a policy that found nothing: the run must end.
    if (MaskSearchError.isInstance(error) && error.code === 'integrity') throw error;
    const message = error instanceof Error ? error.message : String(error);
    return { call: { ...call, error: message }, failure: failureOf(error, limit) };
  }
}

function failureOf(error: unknown, limit: EpisodeLimit): FinishReason {
  if (limit.reason !== null) return limit.reason;
  const isTimeout = MaskSearchError.isInstance(error) && error.code === 'timeout';
  return isTimeout ? 'tool-timeout' : 'tool-error';
}

function nothingWritten(task: Task, reason: FinishReason, config: EpisodeConfig): MaskSearchError {
  const where = `playEpisode(${task.id})`;
  if (reason === 'cancelled') return new CancelledError(`${where}: cancelled before any token.`);
  if (reason === 'episode-timeout') {
    const { episodeTimeoutMs: timeoutMs } = config;
    return new TimeoutError(
      `${where}: expected a token within ${timeoutMs} ms, received none; raise episodeTimeoutMs.`,
      { timeoutMs },
    );
  }
  return new InputError(
    `${where}: expected the policy to write a token, received none (${reason}).`,
  );
}

/** The episode's own time limit joined with the caller's signal. */
class EpisodeLimit {
  readonly signal: AbortSignal;
  readonly #timer: NodeJS.Timeout;
  readonly #deadline = new AbortController();
  readonly #caller: AbortSignal | undefined;

  constructor(timeoutMs: number, caller: AbortSignal | undefined) {
    this.#caller = caller;
    this.#timer = setTimeout(() => this.#deadline.abort(), timeoutMs);
    const own = this.#deadline.signal;
    this.signal = caller === undefined ? own : AbortSignal.any([own, caller]);
  }

  /** Why the episode must end, or null. */
  get reason(): 'cancelled' | 'episode-timeout' | null {
    if (this.#caller?.aborted) return 'cancelled';
    return this.#deadline.signal.aborted ? 'episode-timeout' : null;
  }

  clear(): void {
    clearTimeout(this.#timer);
  }
}
