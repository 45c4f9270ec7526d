import { mkdtempSync, readFileSync, writeFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { z } from 'zod';
import { InputError } from './errors.ts';
import { JsonlWriter, readAllJsonl, writeJsonl } from './jsonl.ts';

const schema = z.strictObject({ id: z.int(), text: z.string() });
let folder = '';
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'masksearch-jsonl-'));
});
afterEach(() => {
  rmSync(folder, { recursive: true, force: true });
});

describe('JSONL', () => {
  it('reads back what was written, any Unicode included', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.record({ id: fc.integer(), text: fc.string() })),
        async (rows) => {
          const path = join(folder, 'rows.jsonl');
          writeJsonl(path, rows);
          expect(await readAllJsonl(path, schema)).toEqual(rows);
        },
      ),
      { numRuns: 50 },
    );
  });

  it('names file, line and field of a malformed record', async () => {
    const path = join(folder, 'bad.jsonl');
    writeFileSync(path, '{"id":1,"text":"a"}\n\n{"id":"x","text":"b"}\n');
    await expect(readAllJsonl(path, schema)).rejects.toThrow(`${path}:3: id:`);
    writeFileSync(path, '{"id":1,"text":"a"}\n{"id":2,');
    await expect(readAllJsonl(path, schema)).rejects.toThrow(`${path}:2: expected one JSON value`);
    writeFileSync(path, Buffer.from('{"id":1,"text":"a"}\n{"id":2,"text":"\xe9"}\n', 'latin1'));
    await expect(readAllJsonl(path, schema)).rejects.toThrow(`${path}:2: expected UTF-8 text`);
    await expect(readAllJsonl(join(folder, 'none'), schema)).rejects.toBeInstanceOf(InputError);
  });

  it('reports anything but its own errors never, whatever bytes come (fuzz)', async () => {
    const path = join(folder, 'fuzz.jsonl');
    await fc.assert(
      fc.asyncProperty(fc.uint8Array({ maxLength: 200 }), async (bytes) => {
        writeFileSync(path, bytes);
        try {
          await readAllJsonl(path, schema);
        } catch (error) {
          expect(error).toBeInstanceOf(InputError);
        }
      }),
    );
  });

  it('keeps every whole record after a cut at any byte, and appends after it', async () => {
    const path = join(folder, 'log.jsonl');
    const rows = [0, 1, 2].map((id) => ({ id, text: 'é'.repeat(id) }));
    writeJsonl(path, rows);
    const whole = readFileSync(path);
    for (let cut = 0; cut <= whole.length; cut++) {
      writeFileSync(path, whole.subarray(0, cut));
      const kept = whole.subarray(0, cut).toString('latin1').split('\n').length - 1;
      const writer = new JsonlWriter(path);
      writer.write({ id: 9, text: 'next' });
      writer.close();
      const expected = [...rows.slice(0, kept), { id: 9, text: 'next' }];
      expect(await readAllJsonl(path, schema)).toEqual(expected);
    }
  });

  it('cuts a torn line longer than its read buffer', async () => {
    const path = join(folder, 'long.jsonl');
    writeFileSync(path, `{"id":1,"text":"a"}\n{"id":2,"text":"${'x'.repeat(200_000)}`);
    new JsonlWriter(path).close();
    expect(await readAllJsonl(path, schema)).toEqual([{ id: 1, text: 'a' }]);
  });
});
