// The records that cross stages: one zod schema is the type, the validator and the version.
import { z } from 'zod';

/** Version of every record below; a reader refuses other versions. */
export const RECORD_VERSION = 1;
const version = z.literal(RECORD_VERSION);

/** A salient span of a text. Offsets are UTF-16 code units, end exclusive. */
export const spanSchema = z.strictObject({
  start: z.int().min(0),
  end: z.int().min(1),
  text: z.string().min(1),
  /** What it is: person, place, organisation, work, date, number, term, link, … */
  kind: z.string().min(1),
  /** Other strings that name the same thing and count as correct. */
  aliases: z.array(z.string().min(1)),
});
export type Span = z.infer<typeof spanSchema>;

/** A source text with its annotated spans. */
export const documentSchema = z.strictObject({
  version,
  id: z.string().min(1),
  title: z.string(),
  /** Other names of what the document is about (redirects, short names). */
  aliases: z.array(z.string().min(1)),
  text: z.string(),
  spans: z.array(spanSchema),
  /** Where it came from: a file name or `world:<seed>`. */
  source: z.string(),
});
export type Document = z.infer<typeof documentSchema>;

/** A piece of a document: what the index stores and the search tool returns. */
export const passageSchema = z.strictObject({
  version,
  id: z.string().min(1),
  documentId: z.string().min(1),
  title: z.string(),
  text: z.string(),
  /** Offset of the passage in its document's text, UTF-16. */
  start: z.int().min(0),
});
export type Passage = z.infer<typeof passageSchema>;

/** One correct answer, with every string that counts as it. */
export const goldSchema = z.strictObject({
  text: z.string().min(1),
  aliases: z.array(z.string().min(1)),
});
export type Gold = z.infer<typeof goldSchema>;

const taskCommon = {
  version,
  id: z.string().min(1),
  /** Reporting key: k1..k4 for RAMP; hop1, hop2, comparison, hop3, list for questions. */
  group: z.string().min(1),
  /** In [0, 1], larger is harder; what it measures is the task maker's to say. */
  difficulty: z.number().min(0).max(1),
  /** Passages that retrieval must not return. */
  excludedPassages: z.array(z.string()),
};

/** RAMP: fill every `[mask]` of a paragraph. */
export const maskTaskSchema = z.strictObject({
  ...taskCommon,
  type: z.literal('ramp'),
  documentId: z.string().min(1),
  passageId: z.string().min(1),
  title: z.string(),
  /** The original paragraph. */
  text: z.string().min(1),
  /** The paragraph with `[mask]` in place of every slot. */
  masked: z.string().min(1),
  /** What was masked, in text order; offsets are into `text`. */
  slots: z.array(spanSchema).min(1),
  k: z.int().min(1),
  /** Per slot: can it be found in the corpus without the excluded passages? */
  retrievable: z.array(z.boolean()),
});
export type MaskTask = z.infer<typeof maskTaskSchema>;

/** A question with one or more answers. */
export const questionTaskSchema = z.strictObject({
  ...taskCommon,
  type: z.literal('qa'),
  question: z.string().min(1),
  /** One gold per expected item; more than one only for list questions, whose order is free. */
  golds: z.array(goldSchema).min(1),
  /** Passages (ids) that together hold the answer. */
  supporting: z.array(z.string()),
  /** Single-hop steps that lead to the answer, for teachers: what to look up, what is found. */
  steps: z.array(z.strictObject({ query: z.string().min(1), answer: goldSchema })),
});
export type QuestionTask = z.infer<typeof questionTaskSchema>;

export const taskSchema = z.discriminatedUnion('type', [maskTaskSchema, questionTaskSchema]);
export type Task = z.infer<typeof taskSchema>;

/** Who wrote a stretch of text. Only `policy` tokens carry loss. */
export const authorSchema = z.enum(['system', 'user', 'policy', 'tool']);
export type Author = z.infer<typeof authorSchema>;

export const messageSchema = z.strictObject({ author: authorSchema, text: z.string() });
export type Message = z.infer<typeof messageSchema>;

/** One passage as the search tool returned it. */
export const searchResultSchema = z.strictObject({
  id: z.string(),
  documentId: z.string(),
  title: z.string(),
  text: z.string(),
  score: z.number(),
  /** Of results that come from outside the corpus, where known: address, who found it, terms of use. */
  url: z.string().optional(),
  provider: z.string().optional(),
  licence: z.string().optional(),
});
export type SearchResult = z.infer<typeof searchResultSchema>;

