// The server commands as processes: ready line, a question, an orderly end on Ctrl-C.
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { buildIndex, connectRetrieve } from '@masksearch/search';
import { afterAll, beforeAll, expect, test } from 'vitest';

const MAIN = join(import.meta.dirname, '../main.ts');
let folder: string;

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'masksearch-servers-'));
});
afterAll(() => rmSync(folder, { recursive: true }));

/** Starts a command and waits for the address that it prints. */
async function start(...args: string[]): Promise<{ child: ChildProcess; url: string }> {
  const child = spawn(process.execPath, [MAIN, ...args, '--port', '0', '--json'], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const [line] = (await once(child.stdout, 'data')) as [Buffer];
  return { child, url: (JSON.parse(line.toString()) as { url: string }).url };
}

async function endOf(child: ChildProcess): Promise<unknown> {
  child.kill('SIGINT');
  const [code] = (await once(child, 'exit')) as [unknown];
  return code;
}

test('retrieve-server answers from an index until Ctrl-C', async () => {
  const passage = { version: 1 as const, id: 'p', documentId: 'd', title: 'Riga', start: 0 };
  await buildIndex([{ ...passage, text: 'Riga is a city.' }], join(folder, 'index'));
  const { child, url } = await start('retrieve-server', '--index', join(folder, 'index'));
  const tool = await connectRetrieve([url]);
  expect(await tool.search({ query: 'city', topK: 2 })).toMatchObject([{ id: 'p', title: 'Riga' }]);
  expect(await endOf(child)).toBe(0);
}, 60_000);

test.each([
  [['retrieve-server', '--index', 'nowhere'], /nowhere, found no header\.json/],
  [['retrieve-server', '--index', '.', '--port', 'x'], /expected a search index|--port/],
])('%j is refused with one message', (args, message) => {
  const { status, stderr } = spawnSync(process.execPath, [MAIN, ...args], { encoding: 'utf8' });
  expect(status).toBe(1);
  expect(stderr).toMatch(message);
});
