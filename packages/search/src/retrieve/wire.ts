// The wire format of Search-R1's retrieval server: what is asked, what is answered, read leniently and written in full.
import { createHash } from 'node:crypto';
import { InputError, parseRecord, type SearchResult } from '@masksearch/core';
import { z } from 'zod';

/** Passages per query where a request does not say. */
export const DEFAULT_TOP_K = 3;

/** Our addition, absent in Search-R1: sums over all shards of a corpus. */
const statisticsSchema = z.strictObject({
  passages: z.int().min(0),
  totalLength: z.int().min(0),
  documentFrequencies: z.array(z.tuple([z.string(), z.int().min(0)])),
});

/** `POST /retrieve`. Fields that are not known are passed over, as Search-R1's server does. */
export const retrieveRequestSchema = z.object({
  queries: z.array(z.string()),
  /** null, 0 or absent: the server's default. */
  topk: z.int().min(0).nullish(),
  return_scores: z.boolean().nullish(),
  statistics: statisticsSchema.nullish(),
});
export type RetrieveRequest = z.infer<typeof retrieveRequestSchema>;

/** `GET /index`, our addition: what is searched. */
export const indexInfoSchema = z.object({
  provider: z.string().min(1),
  fingerprint: z.string().nullable(),
  /** Present when the server can be a shard. */
  bm25: z
    .object({
      analysis: z.string(),
      k1: z.number(),
      b: z.number(),
      passages: z.int().min(0),
      totalLength: z.int().min(0),
    })
    .nullable(),
});
export type IndexInfo = z.infer<typeof indexInfoSchema>;

/** `POST /statistics`, our addition: how many passages hold each term. */
export const termsRequestSchema = z.object({ terms: z.array(z.string()) });
export const termsResponseSchema = z.object({ documentFrequencies: z.array(z.int().min(0)) });

/** A document as Search-R1's BM25 server writes it, and its id in the corpus. */
export interface WireDocument {
  readonly id: string;
  readonly documentId: string;
  /** The title in quotation marks, a line break, the text. */
  readonly contents: string;
  readonly title: string;
  readonly text: string;
}

export function toWireDocument({ id, documentId, title, text }: SearchResult): WireDocument {
  return { id, documentId, contents: `"${title}"\n${text}`, title, text };
}

const documentSchema = z.looseObject({
  id: z.union([z.string(), z.number()]).nullish(),
  documentId: z.string().nullish(),
  contents: z.string().nullish(),
  title: z.string().nullish(),
  text: z.string().nullish(),
});
/** With scores, without them, or as the online servers of Search-R1 do it: a document but no score. */
const itemSchema = z.union([
  z.looseObject({ document: documentSchema, score: z.number().nullish() }),
  documentSchema.transform((document) => ({ document, score: null })),
]);
const responseSchema = z.looseObject({ result: z.array(z.array(itemSchema)) });

/**
 * The results of each query of an answer.
 * @throws {InputError} it is not of the wire format, or has not one list for each of `queries`.
 */
export function readResponse(
  value: unknown,
  { where, queries }: { readonly where: string; readonly queries: number },
): SearchResult[][] {
  const { result } = parseRecord(responseSchema, value, where);
  if (result.length !== queries) {
    throw new InputError(
      `${where}: expected one list of results for each of ${queries} queries, received ${result.length}.`,
    );
  }
  return result.map((items) => items.map(({ document, score }) => readDocument(document, score)));
}

function readDocument(
  document: z.infer<typeof documentSchema>,
  score: number | null | undefined,
): SearchResult {
  const contents = document.contents ?? '';
  const [, first = '', rest = ''] = /^([^\n]*)\n([^]*)$/.exec(contents) ?? [];
  const title = document.title ?? first.replace(/^"(.*)"$/, '$1');
  const text = document.text ?? (contents.includes('\n') ? rest : contents);
  const id = `${document.id ?? contentId(title, text)}`;
  return { id, documentId: document.documentId ?? id, title, text, score: score ?? 0 };
}

/** For servers that give no ids: equal texts get equal ones. */
function contentId(title: string, text: string): string {
  return createHash('sha256')
    .update(JSON.stringify([title, text]))
    .digest('hex')
    .slice(0, 16);
}
