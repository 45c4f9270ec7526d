// What differs between web search services: how they are asked and where their results stand.
import type { Secret } from '@masksearch/core';

export interface WebProvider {
  /** Recorded with every result, e.g. `brave`. */
  readonly name: string;
  /** Environment variables that must be set, in the order in which `request` gets them. */
  readonly keyVariables: readonly string[];
  /** Where it is asked; null where everyone runs their own. */
  readonly base: string | null;
  /** Results that one call can give. */
  readonly maxResults: number;
  /** Under which terms results may be used; recorded with every result. */
  readonly licence: string;
  readonly request: (ask: WebAsk) => WebCall;
  /** @throws {InputError} the answer is not of the documented format. */
  readonly read: (answer: unknown) => WebResult[];
}

export interface WebAsk {
  readonly query: string;
  /** 1..maxResults. */
  readonly count: number;
  /** A folder: relative paths lead below it. */
  readonly base: URL;
  readonly keys: readonly Secret[];
}

export interface WebCall {
  readonly url: URL;
  readonly headers?: Readonly<Record<string, string>>;
  /** Sent as JSON by POST. */
  readonly body?: unknown;
}

export interface WebResult {
  readonly title: string;
  readonly url: string;
  readonly text: string;
  /** The service's own, where it gives one. */
  readonly score?: number | undefined;
}

/** A URL below `base` with a query. */
export function urlWith(base: URL, path: string, query: Readonly<Record<string, string>>): URL {
  const url = new URL(path, base);
  for (const [name, value] of Object.entries(query)) url.searchParams.set(name, value);
  return url;
}
