import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ConfigError } from '@masksearch/core';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test, vi } from 'vitest';
import { planCommand } from './plan-command.ts';

const QWEN2 = {
  model_type: 'qwen2',
  architectures: ['Qwen2ForCausalLM'],
  vocab_size: 151936,
  hidden_size: 896,
  num_hidden_layers: 24,
  num_attention_heads: 14,
  num_key_value_heads: 2,
  intermediate_size: 4864,
  max_position_embeddings: 32768,
  rope_theta: 1e6,
  rms_norm_eps: 1e-6,
  tie_word_embeddings: true,
  hidden_act: 'silu',
};

let folder: string;
let printed: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'masksearch-plan-'));
  writeFileSync(join(folder, 'config.json'), JSON.stringify(QWEN2));
});
afterAll(() => rmSync(folder, { recursive: true }));
beforeEach(() => {
  printed = '';
  vi.spyOn(process.stdout, 'write').mockImplementation((text) => {
    printed += String(text);
    return true;
  });
});
afterEach(() => void vi.restoreAllMocks());

const plan = (...args: string[]) =>
  planCommand().parseAsync(['--model', folder, '--sequence', '512', ...args], { from: 'user' });

test('plans for a GPU where there is none, of which a model takes 85 %', async () => {
  await plan('--device', 'cuda', '--memory', '24', '--concurrency', '8');
  const [head, , full, lora] = printed.split('\n');
  expect(head).toBe('GiB of 20.40');
  expect(full).toMatch(/^ +512 +full +0\.92 +1\.84 +4\.60 +0\.00 .*fits$/);
  expect(lora).toMatch(/^ +512 +lora +0\.94 .*fits$/);
});

test.each([
  [['--device', 'cuda'], /--memory: expected the GiB of the GPU with --device cuda/],
  [['--device', 'cuda', '--memory', '24', '--dtype', 'float32'], /--dtype: expected bfloat16 with/],
])('%j is refused', async (args, message) => {
  const refused = plan(...args);
  await expect(refused).rejects.toThrow(ConfigError);
  await expect(refused).rejects.toThrow(message);
  expect(printed).toBe('');
});
