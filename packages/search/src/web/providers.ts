// The web search services that are known, each in the format that it documents.
import { parseRecord, UnavailableError } from '@masksearch/core';
import { z } from 'zod';
import { urlWith, type WebProvider, type WebResult } from './web-provider.ts';

const text = z.string().nullish();
const linkSchema = z.looseObject({ title: text, link: z.string(), snippet: text });

function fromLinks(links: readonly z.infer<typeof linkSchema>[] | null | undefined): WebResult[] {
  return (links ?? []).map(({ title, link, snippet }) => ({
    title: title ?? '',
    url: link,
    text: snippet ?? '',
  }));
}

/** The answer that a service puts above its results; without an address it names no source and is left out. */
const boxSchema = z.looseObject({ title: text, link: text, answer: text, snippet: text }).nullish();

function fromBox(box: z.infer<typeof boxSchema>): WebResult[] {
  const answer = box?.answer ?? box?.snippet;
  if (!box?.link || !answer) return [];
  return [{ title: box.title ?? '', url: box.link, text: answer }];
}

const contentsSchema = z.looseObject({
  results: z.array(
    z.looseObject({ title: text, url: z.string(), content: text, score: z.number().nullish() }),
  ),
});

/** The form that Tavily and SearXNG share. */
function readContents(answer: unknown, name: string): WebResult[] {
  return parseRecord(contentsSchema, answer, name).results.map((result) => ({
    title: result.title ?? '',
    url: result.url,
    text: result.content ?? '',
    score: result.score ?? undefined,
  }));
}

const keyOf = (keys: readonly { reveal(): string }[], index = 0): string =>
  keys[index]?.reveal() ?? '';

/** @see https://serpapi.com/search-api */
const serpapi: WebProvider = {
  name: 'serpapi',
  keyVariables: ['MASKSEARCH_SERPAPI_KEY'],
  base: 'https://serpapi.com/',
  maxResults: 100,
  licence: 'terms of serpapi.com; pages keep their own',
  request: ({ query, count, base, keys }) => ({
    url: urlWith(base, 'search', {
      engine: 'google',
      q: query,
      num: `${count}`,
      api_key: keyOf(keys),
    }),
  }),
  read: (answer) => {
    const schema = z.looseObject({
      error: text,
      answer_box: boxSchema,
      organic_results: z.array(linkSchema).nullish(),
    });
    const {
      error,
      answer_box: box,
      organic_results: links,
    } = parseRecord(schema, answer, 'serpapi');
    // An empty result is told as an error with status 200.
    if (error && !/hasn't returned any results/i.test(error)) {
      throw new UnavailableError(`serpapi: expected results, received ${JSON.stringify(error)}.`);
    }
    return [...fromBox(box), ...fromLinks(links)];
  },
};

/** @see https://serper.dev */
const serper: WebProvider = {
  name: 'serper',
  keyVariables: ['MASKSEARCH_SERPER_KEY'],
  base: 'https://google.serper.dev/',
  maxResults: 100,
  licence: 'terms of serper.dev; pages keep their own',
  request: ({ query, count, base, keys }) => ({
    url: new URL('search', base),
    headers: { 'x-api-key': keyOf(keys) },
    body: { q: query, num: count },
  }),
  read: (answer) => {
    const schema = z.looseObject({ answerBox: boxSchema, organic: z.array(linkSchema).nullish() });
    const { answerBox, organic } = parseRecord(schema, answer, 'serper');
    return [...fromBox(answerBox), ...fromLinks(organic)];
  },
};

/** @see https://docs.tavily.com/documentation/api-reference/endpoint/search */
const tavily: WebProvider = {
  name: 'tavily',
  keyVariables: ['MASKSEARCH_TAVILY_KEY'],
  base: 'https://api.tavily.com/',
  maxResults: 20,
  licence: 'terms of tavily.com; pages keep their own',
  request: ({ query, count, base, keys }) => ({
    url: new URL('search', base),
    headers: { authorization: `Bearer ${keyOf(keys)}` },
    body: { query, max_results: count },
  }),
  read: (answer) => readContents(answer, 'tavily'),
};

/** @see https://api-dashboard.search.brave.com/app/documentation/web-search */
const brave: WebProvider = {
  name: 'brave',
  keyVariables: ['MASKSEARCH_BRAVE_KEY'],
  base: 'https://api.search.brave.com/',
  maxResults: 20,
  licence:
    'terms of brave.com; storing results to train models needs a plan that grants it; pages keep their own',
  request: ({ query, count, base, keys }) => ({
    url: urlWith(base, 'res/v1/web/search', { q: query, count: `${count}` }),
    headers: { 'x-subscription-token': keyOf(keys) },
  }),
  read: (answer) => {
    const item = z.looseObject({ title: text, url: z.string(), description: text });
    const schema = z.looseObject({ web: z.looseObject({ results: z.array(item) }).nullish() });
    const { web } = parseRecord(schema, answer, 'brave');
    return (web?.results ?? []).map(({ title, url, description }) => ({
      title: title ?? '',
      url,
      text: description ?? '',
    }));
  },
};

/** The instance must allow JSON (`search.formats` in its settings.yml). @see https://docs.searxng.org/dev/search_api.html */
const searxng: WebProvider = {
  name: 'searxng',
  keyVariables: [],
  base: null,
  maxResults: 50,
  licence: 'terms of the engines behind the instance; pages keep their own',
  request: ({ query, base }) => ({ url: urlWith(base, 'search', { q: query, format: 'json' }) }),
  read: (answer) => readContents(answer, 'searxng'),
};

/** Closed to new customers; ends on 1 January 2027. @see https://developers.google.com/custom-search/v1/reference/rest/v1/cse/list */
const google: WebProvider = {
  name: 'google',
  keyVariables: ['MASKSEARCH_GOOGLE_KEY', 'MASKSEARCH_GOOGLE_CX'],
  base: 'https://www.googleapis.com/',
  maxResults: 10,
  licence: 'terms of developers.google.com/custom-search; pages keep their own',
  request: ({ query, count, base, keys }) => ({
    url: urlWith(base, 'customsearch/v1', {
      key: keyOf(keys),
      cx: keyOf(keys, 1),
      q: query,
      num: `${count}`,
    }),
  }),
  read: (answer) => {
    const schema = z.looseObject({ items: z.array(linkSchema).nullish() });
    return fromLinks(parseRecord(schema, answer, 'google').items);
  },
};

/** By name. */
export const WEB_PROVIDERS = { serpapi, serper, tavily, brave, searxng, google } as const;
export type WebProviderName = keyof typeof WEB_PROVIDERS;
