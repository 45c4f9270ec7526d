// Cassettes: what was recorded replays alike, after a cut at any byte, and from several writers at once.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  appendFileSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  CancelledError,
  InputError,
  IntegrityError,
  type SearchResult,
  TimeoutError,
  UnavailableError,
} from '@masksearch/core';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { buildIndexInMemory } from '../index-builder.ts';
import type { SearchOptions, SearchRequest, SearchTool } from '../search-tool.ts';
import { passagesOf } from '../testing.ts';
import { CassetteFile } from './cassette-file.ts';
import { RecordSearch } from './record-search.ts';
import { ReplaySearch } from './replay-search.ts';

let folder: string;
let files = 0;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'masksearch-cassette-'));
});
afterAll(() => rmSync(folder, { recursive: true }));
const newPath = (): string => join(folder, `${files++}.jsonl`);

/** Answers with whatever the function says, and counts. */
class FakeTool implements SearchTool {
  readonly provider = 'fake';
  readonly fingerprint?: string;
  calls = 0;
  readonly #answer: (request: SearchRequest, call: number) => SearchResult[];

  constructor(
    answer: (request: SearchRequest, call: number) => SearchResult[],
    fingerprint?: string,
  ) {
    this.#answer = answer;
    if (fingerprint !== undefined) this.fingerprint = fingerprint;
  }

  async search(request: SearchRequest): Promise<SearchResult[]> {
    return this.#answer(request, this.calls++);
  }
}

const result = (text: string): SearchResult => ({
  id: text,
  documentId: 'd',
  title: '',
  text,
  score: 1,
});
const echo = (): FakeTool => new FakeTool(({ query }) => [result(query)]);
const ask = (query: string): SearchRequest => ({ query, topK: 2 });

async function record(path: string, tool: SearchTool, queries: readonly string[]): Promise<void> {
  const recorder = new RecordSearch(tool, path);
  for (const query of queries) await recorder.search(ask(query));
  recorder.close();
}