/** One search call of an episode. */
export const searchCallSchema = z.strictObject({
  query: z.string(),
  provider: z.string(),
  results: z.array(searchResultSchema),
  /** Present when the call failed or timed out. */
  error: z.string().optional(),
  milliseconds: z.number().min(0).optional(),
});
export type SearchCall = z.infer<typeof searchCallSchema>;

/** Why an episode ended. Truncation outranks everything that the truncated text may contain. */
export const finishReasonSchema = z.enum([
  'answer', // a well-formed answer was given
  'turn-length', // a turn used up its token budget without closing a tag
  'trajectory-length', // policy tokens of the whole episode used up
  'context-full', // no room left in the context
  'turn-limit', // too many turns
  'invalid-action', // a turn ended without a search or an answer
  'tool-timeout', // the search tool did not answer in time
  'tool-error', // the search tool failed
  'episode-timeout',
  'cancelled',
]);
export type FinishReason = z.infer<typeof finishReasonSchema>;

/** What made a trajectory: enough to make it again, and to leave out what must not be trained on. */
export const provenanceSchema = z.strictObject({
  /** Role → `endpoint:model`, or `rule` where no model plays it. */
  roles: z.record(z.string(), z.string()),
  /** Role → sha256 of the prompt it was given. */
  prompts: z.record(z.string(), z.string()),
  language: z.string(),
  /** Sample index of the task where several trajectories were made. */
  sampleIndex: z.int().min(0),
  /** Times a search did not help and the plan was revised. */
  reflections: z.int().min(0),
  /** What each judge said: `accepted`, or why not. */
  verdicts: z.record(z.string(), z.string()),
  /** Tokens that the roles' models read and wrote. */
  tokens: z.strictObject({ input: z.int().min(0), output: z.int().min(0) }),
});
export type Provenance = z.infer<typeof provenanceSchema>;

/** A teacher's or a model's episode as text, with the judge's verdict. */
export const trajectorySchema = z.strictObject({
  version,
  taskId: z.string().min(1),
  group: z.string().min(1),
  messages: z.array(messageSchema).min(1),
  searches: z.array(searchCallSchema),
  /** The answer per slot, or null if none was given. */
  answer: z.array(z.string()).nullable(),
  finishReason: finishReasonSchema,
  verdict: z.strictObject({
    accepted: z.boolean(),
    /** Why it was rejected; `accepted` otherwise. */
    reason: z.string().min(1),
  }),
  teacher: z.string().min(1),
  cost: z.strictObject({ policyTokens: z.int().min(0), searches: z.int().min(0) }),
  /** Present where language models made it. */
  provenance: provenanceSchema.optional(),
});
export type Trajectory = z.infer<typeof trajectorySchema>;

/** A stretch of tokens with one author; segments partition a sample. */
export const segmentSchema = z.strictObject({
  author: authorSchema,
  start: z.int().min(0),
  end: z.int().min(0),
});
export type Segment = z.infer<typeof segmentSchema>;

/** Everything a trainer needs of one episode, token by token. See `checkSample` for its invariants. */
export const sampleSchema = z.strictObject({
  version,
  taskId: z.string().min(1),
  /** Reporting key of the task. */
  group: z.string().min(1),
  /** Index within the task's group of samples. */
  sampleIndex: z.int().min(0),
  /** Optimizer steps taken by the policy that sampled it. */
  policyVersion: z.int().min(0),
  ids: z.array(z.int().min(0)),
  /** 1 where the policy sampled the token. */
  mask: z.array(z.int().min(0).max(1)),
  /** Log-probability (nats) under the sampling policy at temperature 1; 0 where mask is 0. */
  logProbs: z.array(z.number()),
  segments: z.array(segmentSchema),
  searches: z.array(searchCallSchema),
  answer: z.array(z.string()).nullable(),
  finishReason: finishReasonSchema,
  /** One number per reward term, by name. */
  rewardTerms: z.record(z.string(), z.number()),
  /** What the advantage is computed from. */
  reward: z.number(),
  /** Binary: every slot right. What dynamic sampling filters on. */
  outcome: z.int().min(0).max(1),
});
export type Sample = z.infer<typeof sampleSchema>;

/** The marker that replaces a masked span. */
export const MASK_MARKER = '[mask]';

/** The correct answers of a task, in slot order. */
export function goldsOf(task: Task): readonly Gold[] {
  return task.type === 'ramp' ? task.slots : task.golds;
}
