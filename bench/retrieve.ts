// Loads retrieval servers over loopback: one with the whole corpus, then four with a part each, as JSON lines. Every
// answer is compared with that of the index in this process; one that differs ends the bench.
//
// Usage: node bench/retrieve.ts [--passages 20000] [--searches 2000] [--clients 64]
import { deepStrictEqual } from 'node:assert';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { type Passage, RandomStream, type SearchResult } from '../packages/core/src/index.ts';
import {
  buildIndex,
  connectRetrieve,
  openIndex,
  type SearchTool,
} from '../packages/search/src/index.ts';
import { passageOf, printRow } from './search-rows.ts';

const SHARDS = 4;
const TOP_K = 5;
const PASSAGE_WORDS = 60;
const MAIN = join(import.meta.dirname, '../apps/cli/src/main.ts');

const { values } = parseArgs({
  options: {
    passages: { type: 'string', default: '20000' },
    searches: { type: 'string', default: '2000' },
    clients: { type: 'string', default: '64' },
  },
});
const passageCount = Number(values.passages);
const searches = Number(values.searches);
const clients = Number(values.clients);

/** Words of which a few are common and most are rare. */
function makeText(random: RandomStream, words: number): string {
  const word = (): string => `w${Math.floor(Math.exp(random.uniform() * Math.log(50_000)))}`;
  return Array.from({ length: words }, word).join(' ');
}

function makePassages(): Passage[] {
  const random = new RandomStream(1, 'retrieve-passages');
  return Array.from({ length: passageCount }, (_, i) =>
    passageOf(i, makeText(random, PASSAGE_WORDS)),
  );
}

const servers: ChildProcess[] = [];

async function startServer(index: string): Promise<string> {
  const args = [MAIN, 'retrieve-server', '--index', index, '--port', '0', '--json'];
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'ignore'] });
  servers.push(child);
  const [line] = (await once(child.stdout, 'data')) as [Buffer];
  return (JSON.parse(line.toString()) as { url: string }).url;
}

/** CPU milliseconds of the servers since they started; Linux counts in hundredths of a second. */
function serverCpuMs(children: readonly ChildProcess[]): number {
  return children.reduce((sum, { pid }) => {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    const [user = 0, system = 0] = stat
      .slice(stat.lastIndexOf(')'))
      .split(' ')
      .slice(12, 14)
      .map(Number);
    return sum + (user + system) * 10;
  }, 0);
}

/** CPU milliseconds of this process since `start`, so that what other processes take is left out. */
function ownCpuMs(start: NodeJS.CpuUsage): number {
  const { user, system } = process.cpuUsage(start);
  return (user + system) / 1000;
}

/** Asks everything, `clients` searches at a time. */
async function load(
  tool: SearchTool,
  queries: readonly string[],
  expected: readonly SearchResult[][],
): Promise<void> {
  let next = 0;
  const client = async (): Promise<void> => {
    for (let i = next++; i < queries.length; i = next++) {
      deepStrictEqual(await tool.search({ query: queries[i] ?? '', topK: TOP_K }), expected[i]);
    }
  };
  await Promise.all(Array.from({ length: clients }, client));
}

const folder = mkdtempSync(join(tmpdir(), 'masksearch-retrieve-'));
try {
  const passages = makePassages();
  const random = new RandomStream(1, 'retrieve-queries');
  const queries = Array.from({ length: searches }, (_, i) => makeText(random, 3 + (i % 5)));
  const whole = join(folder, 'whole');
  await buildIndex(passages, whole);
  const parts = Array.from({ length: SHARDS }, (_, s) => join(folder, `part-${s}`));
  for (const [s, part] of parts.entries()) {
    const [from, to] = [s, s + 1].map((i) => Math.floor((i * passageCount) / SHARDS));
    await buildIndex(passages.slice(from, to), part);
  }
  const index = openIndex(whole);
  const start = process.cpuUsage();
  const expected: SearchResult[][] = [];
  for (const query of queries) expected.push(await index.search({ query, topK: TOP_K }));
  const floor = ownCpuMs(start) / searches;
  index.close();
  for (const [name, indexes] of [
    ['one server', [whole]],
    [`${SHARDS} shards`, parts],
  ] as const) {
    const before = servers.length;
    const tool = await connectRetrieve(await Promise.all(indexes.map(startServer)));
    const started = servers.slice(before);
    const [idleMs, cpu, wall] = [serverCpuMs(started), process.cpuUsage(), performance.now()];
    await load(tool, queries, expected);
    const wallMs = (performance.now() - wall) / searches;
    const rows = { client: ownCpuMs(cpu), servers: serverCpuMs(started) - idleMs };
    for (const [who, cpuMs] of Object.entries(rows)) {
      const row = {
        case: `${name}: CPU of the ${who}`,
        unit: 'ms per search',
        measured: cpuMs / searches,
        floor,
        floorIs: 'CPU of a search in this process',
      };
      const load = { passages: passageCount, searches, clients, wallMsPerSearch: wallMs };
      printRow({ ...row, ...load, answersThatDiffer: 0 }, 'node bench/retrieve.ts');
    }
  }
} finally {
  for (const server of servers) server.kill('SIGINT');
  await Promise.all(servers.map((server) => once(server, 'exit')));
  rmSync(folder, { recursive: true });
}
