// Who plays which role: endpoints, model folders in this process, the oracle; what is not there is named.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { questionTask } from '@masksearch/core/testing';
import { loadTokenizer, trainBpe } from '@masksearch/tokenizer';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { parseConfig } from '../config/load.ts';
import { runConfigSchema } from '../config/run-config.ts';
import { openRoleModels } from './role-models.ts';

const BASE = join(import.meta.dirname, '../../../../models/base');
const endpoint = { baseUrl: 'http://127.0.0.1:1/v1', model: 'x' };
const task = questionTask({
  question: 'What is the capital of Latvia?',
  golds: [{ text: 'Riga', aliases: [] }],
});

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'masksearch-roles-'));
});
afterEach(() => rmSync(folder, { recursive: true }));

const open = (synthesis: object) =>
  openRoleModels(folder, parseConfig(runConfigSchema, { name: 'test', synthesis }, 'test'));

it('loads a model folder into this process, which answers in its role', async () => {
  const models = { tiny: { folder: BASE, threads: 1, maxSequences: 2, maxContextTokens: 256 } };
  const opened = await open({ models, roles: { judge: 'tiny' } });
  const { judge, planner } = opened.forTask(task);
  expect([planner.name, judge?.name]).toEqual(['oracle', 'in-process:tiny']);
  const messages = [{ role: 'user' as const, content: 'Question: What is the capital of Latvia?' }];
  const answer = await judge?.complete({ messages, maxTokens: 8 });
  expect(answer?.usage.outputTokens).toBeGreaterThan(0);
  expect(await judge?.complete({ messages, maxTokens: 8 })).toEqual(answer);
  await opened.close();
});

it('plays with a model folder in this process, which also judges, loaded once', async () => {
  const models = { tiny: { folder: BASE, threads: 1, maxSequences: 2, maxContextTokens: 256 } };
  const opened = await open({ models, roles: { player: 'tiny', judge: 'tiny' } });
  const tokenizer = loadTokenizer(join(BASE, 'tokenizer.json'));
  const sampler = opened.player?.samplerFor({ tokenizer, maxContextTokens: 256 });
  expect(opened.player?.name).toBe('in-process:tiny');
  expect(opened.forTask(task).judge?.name).toBe('in-process:tiny');
  const request = { maxTokens: 8, stop: [], temperature: 1, turn: 0 };
  const play = () => sampler?.open(tokenizer.encode('Question:'), [1, 2]).generate(request);
  const first = await play();
  expect(first?.tokens).toHaveLength(8);
  expect(await play()).toEqual(first);
  const stranger = trainBpe(['another'], { vocabularySize: 300, specialTokens: [] });
  const wrong = () => opened.player?.samplerFor({ tokenizer: stranger, maxContextTokens: 256 });
  expect(wrong).toThrow('expected a model with the tokenizer of the run, received tiny');
  await opened.close();
});

it('has a player only where one is named, which needs no other role but the judge', async () => {
  const endpoints = { student: endpoint, unused: { ...endpoint, apiKeyVariable: 'NOT_SET' } };
  const opened = await open({
    endpoints,
    roles: { player: 'student', planner: 'unused', judge: 'oracle' },
  });
  expect(opened.player?.name).toBe('student:x');
  expect(opened.forTask(task).judge?.name).toBe('oracle');
  await opened.close();
  const without = await open({});
  expect(without.player).toBeNull();
  await without.close();
});

it.each<[object, RegExp]>([
  [{ roles: { judge: 'nobody' } }, /roles\.judge: expected oracle, rule, received nobody/],
  [{ endpoints: { a: endpoint }, roles: { planner: 'rule' } }, /expected a, oracle, received rule/],
  [
    { roles: { player: 'oracle' } },
    /expected the name of an endpoint or a model; there is none, received/,
  ],
  [
    { models: { a: { folder: BASE } }, endpoints: { a: endpoint } },
    /different names, received two of a/,
  ],
  [{ models: { a: { folder: 'nowhere' } }, roles: { judge: 'a' } }, /nowhere/],
])('refuses %j', async (synthesis, message) => {
  await expect(open(synthesis)).rejects.toThrow(message);
});