describe('record and replay', () => {
  it('gives the same results without the tool, and errors on a request never made', async () => {
    const path = newPath();
    const index = await buildIndexInMemory(passagesOf(['a b', 'b c', 'c a', 'a']));
    const recorder = new RecordSearch(index, path);
    const requests: SearchRequest[] = [
      { query: 'a', topK: 3 },
      { query: 'a', topK: 3, exclude: new Set(['p3', 'p0']) },
      { query: 'nowhere', topK: 1 },
    ];
    const expected = [];
    for (const request of requests) expected.push(await recorder.search(request));
    recorder.close();
    const replay = new ReplaySearch(path);
    expect(replay).toMatchObject({ provider: 'bm25', fingerprint: index.fingerprint, size: 3 });
    for (const [i, request] of requests.entries()) {
      expect(await replay.search(request)).toEqual(expected[i]);
      expect(expected[i]).toEqual(await index.search(request));
    }
    expect(await replay.search({ ...ask('a'), topK: 3, exclude: new Set(['p0', 'p3']) })).toEqual(
      expected[1],
    );
    for (const other of [ask('a'), { query: 'b', topK: 3 }]) {
      await expect(replay.search(other)).rejects.toThrow(IntegrityError);
    }
    await expect(replay.search(ask('b'))).rejects.toThrow(/recorded answer to "b" \(topK 2/);
    replay.close();
  });

  it('replays any text unchanged', async () => {
    const path = newPath();
    const texts = fc.sample(fc.string({ unit: 'binary' }), { numRuns: 200, seed: 4 });
    await record(path, echo(), texts);
    const replay = new ReplaySearch(path);
    for (const text of texts) expect(await replay.search(ask(text))).toEqual([result(text)]);
    replay.close();
  });

  it('asks a tool whose answers change once only, so that the recording run saw what replays give', async () => {
    const path = newPath();
    const tool = new FakeTool((_, call) => [result(`answer ${call}`)]);
    const recorder = new RecordSearch(tool, path);
    const both = await Promise.all([recorder.search(ask('q')), recorder.search(ask('q'))]);
    expect(both).toEqual([[result('answer 0')], [result('answer 0')]]);
    recorder.close();
    const later = new RecordSearch(tool, path);
    expect(await later.search(ask('q'))).toEqual([result('answer 0')]);
    expect(tool.calls).toBe(2);
    later.close();
  });

  it('replays failures, but asks again when recording goes on', async () => {
    const path = newPath();
    const errors = [new TimeoutError('slow.'), new Error('down'), new InputError('too long.')];
    let broken = true;
    const tool = new FakeTool(({ query }) => {
      if (broken) throw errors[Number(query)] as Error;
      return [result(query)];
    });
    const first = new RecordSearch(tool, path);
    for (const i of [0, 1, 2]) {
      await expect(first.search(ask(`${i}`))).rejects.toBe(errors[i]);
    }
    first.close();
    const replay = new ReplaySearch(path);
    await expect(replay.search(ask('0'))).rejects.toThrow(TimeoutError);
    await expect(replay.search(ask('1'))).rejects.toThrow(new UnavailableError('down'));
    await expect(replay.search(ask('2'))).rejects.toThrow(InputError);
    replay.close();
    broken = false;
    await record(path, tool, ['0']);
    const again = new ReplaySearch(path);
    expect(await again.search(ask('0'))).toEqual([result('0')]);
    again.close();
  });

  it('records time-outs, not cancellations', async () => {
    const path = newPath();
    const hanging: SearchTool = {
      provider: 'hanging',
      search: (_request, options?: SearchOptions) =>
        new Promise((_, reject) => {
          options?.signal?.addEventListener('abort', () => reject(new Error('aborted')));
        }),
    };
    const recorder = new RecordSearch(hanging, path);
    await expect(recorder.search(ask('a'), { timeoutMs: 10 })).rejects.toThrow(TimeoutError);
    const controller = new AbortController();
    const cancelled = recorder.search(ask('b'), { signal: controller.signal });
    controller.abort();
    await expect(cancelled).rejects.toThrow(CancelledError);
    recorder.close();
    const replay = new ReplaySearch(path);
    await expect(replay.search(ask('a'))).rejects.toThrow(TimeoutError);
    await expect(replay.search(ask('b'))).rejects.toThrow(IntegrityError);
    replay.close();
  });

  it('refuses to go on with another tool or index, and to replay nothing or a mixture', async () => {
    const path = newPath();
    await record(path, new FakeTool(() => [], 'one'), ['a']);
    expect(() => new RecordSearch(new FakeTool(() => [], 'two'), path)).toThrow(IntegrityError);
    expect(() => new RecordSearch(new FakeTool(() => []), path)).toThrow(/one of fake \(one\)/);
    const other = newPath();
    await record(other, new FakeTool(() => [], 'two'), ['a']);
    appendFileSync(path, readFileSync(other));
    expect(() => new ReplaySearch(path)).toThrow(/answers of one tool/);
    expect(() => new ReplaySearch(newPath())).toThrow(/found none; record one first/);
    const empty = newPath();
    writeFileSync(empty, '');
    expect(() => new ReplaySearch(empty)).toThrow(/expected recorded calls/);
  });
});

describe('a cassette that was cut or damaged', () => {
  const queries = ['first', 'secönd', 'third'];

  it('keeps every whole line after a cut at any byte, and can be continued', async () => {
    const whole = newPath();
    await record(whole, echo(), queries);
    const bytes = readFileSync(whole);
    const lineEnds = [...bytes.keys()].filter((i) => bytes[i] === 0x0a);
    for (let length = 0; length < bytes.length; length++) {
      const path = newPath();
      writeFileSync(path, bytes.subarray(0, length));
      const file = new CassetteFile(path, 'read');
      const kept = lineEnds.filter((end) => end < length).length;
      expect(file.size).toBe(kept);
      for (const [i, query] of queries.entries()) {
        expect(file.find(ask(query))?.results).toEqual(i < kept ? [result(query)] : undefined);
      }
      file.close();
      const tool = echo();
      await record(path, tool, queries);
      const replay = new ReplaySearch(path);
      for (const query of queries) expect(await replay.search(ask(query))).toHaveLength(1);
      replay.close();
      rmSync(path);
    }
  });

  it('answers nothing from a line with any byte changed', async () => {
    const path = newPath();
    await record(path, echo(), ['first']);
    const bytes = readFileSync(path);
    for (let at = 0; at < bytes.length; at++) {
      const damaged = Buffer.from(bytes);
      damaged[at] = (damaged[at] as number) ^ 1;
      writeFileSync(path, damaged);
      const file = new CassetteFile(path, 'read');
      expect(file.find(ask('first'))).toBeUndefined();
      file.close();
    }
  });

  it('says so when a line changes while it is open', async () => {
    const path = newPath();
    await record(path, echo(), ['first']);
    const file = new CassetteFile(path, 'read');
    truncateSync(path, 10);
    expect(() => file.find(ask('first'))).toThrow(IntegrityError);
    file.close();
  });
});

describe('several writers', () => {
  const writer = join(import.meta.dirname, '../../test/cassette-writer.ts');

  it('lose no line, though one of them is killed', async () => {
    const path = newPath();
    const [rows, writers] = [60, 3];
    const start = (name: string, count: number) =>
      spawn(process.execPath, [writer, path, name, `${count}`], { stdio: 'inherit' });
    const victim = start('victim', 1_000_000);
    const others = Array.from({ length: writers }, (_, w) => start(`w${w}`, rows));
    for (const [code] of await Promise.all(others.map((child) => once(child, 'exit')))) {
      expect(code).toBe(0);
    }
    victim.kill('SIGKILL');
    await once(victim, 'exit');
    const after = start('after', rows);
    await once(after, 'exit');
    const replay = new ReplaySearch(path);
    for (const name of ['w0', 'w1', 'w2', 'after']) {
      for (let i = 0; i < rows; i++) {
        const [found] = await replay.search({ query: `${name} ${i}`, topK: 1 });
        expect(found?.text).toHaveLength(20_000);
      }
    }
    expect((await replay.search({ query: 'shared', topK: 1 }))[0]?.id).toMatch(/^shared of/);
    replay.close();
  }, 120_000);
});
