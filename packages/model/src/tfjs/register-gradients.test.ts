// In plain Node, outside vitest's module loader: gradients of tfjs-core are there after one call.
import { execFileSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';

const script = `
  import * as tf from '@tensorflow/tfjs-core';
  import '@tensorflow/tfjs-backend-cpu';
  import { registerTfjsGradients } from './register-gradients.ts';
  const gradientOfSquare = () => tf.grad((x) => tf.sum(tf.square(x)))(tf.tensor1d([3])).dataSync()[0];
  let before;
  try { before = gradientOfSquare(); } catch (error) { before = error.message; }
  registerTfjsGradients();
  registerTfjsGradients();
  console.log(JSON.stringify({ before, after: gradientOfSquare() }));
`;

test('registers the gradients that the Node bundle of tfjs-core lacks', () => {
  const output = execFileSync(process.execPath, ['--input-type=module', '--eval', script], {
    cwd: fileURLToPath(new URL('.', import.meta.url)),
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  const { before, after } = JSON.parse(output) as { before: unknown; after: unknown };
  expect(before).toContain('gradient function not found');
  expect(after).toBe(6);
});
