// The server commands as processes: ready line, a question, an orderly end on Ctrl-C.
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createNativeModel } from '@masksearch/engine';
import { openModelFolder } from '@masksearch/model';
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

const BASE = join(import.meta.dirname, '../../../../models/base');

test('serve answers over the OpenAI API, agent included, until Ctrl-C', async () => {
  const passage = { version: 1 as const, id: 'p', documentId: 'd', title: 'Riga', start: 0 };
  await buildIndex([{ ...passage, text: 'Riga is a city.' }], join(folder, 'cities'));
  const args = ['--model', BASE, '--agent', '--index', join(folder, 'cities'), '--threads', '1'];
  const { child, url } = await start('serve', ...args);
  const ask = async (model: string): Promise<unknown> => {
    const messages = [{ role: 'user', content: 'Question: What is Riga?' }];
    const response = await fetch(`${url}/v1/chat/completions`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ model, messages, seed: 1, max_tokens: 20 }),
    });
    return response.json();
  };
  const usage = { completion_tokens: expect.any(Number) as number };
  const system_fingerprint = expect.stringMatching(/^masksearch-[0-9a-f]{16}$/) as string;
  expect(await ask('base')).toMatchObject({ object: 'chat.completion', usage, system_fingerprint });
  expect(await ask('base-agent')).toMatchObject({ masksearch: { searches: [] }, usage });
  expect(await endOf(child)).toBe(0);
}, 60_000);

test('serve --dtype bfloat16 gives the log-probabilities of a training in bfloat16', async () => {
  const { config, weights, close } = openModelFolder(BASE);
  const model = await createNativeModel({ config, weights, dtype: 'bfloat16', threads: 1 });
  const tokens = Int32Array.of(70, 300, 41, 500, 9, 320);
  const offsets = Int32Array.of(0, tokens.length);
  const { logProbs } = await model.score({
    tokens,
    offsets,
    lossMask: Uint8Array.of(0, 1, 1, 1, 1, 1),
  });
  await model.dispose();
  close();
  const { child, url } = await start('serve', '--model', BASE, '--dtype', 'bfloat16');
  const response = await fetch(`${url}/v1/completions`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({
      model: 'base',
      prompt: [...tokens],
      echo: true,
      max_tokens: 0,
      logprobs: 0,
    }),
  });
  const { choices } = (await response.json()) as {
    choices: [{ logprobs: { token_logprobs: (number | null)[] } }];
  };
  expect(choices[0].logprobs.token_logprobs.slice(1)).toEqual(Array.from(logProbs.subarray(1)));
  expect(await endOf(child)).toBe(0);
}, 60_000);

test.each([
  [['retrieve-server', '--index', 'nowhere'], /nowhere, found no header\.json/],
  [['retrieve-server', '--index', '.'], /expected a search index in \./],
  [['serve', '--model', 'nowhere'], /nowhere.config\.json: expected a JSON file/],
  [
    ['serve', '--model', BASE, '--agent'],
    /expected either --index or --retrieve, received neither/,
  ],
  [['serve', '--model', BASE, '--queue', 'x'], /--queue: expected a whole number >= 0, received x/],
])('%j is refused with one message', (args, message) => {
  const { status, stderr } = spawnSync(process.execPath, [MAIN, ...args], { encoding: 'utf8' });
  expect(status).toBe(1);
  expect(stderr).toMatch(message);
});
