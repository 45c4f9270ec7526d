// A teacher made of language models, as a player: planner, rewriter and observer write the turns of an episode.
import type { Task } from '@masksearch/core';
import type { ChatModel } from '@masksearch/chat';
import { answerRenderer } from '../answer-form.ts';
import type { EpisodeCodec } from '../episode-codec.ts';
import type { EpisodeConfig } from '../episode-config.ts';
import { joinQueries } from '../multi-query.ts';
import { neutralise } from '../neutralise.ts';
import { type PlayedTurn, type Player, type TurnRequest, writtenTurn } from '../player.ts';
import { isJoinable, renderAnswerTurn, renderSearchTurn } from '../protocol.ts';
import {
  askObserver,
  askPlanner,
  askRewriter,
  RoleFailure,
  type Observation,
  type RoleCall,
} from './role-calls.ts';
import type { SynthesisConfig } from './synthesis-config.ts';

export interface TeacherModels {
  readonly planner: ChatModel;
  readonly rewriter: ChatModel;
  readonly observer: ChatModel;
}

export interface ModelPlayerOptions {
  readonly task: Task;
  readonly codec: EpisodeCodec;
  readonly models: TeacherModels;
  readonly episode: EpisodeConfig;
  readonly synthesis: SynthesisConfig;
  readonly call: Omit<RoleCall, 'signal'>;
}

/**
 * What the models write is made harmless before it becomes a turn, and every later role reads the turn and not the
 * reply: teacher and student see the same text.
 */
export class ModelPlayer implements Player {
  readonly #options: ModelPlayerOptions;
  readonly #asked: string[] = [];
  #transcript: string[] = [];
  #reflections = { inARow: 0, inAll: 0 };
  #failure: string | null = null;

  constructor(options: ModelPlayerOptions) {
    this.#options = options;
  }

  /** Why no further turn could be written, or null. */
  get failure(): string | null {
    return this.#failure;
  }

  get reflections(): number {
    return this.#reflections.inAll;
  }

  async act({ turn, maxTokens, signal }: TurnRequest): Promise<PlayedTurn> {
    let text: string;
    try {
      text = turn === 0 ? await this.#begin(signal) : await this.#continue(turn, signal);
    } catch (error) {
      if (!(error instanceof RoleFailure)) {
        if (signal.aborted) return nothing();
        throw error;
      }
      this.#failure = error.reason;
      return nothing();
    }
    this.#transcript.push(text);
    return writtenTurn(this.#options.codec.encodeTurn(text), maxTokens);
  }

  observe({ text }: { readonly text: string }): void {
    this.#transcript.push(text);
  }

  close(): void {
    this.#transcript = [];
  }

  async #begin(signal: AbortSignal): Promise<string> {
    const { models, task, call } = this.#options;
    const { plan, thought, search } = await askPlanner(models.planner, task, { ...call, signal });
    const steps = plan.map((step, i) => `${i + 1}. ${step}`);
    return this.#search([...steps, thought].join(' '), search, signal);
  }

  async #continue(turn: number, signal: AbortSignal): Promise<string> {
    const { models, task, call, episode } = this.#options;
    const isLast = turn + 1 >= episode.maxTurns;
    const seen = { task, transcript: this.#transcript.join('\n'), note: this.#note(isLast) };
    const reply = await askObserver(models.observer, seen, { ...call, signal });
    this.#count(reply);
    if (reply.decision === 'answer') return this.#answer(reply);
    return this.#search(reply.thought, reply.search, signal);
  }

  #note(isLast: boolean): string | null {
    const { call, synthesis } = this.#options;
    if (isLast) return call.prompts.lastTurn;
    const isTired = this.#reflections.inARow >= synthesis.maxReflections;
    return isTired ? call.prompts.noMoreReflection : null;
  }

  /** @throws {RoleFailure} one reflection more in a row than allowed. */
  #count({ decision }: Observation): void {
    const { inARow, inAll } = this.#reflections;
    const reflected = decision === 'reflect';
    this.#reflections = {
      inARow: reflected ? inARow + 1 : 0,
      inAll: reflected ? inAll + 1 : inAll,
    };
    if (this.#reflections.inARow > this.#options.synthesis.maxReflections) {
      throw new RoleFailure('observer', 'too many reflections');
    }
  }

  #answer({ thought, answer }: Observation): string {
    const { task, episode } = this.#options;
    const slots = answer.map(neutralise);
    if (slots.length === 0 || slots.includes('')) {
      throw new RoleFailure('observer', 'an empty answer');
    }
    if (!slots.every(isJoinable)) throw new RoleFailure('observer', 'an unwritable answer');
    if (episode.answerForm === 'paragraph' && task.type === 'ramp' && slots.length !== task.k) {
      throw new RoleFailure('observer', 'an answer with too few or too many slots');
    }
    return renderAnswerTurn(neutralise(thought), answerRenderer(task, episode)(slots));
  }

  async #search(thought: string, search: string, signal: AbortSignal): Promise<string> {
    const { models, task, call, synthesis } = this.#options;
    const safe = neutralise(thought);
    const need = { task, thought: safe, search: neutralise(search), asked: this.#asked };
    if (need.search === '') throw new RoleFailure('observer', 'nothing to look up');
    const replies = await askRewriter(models.rewriter, need, { ...call, signal });
    const queries = replies.map(neutralise).filter((query) => /[\p{L}\p{N}]/u.test(query));
    const kept = [...new Set(queries)].slice(0, synthesis.queriesPerSearch);
    if (kept.length === 0) throw new RoleFailure('rewriter', 'no query');
    this.#asked.push(...kept);
    return renderSearchTurn(safe, joinQueries(kept));
  }
}

/** A turn that was never written. */
function nothing(): PlayedTurn {
  return { ids: new Int32Array(), logProbs: new Float32Array(), reason: 'cancelled' };
}
