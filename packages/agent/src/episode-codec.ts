// The port between an episode and tokens: one implementation writes the plain protocol, others a model's own chat format.
import type { Author, SearchResult, Task } from '@masksearch/core';
import type { StopSequence } from '@masksearch/model';
import type { Action } from './protocol.ts';

/** A stretch of text with its tokens. */
export interface EncodedText {
  /** As the protocol writes it, whatever the tokens spell. */
  readonly text: string;
  readonly ids: Int32Array;
}

/** What stands before the policy's first turn. */
export interface EncodedPrompt extends EncodedText {
  /** Authors of the ids, in order. */
  readonly parts: readonly {
    readonly author: Exclude<Author, 'policy'>;
    readonly ids: Int32Array;
  }[];
}

/**
 * Encodes prompts, turns and tool output, and reads turns back. Episodes append tokens and never encode anything
 * twice, so what a model read stays exactly what it read, whatever a template would make of it later.
 *
 * Texts that go in and out are the protocol's (protocol.ts), so trajectories, judges and reports do not depend on how
 * a model is talked to.
 */
export interface EpisodeCodec {
  /** Token sequences that end a turn. */
  readonly stop: readonly StopSequence[];
  /** The smallest number of tokens that a tool's output can have. */
  readonly minimumInformationTokens: number;
  prompt(task: Task): EncodedPrompt;
  /** A turn's text as a policy would most plainly write it. */
  encodeTurn(text: string): Int32Array;
  /** Reads a turn as sampled; strict, and nothing in it is ever executed. */
  parse(ids: Int32Array): Action;
  /** The text of a turn as sampled; as it is where it is no valid turn. */
  decode(ids: Int32Array): string;
  /** An `<information>` block; everything inside is ordinary characters. @throws {InputError} it is none. */
  encodeInformation(text: string): Int32Array;
  /** What the policy reads of a search, in at most `budgetTokens`; null if nothing fits. */
  information(results: readonly SearchResult[], budgetTokens: number): EncodedText | null;
}
