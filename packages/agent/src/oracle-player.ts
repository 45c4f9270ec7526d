// The oracle teacher as a player: planner, rewriter and observer without a model. It knows the golds and the steps of
// its task, but states only what a search has shown.
import type { Gold, Task } from '@masksearch/core';
import { findEvidence, occursIn } from './evidence.ts';
import { type PlayedTurn, type Player, type TurnRequest, writtenTurn } from './player.ts';
import type { EpisodeCodec } from './episode-codec.ts';
import { isJoinable, joinSlots, renderAnswerTurn, renderSearchTurn } from './protocol.ts';
import { planOf, type PlanStep } from './teacher-plan.ts';
import { THOUGHTS, UNKNOWN_ANSWER } from './teacher-thoughts.ts';

export interface OracleOptions {
  readonly codec: EpisodeCodec;
  /** Writes the answer from its slots. */
  readonly render: (slots: readonly string[]) => string;
  /** As the seed of `planOf`. */
  readonly querySeed?: number | undefined;
}

export class OraclePlayer implements Player {
  readonly #task: Task;
  readonly #codec: EpisodeCodec;
  readonly #render: (findings: readonly string[]) => string;
  readonly #plan: readonly PlanStep[];
  readonly #findings: string[] = [];
  #query = '';
  readonly #asked = new Set<string>();
  #observed: string[] = [];
  #failure: 'evidence-not-found' | 'unwritable-answer' | null = null;

  constructor(task: Task, { codec, render, querySeed }: OracleOptions) {
    this.#task = task;
    this.#codec = codec;
    this.#render = render;
    this.#plan = planOf(task, querySeed);
  }

  /** Why no right answer could be given, or null. */
  get failure(): string | null {
    return this.#failure;
  }

  act({ turn, maxTokens }: TurnRequest): Promise<PlayedTurn> {
    const ids = this.#codec.encodeTurn(turn === 0 ? this.#begin() : this.#continue());
    return Promise.resolve(writtenTurn(ids, maxTokens));
  }

  observe({ text }: { readonly text: string }): void {
    this.#observed.push(text);
  }

  close(): void {
    this.#observed = [];
  }

  #begin(): string {
    const thought = THOUGHTS.plan(new Set(this.#plan.map(({ number }) => number)).size);
    const [step] = this.#plan;
    const query = step?.queries[0];
    return step === undefined || query === undefined
      ? this.#giveUp(thought)
      : this.#search(thought, query, step.number);
  }

  /** Reads the last observation and goes on. */
  #continue(): string {
    const found = this.#readFindings();
    const step = this.#plan[this.#findings.length];
    if (step === undefined) return this.#answer(joinSlots(found));
    const learned = found.length > 0 ? THOUGHTS.found(joinSlots(found)) : THOUGHTS.notFound;
    const query = step.queries.find((candidate) => !this.#asked.has(candidate));
    if (query === undefined) return this.#giveUp(learned);
    return this.#search(learned, query, step.number);
  }

  /** What the last search shows of the step due, and of those after it that would ask the same. */
  #readFindings(): string[] {
    const observation = this.#observed.at(-1) ?? '';
    const found: string[] = [];
    for (const step of this.#plan.slice(this.#findings.length)) {
      const finding = step.queries.includes(this.#query)
        ? findEvidence(observation, step.looksFor, step.anchors)
        : null;
      if (finding === null) break;
      found.push(finding);
    }
    this.#findings.push(...found);
    return found;
  }

  #search(thought: string, query: string, intent: number): string {
    this.#query = query;
    this.#asked.add(query);
    return renderSearchTurn(thought, query, intent);
  }

  #answer(found: string): string {
    const task = this.#task;
    const isComparison = task.group === 'comparison' && this.#findings.length === 2;
    const [first = '', second = ''] = this.#findings;
    const thought = isComparison ? THOUGHTS.compare(first, second) : THOUGHTS.found(found);
    const slots =
      task.type === 'ramp' ? this.#findings : this.#answersOf(task.golds, task.question);
    if (slots === null) return this.#giveUp(thought);
    if (!slots.every(isJoinable)) {
      this.#failure = 'unwritable-answer';
      return renderAnswerTurn(thought, UNKNOWN_ANSWER);
    }
    return renderAnswerTurn(thought, this.#render(slots));
  }

  /** The golds as they were found, or as the question names them; null if one is in neither. */
  #answersOf(golds: readonly Gold[], question: string): string[] | null {
    const answers = golds.map((gold) => {
      const names = [gold.text, ...gold.aliases];
      const found = this.#findings.find((finding) => names.includes(finding));
      const shown = [...this.#observed, question];
      return found ?? names.find((name) => shown.some((text) => occursIn(text, name))) ?? null;
    });
    return answers.every((answer) => answer !== null) ? answers : null;
  }

  #giveUp(thought: string): string {
    this.#failure = 'evidence-not-found';
    return renderAnswerTurn(thought, UNKNOWN_ANSWER);
  }
}
