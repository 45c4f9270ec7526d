// The tokens of an episode as they come: appended with their author, never changed or encoded again.
import type { Author, Message, Segment } from '@masksearch/core';
import type { EncodedPrompt } from './episode-codec.ts';

/** Ids, mask, log-probabilities, segments and messages of an episode that is being played. */
export class Transcript {
  readonly ids: number[] = [];
  /** 1 where the policy wrote the token. */
  readonly mask: number[] = [];
  /** Nats; 0 where the policy did not write. */
  readonly logProbs: number[] = [];
  readonly segments: Segment[] = [];
  readonly messages: Message[] = [];
  #policyTokens = 0;

  get length(): number {
    return this.ids.length;
  }

  /** Tokens written by the policy so far. */
  get policyTokens(): number {
    return this.#policyTokens;
  }

  /** What stands before the first turn: a message of the user, in as many segments as it has authors. */
  appendPrompt({ text, parts }: EncodedPrompt): void {
    for (const { author, ids } of parts) this.#extend(author, ids, null);
    this.messages.push({ author: 'user', text });
  }

  /** What the user or a tool says. */
  append(author: Exclude<Author, 'policy'>, text: string, ids: Int32Array): void {
    if (ids.length === 0) return;
    this.#extend(author, ids, null);
    this.messages.push({ author, text });
  }

  /** What the policy wrote. @param logProbs (n) nats, one per token. */
  appendPolicy(text: string, ids: Int32Array, logProbs: Float32Array): void {
    if (ids.length === 0) return;
    this.#policyTokens += ids.length;
    this.#extend('policy', ids, logProbs);
    this.messages.push({ author: 'policy', text });
  }

  #extend(author: Author, ids: Int32Array, logProbs: Float32Array | null): void {
    if (ids.length === 0) return;
    const start = this.ids.length;
    for (let i = 0; i < ids.length; i++) {
      this.ids.push(ids[i] as number);
      this.mask.push(logProbs === null ? 0 : 1);
      this.logProbs.push(logProbs === null ? 0 : (logProbs[i] as number));
    }
    this.segments.push({ author, start, end: this.ids.length });
  }
}
