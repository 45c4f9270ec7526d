// The articles of a block: which sentences an article has, their words, spans and the facts they state.
import { RandomStream, RECORD_VERSION, type Document, type Span } from '@masksearch/core';
import type { Block, Entity, Fact } from './block.ts';
import { spanKinds } from './kinds.ts';
import type { RelationName } from './relations.ts';
import { sentenceForms, type SentenceForm } from './sentence-forms.ts';

/** Where a text says something; UTF-16 offsets of the whole sentence, end exclusive. */
export interface Statement {
  readonly documentId: string;
  readonly start: number;
  readonly end: number;
}

export interface Article {
  readonly document: Document;
  /** The sentences in order, each with the facts it states. */
  readonly sentences: readonly { readonly statement: Statement; readonly facts: readonly Fact[] }[];
}

/** A sentence before it has words. */
interface Plan {
  readonly form: SentenceForm;
  readonly values: Readonly<Record<string, Entity | number>>;
  readonly facts: readonly Fact[];
}

/** All articles of a block, in order. */
export function writeArticles(block: Block, source: string): Article[] {
  const plans = planSentences(block);
  return block.entities.map((entity) => writeArticle(entity, plans.get(entity) ?? [], source));
}

function planSentences(block: Block): Map<Entity, Plan[]> {
  const facts = new Map<RelationName, Fact[]>();
  const bySubject = new Map<Entity, Map<RelationName, Fact>>();
  for (const fact of block.facts) {
    append(facts, fact.relation, fact);
    const own = bySubject.get(fact.subject) ?? new Map<RelationName, Fact>();
    bySubject.set(fact.subject, own.set(fact.relation, fact));
  }
  const plans = new Map<Entity, Plan[]>();
  for (const form of sentenceForms) {
    const stated = facts.get(form.relation) ?? [];
    for (const fact of stated) {
      const year =
        form.year === undefined ? undefined : bySubject.get(fact.subject)?.get(form.year);
      const article = form.article === 'subject' ? fact.subject : fact.object;
      if (typeof article !== 'number') append(plans, article, planSentence(form, fact, year));
    }
  }
  return plans;
}

function append<K, V>(lists: Map<K, V[]>, key: K, value: V): void {
  const list = lists.get(key);
  if (list) list.push(value);
  else lists.set(key, [value]);
}

function planSentence(form: SentenceForm, fact: Fact, year: Fact | undefined): Plan {
  const y = year?.object ?? fact.object;
  const values = { s: fact.subject, o: fact.object, y };
  return { form, values, facts: year ? [fact, year] : [fact] };
}

function writeArticle(entity: Entity, plans: readonly Plan[], source: string): Article {
  const stream = new RandomStream(entity.documentId, 'article');
  const [first, ...rest] = openingFirst(stream.shuffled(plans), entity);
  const writer = new Writer(entity.documentId);
  if (first) writer.write(first, stream.pick(openings(first, entity)));
  for (const plan of rest) writer.write(plan, stream.pick(plan.form.phrasings));
  const document = {
    version: RECORD_VERSION,
    id: entity.documentId,
    title: entity.name,
    aliases: [...entity.aliases],
    text: writer.text,
    spans: writer.spans,
    source,
  } satisfies Document;
  return { document, sentences: writer.sentences };
}

/** Phrasings that begin with the article's subject. */
function openings(plan: Plan, entity: Entity): readonly string[] {
  const key = plan.values['s'] === entity ? '{s}' : '{o}';
  return plan.form.phrasings.filter((phrasing) => phrasing.startsWith(key));
}

function openingFirst(plans: readonly Plan[], entity: Entity): readonly Plan[] {
  const opener = plans.find((plan) => plan.values['s'] === entity);
  return opener ? [opener, ...plans.filter((plan) => plan !== opener)] : plans;
}

/** Appends sentences to a text and keeps the offsets of what they name. */
class Writer {
  readonly #documentId: string;
  text = '';
  readonly spans: Span[] = [];
  readonly sentences: { statement: Statement; facts: readonly Fact[] }[] = [];

  constructor(documentId: string) {
    this.#documentId = documentId;
  }

  write(plan: Plan, phrasing: string): void {
    if (this.text !== '') this.text += ' ';
    const start = this.text.length;
    for (const part of phrasing.split(/(\{\w+\})/)) {
      const value = part.startsWith('{') ? plan.values[part.slice(1, -1)] : undefined;
      if (value === undefined) this.text += part;
      else this.#name(value);
    }
    const statement = { documentId: this.#documentId, start, end: this.text.length };
    this.sentences.push({ statement, facts: plan.facts });
  }

  #name(value: Entity | number): void {
    const isYear = typeof value === 'number';
    const text = isYear ? String(value) : value.name;
    const start = this.text.length;
    this.text += text;
    this.spans.push({
      start,
      end: this.text.length,
      text,
      kind: spanKinds[isYear ? 'year' : value.kind],
      aliases: isYear ? [] : [...value.aliases],
    });
  }
}
