// A key shows itself nowhere, and the environment it comes from is checked.
import { inspect } from 'node:util';
import { expect, it } from 'vitest';
import { Secret, secretFromEnvironment, secretIfSet } from './secret.ts';

const CANARY = 'key/with+signs&canary=31415926535';
const key = new Secret(CANARY);

it('shows itself nowhere but where asked', () => {
  const url = `http://host/?key=${encodeURIComponent(CANARY)}`;
  const text = [String(key), JSON.stringify({ key }), inspect({ key }), key.redact(`a${CANARY}b`)];
  expect([...text, key.redact(url)].join()).not.toContain('canary');
  expect(key.reveal()).toBe(CANARY);
});

it('comes from the environment, and names the variable that is missing or cannot stand in a header', () => {
  expect(secretFromEnvironment('KEY', { KEY: ` ${CANARY}\n` }).reveal()).toBe(CANARY);
  expect(() => secretFromEnvironment('KEY', {})).toThrow(/KEY, found none/);
  expect(() => secretFromEnvironment('KEY', { KEY: 'zwei Wörter' })).toThrow(/ASCII .* in KEY/);
});

it('may be absent where it is optional', () => {
  expect(secretIfSet('KEY', { KEY: 'user:two words ' })?.reveal()).toBe('user:two words');
  expect([secretIfSet('KEY', {}), secretIfSet('KEY', { KEY: ' ' })]).toEqual([
    undefined,
    undefined,
  ]);
});
